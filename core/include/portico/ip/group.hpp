// A multicast group to join, as a user writes it.
#pragma once

#include "portico/ip/address.hpp"

#include <string>
#include <string_view>

namespace portico::ip {

// "239.1.2.3" and "ff02::1:2": on every interface that can; "ff02::1:2@eth0": on one.
struct group {
    address which;            // without a zone
    std::string interface {}; // empty: every one

    friend bool operator==(const group&, const group&) = default;
};

// Reads one of the forms above, and "ff02::1:2%eth0", which is the same as "ff02::1:2@eth0". An
// address of one host is an error.
[[nodiscard]] text_result<group> parse_group(std::string_view text);

// The canonical text: to_text(parse_group(x)) reads back as an equal group.
[[nodiscard]] std::string to_text(const group& which);

} // namespace portico::ip
