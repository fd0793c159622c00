// The header before each datagram between a SOCKS 5 client and its server (RFC 1928 section 7).
#pragma once

#include "portico/ip/endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

namespace portico::wire {

// A name to look up, and a port.
struct socks5_name {
    std::string_view name;
    std::uint16_t port = 0;

    friend bool operator==(const socks5_name&, const socks5_name&) = default;
};

// One datagram; it refers to the bytes that it was read from.
struct socks5_datagram {
    // Where it is to go; on the way back, where it came from.
    std::variant<ip::endpoint, socks5_name> remote;
    std::span<const std::byte> data; // may be empty
};

// Why a datagram is dropped.
enum class socks5_datagram_drop : std::uint8_t {
    too_short,            // cut off within its header
    bad_reserved,         // the reserved bytes are not 0
    fragment,             // FRAG is not 0: fragments are not put together, which the RFC allows
    unknown_address_type, // neither IPv4 nor IPv6 nor a name
    bad_name,             // not a name to look up; see proxy_target::make()
    bad_port,             // to port 0
};
inline constexpr std::size_t socks5_datagram_drops = 6;
// "too_short", ...
[[nodiscard]] std::string_view to_text(socks5_datagram_drop why) noexcept;

// The most that the header of an IPv4 or IPv6 endpoint adds to a datagram.
inline constexpr std::size_t max_socks5_datagram_head = 3 + 1 + 16 + 2;

// Reads a whole datagram. A name that is a literal address is given as that address, so that rules
// for addresses see it. Time: linear in the header. Memory: none
// on the heap, but for a moment with a name of digits, dots and colons. Threads: pure.
[[nodiscard]] tl::expected<socks5_datagram, socks5_datagram_drop>
read_socks5_datagram(std::span<const std::byte> whole);

// Writes the header over `to`, to be followed by the data. The zone is left out, and an IPv4-mapped
// address is written as the IPv4 one that it stands for.
void write_socks5_datagram_head(const ip::endpoint& remote, std::vector<std::byte>& to);
// For a name, as a client sends it. Precondition: 1 to 255 bytes.
void write_socks5_datagram_head(const socks5_name& remote, std::vector<std::byte>& to);

} // namespace portico::wire
