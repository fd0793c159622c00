// A hash that a stranger cannot aim at, for tables that strangers fill.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace portico {

// 128 bits of a source that cannot be guessed. Drawn once, at the edge.
using hash_seed = std::array<std::uint64_t, 2>;

// SipHash-2-4 (Aumasson and Bernstein, 2012) over whole words, each little-endian in the message.
//
// Time: two rounds a word, four at the end. Memory: 40 bytes. Threads: a value.
class keyed_hash {
public:
    explicit constexpr keyed_hash(const hash_seed& seed) noexcept
        : v_{seed[0] ^ 0x736f6d6570736575U, seed[1] ^ 0x646f72616e646f6dU,
             seed[0] ^ 0x6c7967656e657261U, seed[1] ^ 0x7465646279746573U} {}

    constexpr keyed_hash& add(std::uint64_t word) noexcept {
        size_ += 8;
        take(word);
        return *this;
    }
    // Once, at the end.
    [[nodiscard]] constexpr std::uint64_t value() noexcept {
        take(size_ << 56);
        v_[2] ^= 0xff;
        for (int i = 0; i < 4; ++i) {
            round();
        }
        return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
    }

private:
    constexpr void take(std::uint64_t word) noexcept {
        v_[3] ^= word;
        round();
        round();
        v_[0] ^= word;
    }
    constexpr void round() noexcept {
        v_[0] += v_[1];
        v_[1] = std::rotl(v_[1], 13) ^ v_[0];
        v_[0] = std::rotl(v_[0], 32);
        v_[2] += v_[3];
        v_[3] = std::rotl(v_[3], 16) ^ v_[2];
        v_[0] += v_[3];
        v_[3] = std::rotl(v_[3], 21) ^ v_[0];
        v_[2] += v_[1];
        v_[1] = std::rotl(v_[1], 17) ^ v_[2];
        v_[2] = std::rotl(v_[2], 32);
    }

    std::array<std::uint64_t, 4> v_;
    std::uint64_t size_ = 0;
};

} // namespace portico
