// What the protocols of this area write: bytes in network order at the end of a vector.
#pragma once

#include "portico/ip/address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace portico::wire {

using octets = std::vector<std::byte>;

inline void put(octets& to, unsigned value) {
    to.push_back(static_cast<std::byte>(value));
}

inline void put(octets& to, std::string_view text) {
    for (const char c : text) {
        to.push_back(static_cast<std::byte>(c));
    }
}

inline void put(octets& to, std::span<const std::byte> from) {
    to.insert(to.end(), from.begin(), from.end());
}

template <std::size_t n>
void put(octets& to, const std::array<std::uint8_t, n>& from) {
    for (const auto byte : from) {
        to.push_back(static_cast<std::byte>(byte));
    }
}

inline void put_u16(octets& to, std::size_t value) {
    put(to, static_cast<unsigned>(value >> 8U & 0xffU));
    put(to, static_cast<unsigned>(value & 0xffU));
}

// The 4 or 16 bytes of an address.
inline void put(octets& to, const ip::address& which) {
    if (which.is_v4()) {
        put(to, which.to_v4());
    } else {
        put(to, which.to_v6());
    }
}

[[nodiscard]] inline unsigned byte_at(std::span<const std::byte> from, std::size_t at) noexcept {
    return std::to_integer<unsigned>(from[at]);
}

[[nodiscard]] inline std::uint16_t u16_at(std::span<const std::byte> from,
                                          std::size_t at) noexcept {
    return static_cast<std::uint16_t>(byte_at(from, at) << 8U | byte_at(from, at + 1));
}

[[nodiscard]] inline std::uint32_t u32_at(std::span<const std::byte> from,
                                          std::size_t at) noexcept {
    return static_cast<std::uint32_t>(u16_at(from, at)) << 16U | u16_at(from, at + 2);
}

// Precondition: the 4 bytes are there.
[[nodiscard]] inline ip::address v4_at(std::span<const std::byte> from, std::size_t at) noexcept {
    ip::address::v4_bytes made{};
    for (std::size_t i = 0; i < made.size(); ++i) {
        made[i] = std::to_integer<std::uint8_t>(from[at + i]);
    }
    return ip::address::v4(made);
}

// Precondition: the 16 bytes are there.
[[nodiscard]] inline ip::address v6_at(std::span<const std::byte> from, std::size_t at) noexcept {
    ip::address::v6_bytes made{};
    for (std::size_t i = 0; i < made.size(); ++i) {
        made[i] = std::to_integer<std::uint8_t>(from[at + i]);
    }
    return ip::address::v6(made);
}

} // namespace portico::wire
