// An IP address and a port.
#pragma once

#include "portico/ip/address.hpp"

namespace portico::ip {

// Where a TCP or UDP socket is bound or connected. Regular, trivially copyable.
struct endpoint {
    ip::address address;
    std::uint16_t port = 0; // host order

    friend constexpr auto operator<=>(const endpoint&, const endpoint&) = default;
};

// Reads "1.2.3.4:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80", "[fe80::1%25eth0]:80" and systemd's
// "[fe80::1]:80%eth0". The port is a decimal number from 0 to 65535, without leading zeros, and is
// not optional. Names are not endpoints.
[[nodiscard]] text_result<endpoint> parse_endpoint(std::string_view text);

// "1.2.3.4:80" or "[2001:db8::1]:80"; RFC 5952 section 6.
[[nodiscard]] std::string to_text(const endpoint& which);

} // namespace portico::ip

template <>
struct std::hash<portico::ip::endpoint> {
    [[nodiscard]] std::size_t operator()(const portico::ip::endpoint& which) const noexcept;
};
