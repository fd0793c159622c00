// Ports from one to another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

struct port_range {
    std::uint16_t first = 1;
    std::uint16_t last = 65535;

    friend bool operator==(const port_range&, const port_range&) = default;
};

// "80" or "1-1023", from 1 to 65535. The error is for a person.
[[nodiscard]] tl::expected<port_range, std::string> parse_port_range(std::string_view text);
// What is wrong with such a text; empty: nothing.
[[nodiscard]] std::string port_range_fault(const std::string& text);
// "80, 443 to 445"
[[nodiscard]] std::string to_text(const std::vector<port_range>& ranges);
[[nodiscard]] bool contains(const std::vector<port_range>& ranges, std::uint16_t port) noexcept;

} // namespace portico::app
