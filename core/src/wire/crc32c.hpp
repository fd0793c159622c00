// CRC32c (RFC 4960 appendix B), for the PROXY protocol.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace portico::wire {

namespace crc32c_details {

constexpr std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < made.size(); ++i) {
        auto value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value & 1U) != 0 ? (value >> 1U) ^ 0x82f63b78U : value >> 1U;
        }
        made[i] = value;
    }
    return made;
}();

} // namespace crc32c_details

// Over bytes that come in pieces.
class crc32c {
public:
    constexpr crc32c& add(std::byte each) noexcept {
        const auto low = (state_ ^ std::to_integer<std::uint32_t>(each)) & 0xffU;
        state_ = (state_ >> 8U) ^ crc32c_details::table[low];
        return *this;
    }
    constexpr crc32c& add(std::span<const std::byte> bytes) noexcept {
        for (const auto each : bytes) {
            add(each);
        }
        return *this;
    }
    [[nodiscard]] constexpr std::uint32_t value() const noexcept { return ~state_; }

private:
    std::uint32_t state_ = 0xffffffffU;
};

} // namespace portico::wire
