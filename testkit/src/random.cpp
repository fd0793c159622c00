#include "portico/testkit/random.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace portico::testkit {
namespace {

constexpr const char* variable = "PORTICO_SEED";

std::uint64_t choose_seed() {
    const char* given = std::getenv(variable);
    if (given == nullptr) {
        std::random_device device;
        return (std::uint64_t{device()} << 32) | device();
    }
    const std::string text{given};
    std::uint64_t seed = 0;
    const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (why != std::errc{} || end != text.data() + text.size()) {
        throw std::runtime_error{std::string{variable} + "='" + text +
                                 "' is not a decimal number of 64 bits"};
    }
    return seed;
}

} // namespace

seeded_random::seeded_random() : seeded_random{choose_seed()} {
    std::fprintf(stderr, "seed %llu (the same again with %s=%llu)\n",
                 static_cast<unsigned long long>(seed_), variable,
                 static_cast<unsigned long long>(seed_));
}

std::uint64_t seeded_random::below(std::uint64_t limit) {
    // Numbers over the last whole multiple of `limit` would make the small results more likely.
    const auto whole = max() - max() % limit;
    auto drawn = engine_();
    while (drawn >= whole) {
        drawn = engine_();
    }
    return drawn % limit;
}

} // namespace portico::testkit
