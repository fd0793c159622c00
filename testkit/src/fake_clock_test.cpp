#include "portico/testkit/fake_clock.hpp"

#include <gtest/gtest.h>

namespace portico::testkit {
namespace {

using std::chrono::milliseconds;

TEST(fake_clock, stands_still_until_it_is_told_to_go_on) {
    fake_clock clock;
    const auto before = clock.now();
    EXPECT_EQ(clock.now(), before);
    clock.advance(milliseconds{250});
    EXPECT_EQ(clock.now() - before, milliseconds{250});
    EXPECT_EQ(clock.elapsed(), milliseconds{250});
}

TEST(fake_clock, goes_to_a_deadline_and_not_past_it) {
    fake_clock clock;
    const auto until = deadline::after(clock.now(), milliseconds{10});
    clock.advance_to(until);
    EXPECT_TRUE(until.has_passed(clock.now()));
    EXPECT_EQ(clock.elapsed(), milliseconds{10});
    clock.advance_to(deadline::at(clock.now() - milliseconds{5}));
    EXPECT_EQ(clock.elapsed(), milliseconds{10});
}

TEST(fake_clock, never_goes_back_and_never_waits_for_ever) {
    fake_clock clock;
    EXPECT_THROW(clock.advance(milliseconds{-1}), std::invalid_argument);
    EXPECT_THROW(clock.advance_to(deadline::never()), std::invalid_argument);
}

} // namespace
} // namespace portico::testkit
