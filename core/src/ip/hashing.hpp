// How the values of this area are hashed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::ip {

// Takes eight bytes at a time and mixes each word well enough that tables may use the low bits.
class hashing {
public:
    constexpr hashing& add(std::uint64_t word) noexcept {
        state_ = (state_ ^ word) * 0x9e3779b97f4a7c15U;
        state_ ^= state_ >> 32;
        state_ *= 0xd6e8feb86659fd93U;
        state_ ^= state_ >> 29;
        return *this;
    }
    constexpr hashing& add(const std::array<std::uint8_t, 16>& bytes) noexcept {
        return add(word_of(bytes.data())).add(word_of(bytes.data() + 8));
    }
    constexpr hashing& add(std::string_view text) noexcept {
        add(text.size());
        std::uint64_t word = 0;
        std::size_t filled = 0;
        for (const char c : text) {
            word = word << 8 | static_cast<unsigned char>(c);
            if (++filled % 8 == 0) {
                add(word);
                word = 0;
            }
        }
        return filled % 8 == 0 ? *this : add(word);
    }
    [[nodiscard]] constexpr std::size_t value() const noexcept { return state_; }

private:
    static constexpr std::uint64_t word_of(const std::uint8_t* bytes) noexcept {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            word = word << 8 | bytes[i];
        }
        return word;
    }

    std::uint64_t state_ = 0x6a09e667f3bcc908U;
};

} // namespace portico::ip
