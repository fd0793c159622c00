// Addresses as 128 bits, the form in which this area compares and cuts them.
#pragma once

#include "portico/ip/canonical.hpp"

#include <compare>
#include <cstdint>

namespace portico::admit {

// IPv4 addresses in their mapped form, as address::to_v6() gives them.
struct bits {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend constexpr auto operator<=>(const bits&, const bits&) = default;
};

[[nodiscard]] constexpr bits bits_of(const ip::address& which) noexcept {
    const auto bytes = which.to_v6();
    bits made;
    for (std::size_t i = 0; i < 8; ++i) {
        made.high = made.high << 8 | bytes[i];
        made.low = made.low << 8 | bytes[i + 8];
    }
    return made;
}

// The first `length` bits set; length is at most 128.
[[nodiscard]] constexpr bits mask_of(unsigned length) noexcept {
    const auto ones = [](unsigned count) {
        return count == 0 ? 0 : ~std::uint64_t{0} << (64 - count);
    };
    return length <= 64 ? bits{ones(length), 0} : bits{ones(64), ones(length - 64)};
}

// The first `length` bits, and zeros behind them.
[[nodiscard]] constexpr bits cut(bits which, unsigned length) noexcept {
    const bits mask = mask_of(length);
    return {which.high & mask.high, which.low & mask.low};
}

// A block of IPv4-mapped addresses (RFC 4291 section 2.5.5.2) as the IPv4 block it stands for;
// any other block as it is. Rules are held to canonical addresses, and would miss them otherwise.
[[nodiscard]] inline ip::prefix canonical_block(const ip::prefix& which) noexcept {
    constexpr unsigned mapped = 96;
    if (!which.base().is_v4_mapped() || which.length() < mapped) {
        return which;
    }
    return ip::prefix::make(ip::canonical(which.base()), which.length() - mapped).value_or(which);
}

} // namespace portico::admit
