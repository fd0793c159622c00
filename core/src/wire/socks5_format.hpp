// What SOCKS 5 looks like, for its client, its server and its datagrams (RFC 1928, RFC 1929).
#pragma once

#include "portico/ip/endpoint.hpp"
#include "wire/bytes.hpp"
#include "wire/names.hpp"

#include <optional>
#include <variant>

namespace portico::wire::socks5 {

inline constexpr unsigned version = 5;
inline constexpr unsigned authentication_version = 1;
inline constexpr unsigned method_none = 0;
inline constexpr unsigned method_password = 2;
inline constexpr unsigned method_no_acceptable = 0xff;
inline constexpr unsigned command_connect = 1;
inline constexpr unsigned command_bind = 2;
inline constexpr unsigned command_udp_associate = 3;
inline constexpr unsigned address_v4 = 1;
inline constexpr unsigned address_name = 3;
inline constexpr unsigned address_v6 = 4;
inline constexpr std::size_t max_credential = 255;

// ATYP, DST.ADDR and DST.PORT (RFC 1928 section 5).

// How many bytes they have, or at least have: then more of them are needed to tell. nullopt: the
// type is unknown. Precondition: not empty.
[[nodiscard]] inline std::optional<std::size_t>
address_size(std::span<const std::byte> so_far) noexcept {
    switch (byte_at(so_far, 0)) {
    case address_v4:
        return 1 + 4 + 2;
    case address_v6:
        return 1 + 16 + 2;
    case address_name:
        return so_far.size() < 2 ? 2 : 1 + 1 + byte_at(so_far, 1) + 2U;
    default:
        return std::nullopt;
    }
}

struct host_and_port {
    std::variant<std::string_view, ip::address> host; // a name refers to the bytes, as they are
    std::uint16_t port = 0;
};

// Precondition: they are whole, and of a known type.
[[nodiscard]] inline host_and_port read_address(std::span<const std::byte> whole) noexcept {
    const auto port = u16_at(whole, whole.size() - 2);
    switch (byte_at(whole, 0)) {
    case address_v4:
        return {v4_at(whole, 1), port};
    case address_v6:
        return {v6_at(whole, 1), port};
    default:
        return {std::string_view{reinterpret_cast<const char*>(whole.data()) + 2, whole.size() - 4},
                port};
    }
}

inline void put_address(octets& to, const ip::endpoint& which) {
    put(to, which.address.is_v4() ? address_v4 : address_v6);
    put(to, which.address);
    put_u16(to, which.port);
}

// Precondition: at most 255 bytes.
inline void put_address(octets& to, std::string_view name, std::uint16_t port) {
    put(to, address_name);
    put(to, static_cast<unsigned>(name.size()));
    put(to, name);
    put_u16(to, port);
}

} // namespace portico::wire::socks5
