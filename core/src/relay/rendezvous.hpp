// Rendezvous hashing with weights: each client has a distance to each target, and goes to the
// nearest. -log2 of a uniform number, divided by the weight, is shortest for each target with a
// probability in proportion to its weight.
#pragma once

#include "portico/base/keyed_hash.hpp"
#include "portico/ip/any_endpoint.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace portico::relay {

constexpr std::uint64_t word_of(const std::uint8_t* bytes) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        word = word << 8 | bytes[i];
    }
    return word;
}

inline std::uint64_t text_key(const hash_seed& seed, std::string_view text,
                              std::uint64_t first) noexcept {
    keyed_hash hash{seed};
    hash.add(first).add(text.size());
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        word = word << 8 | static_cast<unsigned char>(text[i]);
        if (i % 8 == 7) {
            hash.add(word);
        }
    }
    return hash.add(word).value();
}

// Of the address; neither port nor zone count.
inline std::uint64_t client_key(const hash_seed& seed, const ip::any_endpoint& client) noexcept {
    if (const auto* const inet = std::get_if<ip::endpoint>(&client)) {
        const auto bytes = inet->address.to_v6();
        const auto first = static_cast<std::uint64_t>(inet->address.family());
        return keyed_hash{seed}
            .add(first)
            .add(word_of(bytes.data()))
            .add(word_of(bytes.data() + 8))
            .value();
    }
    const auto* const file = std::get_if<ip::unix_name>(&client);
    return text_key(seed, file == nullptr ? std::string_view{} : file->text(), 1);
}

// log2 of 1 + i/256, in 2^-24: by squaring, a bit of the result each time.
constexpr std::array<std::uint32_t, 257> make_log2_table() noexcept {
    std::array<std::uint32_t, 257> made{};
    for (std::size_t i = 0; i < 256; ++i) {
        std::uint64_t x = (std::uint64_t{256} + i) << 23; // 1.31
        for (unsigned bit = 0; bit < 24; ++bit) {
            x = x * x >> 31;
            made[i] <<= 1;
            if (x >= std::uint64_t{1} << 32) {
                x >>= 1;
                made[i] |= 1;
            }
        }
    }
    made[256] = 1U << 24;
    return made;
}

// -log2(number / 2^64) in 2^-24, between the table's values by a straight line: it never falls when
// the number does. More than 0 and at most 64.
constexpr std::uint64_t minus_log2(std::uint64_t number) noexcept {
    constexpr auto table = make_log2_table();
    number |= 1;
    const auto zeros = static_cast<unsigned>(std::countl_zero(number));
    const auto mantissa = (number << zeros) & ~(std::uint64_t{1} << 63);
    const auto i = static_cast<std::size_t>(mantissa >> 55);
    const std::uint64_t rest = mantissa >> 31 & 0xffffff;
    const std::uint64_t fraction = table[i] + ((table[i + 1] - table[i]) * rest >> 24);
    return ((std::uint64_t{zeros} + 1) << 24) - fraction;
}

class distance {
public:
    // weight: 1 to 2^24.
    constexpr distance(std::uint64_t client, std::uint64_t target, std::int64_t weight) noexcept
        : drawn_{mixed(client ^ target)}, weight_{static_cast<std::uint64_t>(weight)} {}

    // For equal weights the drawn number decides, and the logarithm need not be known.
    [[nodiscard]] constexpr bool is_nearer_than(const distance& other) const noexcept {
        if (weight_ != other.weight_) {
            const auto here = minus_log2(drawn_) * other.weight_;
            const auto there = minus_log2(other.drawn_) * weight_;
            if (here != there) {
                return here < there;
            }
        }
        return drawn_ > other.drawn_;
    }

private:
    static constexpr std::uint64_t mixed(std::uint64_t word) noexcept {
        word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9U; // Steele et al., SplitMix, 2014
        word = (word ^ word >> 27) * 0x94d049bb133111ebU;
        return word ^ word >> 31;
    }

    std::uint64_t drawn_; // uniform, the higher the nearer
    std::uint64_t weight_;
};

} // namespace portico::relay
