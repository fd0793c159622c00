#include "portico/testkit/random.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <stdexcept>

namespace portico::testkit {
namespace {

TEST(seeded_random, the_same_seed_gives_the_same_numbers) {
    seeded_random first{7};
    seeded_random second{7};
    seeded_random other{8};
    const auto drawn = first();
    EXPECT_EQ(drawn, second());
    EXPECT_NE(drawn, other());
}

TEST(seeded_random, the_environment_gives_the_seed_and_it_is_printed) {
    ::setenv("PORTICO_SEED", "12345", 1);
    testing::internal::CaptureStderr();
    const seeded_random repeated;
    const auto said = testing::internal::GetCapturedStderr();
    ::unsetenv("PORTICO_SEED");
    EXPECT_EQ(repeated.seed(), 12345U);
    EXPECT_NE(said.find("PORTICO_SEED=12345"), std::string::npos) << said;
}

TEST(seeded_random, a_seed_that_is_no_number_is_refused) {
    ::setenv("PORTICO_SEED", "12x", 1);
    EXPECT_THROW(seeded_random{}, std::runtime_error);
    ::unsetenv("PORTICO_SEED");
}

TEST(seeded_random, below_reaches_every_number_and_no_other) {
    seeded_random dice{1};
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) {
        seen.insert(dice.below(6));
    }
    EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4, 5}));
}

TEST(seeded_random, a_chance_that_is_none_never_comes) {
    seeded_random dice{1};
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(dice.chance(0, 10));
        EXPECT_TRUE(dice.chance(10, 10));
    }
}

} // namespace
} // namespace portico::testkit
