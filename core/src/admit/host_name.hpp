// Host names as text: which are ones, and which are the same.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace portico::admit {

// The root's dot at the end of a full name (RFC 1034 section 3.1) says nothing to us.
[[nodiscard]] constexpr std::string_view without_last_dot(std::string_view name) noexcept {
    return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

// Where the first byte is that cannot be there: not a letter, digit, '-', '_' or '.', a dot without
// a label in front of it, or one over the length (RFC 1035 section 2.3.4: labels 63 bytes, a name
// 253 as it is written). The end of the text where a label is missing there. A resolver would stop
// at a zero byte, and then look up another name than the one that the rules allowed.
[[nodiscard]] std::optional<std::size_t> find_name_fault(std::string_view name) noexcept;

[[nodiscard]] inline bool is_host_name(std::string_view name) noexcept {
    return !find_name_fault(name);
}

// Without regard to the case of ASCII letters (RFC 1035 section 2.3.3).
[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;

} // namespace portico::admit
