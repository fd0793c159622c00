#include "admit/host_name.hpp"

#include "ip/reading.hpp"

#include <algorithm>

namespace portico::admit {

std::optional<std::size_t> find_name_fault(std::string_view name) noexcept {
    constexpr std::size_t longest_name = 253;
    constexpr std::size_t longest_label = 63;
    std::size_t label = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if (i == longest_name) {
            return i;
        }
        if (c == '.') {
            if (label == 0) {
                return i;
            }
            label = 0;
            continue;
        }
        const bool known =
            ip::reading::is_letter(c) || ip::reading::is_digit(c) || c == '-' || c == '_';
        if (!known || ++label > longest_label) {
            return i;
        }
    }
    return label == 0 ? std::optional{name.size()} : std::nullopt;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return ip::reading::lower(x) == ip::reading::lower(y);
    });
}

} // namespace portico::admit
