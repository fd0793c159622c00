// Random numbers that can be had again.
#pragma once

#include <cstdint>
#include <random>

namespace portico::testkit {

// A generator for the random tests, a UniformRandomBitGenerator. Its seed comes from the
// environment variable PORTICO_SEED when it is set, and is new otherwise; it is printed to stderr
// either way, so that a failure can be repeated. Threads: the caller serialises.
class seeded_random {
public:
    using result_type = std::uint64_t;

    // Throws std::runtime_error when PORTICO_SEED is not a number.
    seeded_random();
    // With this seed, printing nothing.
    explicit seeded_random(std::uint64_t seed) : seed_{seed}, engine_{seed} {}

    static constexpr result_type min() noexcept { return std::mt19937_64::min(); }
    static constexpr result_type max() noexcept { return std::mt19937_64::max(); }
    result_type operator()() { return engine_(); }

    // A number from 0 to `limit` - 1, each equally likely. Precondition: limit > 0. The same on
    // every standard library, unlike std::uniform_int_distribution.
    [[nodiscard]] std::uint64_t below(std::uint64_t limit);
    // True `times` out of `of` times.
    [[nodiscard]] bool chance(std::uint64_t times, std::uint64_t of) { return below(of) < times; }

    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

private:
    std::uint64_t seed_;
    std::mt19937_64 engine_;
};

} // namespace portico::testkit
