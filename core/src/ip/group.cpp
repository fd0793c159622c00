#include "portico/ip/group.hpp"

#include "ip/reading.hpp"

#include <algorithm>
#include <utility>

namespace portico::ip {
namespace {

using reading::wrong;

constexpr std::string_view forms = "write a group like 239.1.2.3, ff02::1:2 or ff02::1:2@eth0";

// What follows the '@' or the '%': a name, or the number that stands for one in zones.
text_result<std::string> read_interface(std::string_view text, std::size_t at) {
    if (text.empty()) {
        return wrong(at - 1, 1, "the name of the interface is missing", std::string{forms});
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!zone::from_text(text.substr(i, 1)) || text[i] == '@') {
            return wrong(at + i, 1,
                         reading::name_of(text[i]) + " cannot be in the name of an interface",
                         std::string{forms});
        }
    }
    if (text.size() > zone::max_size) {
        return wrong(at + zone::max_size, text.size() - zone::max_size,
                     "no interface name is longer than 15 bytes",
                     "portico addrs lists the interfaces");
    }
    return std::string{text};
}

} // namespace

text_result<group> parse_group(std::string_view text) {
    const auto end = std::min(text.find_first_of("@%"), text.size());
    auto which = parse_address(text.substr(0, end));
    if (!which) {
        if (which.error().hint.empty()) {
            which.error().hint = forms;
        }
        return tl::unexpected{std::move(which.error())};
    }
    if (!which->is_multicast()) {
        return wrong(0, end, to_text(*which) + " is no group: it is the address of one host",
                     std::string{forms} + "; groups are 224.0.0.0/4 and ff00::/8");
    }
    if (end == text.size()) {
        return group{*which, {}};
    }
    return read_interface(text.substr(end + 1), end + 1).map([&](std::string name) {
        return group{*which, std::move(name)};
    });
}

std::string to_text(const group& which) {
    return to_text(which.which) + (which.interface.empty() ? "" : "@" + which.interface);
}

} // namespace portico::ip
