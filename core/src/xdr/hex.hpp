// Bytes of tests as hexadecimal digits; spaces are for the reader.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace portico::xdr {

[[nodiscard]] inline std::vector<std::byte> from_hex(std::string_view text) {
    std::vector<std::byte> made;
    unsigned digits = 0;
    unsigned value = 0;
    for (const char c : text) {
        if (c == ' ') {
            continue;
        }
        value = value << 4U | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++digits % 2 == 0) {
            made.push_back(static_cast<std::byte>(value));
            value = 0;
        }
    }
    return made;
}

// A space after every four bytes.
[[nodiscard]] inline std::string to_hex(const std::vector<std::byte>& bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string made;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i > 0 && i % 4 == 0) {
            made += ' ';
        }
        made += digits[std::to_integer<std::size_t>(bytes[i] >> 4U)];
        made += digits[std::to_integer<std::size_t>(bytes[i] & std::byte{15})];
    }
    return made;
}

} // namespace portico::xdr
