// Numbers as XDR has them: most significant byte first, in units of four bytes (RFC 4506 section
// 3).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace portico::xdr::detail {

// The size of a unit; everything is filled up to a multiple of it with zeros.
inline constexpr std::size_t unit = 4;

[[nodiscard]] constexpr std::size_t padding_after(std::size_t size) noexcept {
    return (unit - size % unit) % unit;
}

// From the order of this machine to that of the network, or back.
template <std::size_t size>
[[nodiscard]] constexpr std::array<std::byte, size>
reordered(std::array<std::byte, size> bytes) noexcept {
    if constexpr (std::endian::native == std::endian::big) {
        return bytes;
    } else if constexpr (size == 4) {
        const auto word = std::bit_cast<std::uint32_t>(bytes);
        return std::bit_cast<std::array<std::byte, size>>(__builtin_bswap32(word));
    } else if constexpr (size == 8) {
        const auto word = std::bit_cast<std::uint64_t>(bytes);
        return std::bit_cast<std::array<std::byte, size>>(__builtin_bswap64(word));
    } else {
        std::ranges::reverse(bytes);
        return bytes;
    }
}
static_assert(std::endian::native == std::endian::big ||
              std::endian::native == std::endian::little);

// Precondition: as many bytes as a T has are there.
template <class T>
[[nodiscard]] constexpr T number_at(const std::byte* from) noexcept {
    std::array<std::byte, sizeof(T)> bytes{};
    std::copy_n(from, sizeof(T), bytes.begin());
    return std::bit_cast<T>(reordered(bytes));
}

// Precondition: there is room for as many bytes as a T has.
template <class T>
constexpr void put_number(std::byte* to, T value) noexcept {
    const auto bytes = reordered(std::bit_cast<std::array<std::byte, sizeof(T)>>(value));
    std::copy_n(bytes.begin(), sizeof(T), to);
}

} // namespace portico::xdr::detail
