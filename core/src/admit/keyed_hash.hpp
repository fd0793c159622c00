// A hash that a stranger cannot aim at: SipHash-2-4 (Aumasson and Bernstein, 2012).
#pragma once

#include "portico/admit/rate_tiers.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <span>

namespace portico::admit {

class sip_state {
public:
    explicit constexpr sip_state(const hash_seed& seed) noexcept
        : v_{seed[0] ^ 0x736f6d6570736575U, seed[1] ^ 0x646f72616e646f6dU,
             seed[0] ^ 0x6c7967656e657261U, seed[1] ^ 0x7465646279746573U} {}

    constexpr void add(std::uint64_t word) noexcept {
        v_[3] ^= word;
        round();
        round();
        v_[0] ^= word;
    }
    [[nodiscard]] constexpr std::uint64_t finish() noexcept {
        v_[2] ^= 0xff;
        for (int i = 0; i < 4; ++i) {
            round();
        }
        return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
    }

private:
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
};

// Of whole words, each little-endian in the message.
[[nodiscard]] constexpr std::uint64_t keyed_hash(const hash_seed& seed,
                                                 std::span<const std::uint64_t> words) noexcept {
    sip_state state{seed};
    for (const auto word : words) {
        state.add(word);
    }
    state.add(static_cast<std::uint64_t>(words.size() * 8 % 256) << 56);
    return state.finish();
}

} // namespace portico::admit
