#include "portico/base/deadline.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace portico {
namespace {

using namespace std::chrono_literals;

constexpr instant start{100s};

static_assert(std::is_trivially_copyable_v<deadline>);
static_assert(deadline::never().is_never());
static_assert(deadline::after(start, 5s).when() == instant{105s});
static_assert(deadline::after(start, 5s) == deadline::at(instant{105s}));
static_assert(deadline::after(start, duration::max()).is_never());
static_assert(deadline::after(instant::max(), 1ns).is_never());
static_assert(deadline::after(start, 5s) < deadline::never());

TEST(deadline, has_passed_from_its_instant_on) {
    const auto until = deadline::after(start, 5s);
    EXPECT_FALSE(until.has_passed(start));
    EXPECT_FALSE(until.has_passed(start + 5s - 1ns));
    EXPECT_TRUE(until.has_passed(start + 5s));
    EXPECT_TRUE(until.has_passed(start + 6s));
}

TEST(deadline, the_time_left_is_never_negative) {
    const auto until = deadline::after(start, 5s);
    EXPECT_EQ(until.remaining(start), 5s);
    EXPECT_EQ(until.remaining(start + 2s), 3s);
    EXPECT_EQ(until.remaining(start + 5s), 0s);
    EXPECT_EQ(until.remaining(start + 50s), 0s);
}

TEST(deadline, never_does_not_pass) {
    EXPECT_FALSE(deadline::never().has_passed(instant::max()));
    EXPECT_EQ(deadline::never().remaining(start), duration::max());
}

TEST(deadline, a_negative_wait_has_already_passed) {
    EXPECT_TRUE(deadline::after(start, -1ns).has_passed(start));
    EXPECT_TRUE(deadline::after(start, 0ns).has_passed(start));
    EXPECT_FALSE(deadline::after(start, 1ns).has_passed(start));
}

TEST(deadline, arithmetic_saturates_at_both_ends) {
    EXPECT_TRUE(deadline::after(start, duration::max() - 1ns).is_never());
    EXPECT_EQ(deadline::after(instant{-2s}, duration::min()).when(), instant::min());
    EXPECT_TRUE(deadline::after(instant{-2s}, duration::min()).has_passed(instant{-2s}));
    EXPECT_EQ(deadline::at(instant{1s}).remaining(instant::min()), duration::max());
    EXPECT_EQ(deadline::at(instant{1s}).remaining(instant{-1s}), 2s);
}

} // namespace
} // namespace portico
