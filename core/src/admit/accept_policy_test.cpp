#include "portico/admit/accept_policy.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace portico::admit {
namespace {

using std::chrono::milliseconds;

constexpr instant start{std::chrono::seconds{100}};

std::error_code code(int number) {
    return {number, std::system_category()};
}

TEST(accept_policy, an_empty_queue_means_to_wait_for_readability) {
    accept_policy policy;
    EXPECT_EQ(policy.handle_failure(code(EAGAIN), true, start).step, accept_step::wait);
}

class one_connection : public testing::TestWithParam<int> {};

TEST_P(one_connection, the_next_one_is_tried_at_once) {
    accept_policy policy;
    const auto decided = policy.handle_failure(code(GetParam()), true, start);
    EXPECT_EQ(decided.step, accept_step::again);
    EXPECT_TRUE(decided.passed_over);
}

INSTANTIATE_TEST_SUITE_P(accept_policy, one_connection,
                         testing::Values(ECONNABORTED, EPROTO, EPERM, EINTR, ENETDOWN, ENOPROTOOPT,
                                         EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH));

TEST(accept_policy, without_descriptors_one_connection_is_shed_while_there_is_a_spare) {
    accept_policy policy;
    EXPECT_EQ(policy.handle_failure(code(EMFILE), true, start).step, accept_step::shed);
    EXPECT_EQ(policy.handle_failure(code(ENFILE), true, start).step, accept_step::shed);
    EXPECT_EQ(policy.handle_failure(code(EMFILE), false, start).step, accept_step::pause);
}

TEST(accept_policy, pauses_double_up_to_a_second_and_start_over_after_an_accept) {
    accept_policy policy;
    for (const int length : {10, 20, 40, 80, 160, 320, 640, 1000, 1000}) {
        const auto decided = policy.handle_failure(code(ENOBUFS), true, start);
        EXPECT_EQ(decided.step, accept_step::pause);
        EXPECT_EQ(decided.until, start + milliseconds{length});
    }
    policy.handle_accepted();
    EXPECT_EQ(policy.handle_failure(code(ENOMEM), true, start).until, start + milliseconds{10});
}

TEST(accept_policy, a_spare_that_does_not_help_is_a_pause) {
    accept_policy policy;
    const auto decided = policy.handle_shed(code(ENFILE), start);
    EXPECT_EQ(decided.step, accept_step::pause);
    EXPECT_EQ(decided.until, start + milliseconds{10});
}

TEST(accept_policy, a_connection_that_is_gone_when_it_is_to_be_shed_is_no_pause) {
    accept_policy policy;
    EXPECT_EQ(policy.handle_shed(code(EAGAIN), start).step, accept_step::wait);
}

TEST(accept_policy, shedding_goes_on_but_rests_after_a_long_run) {
    accept_policy policy;
    for (unsigned i = 1; i < accept_policy::run_limit; ++i) {
        EXPECT_EQ(policy.handle_shed({}, start).step, accept_step::again);
    }
    const auto rest = policy.handle_shed({}, start);
    EXPECT_EQ(rest.step, accept_step::pause);
    EXPECT_EQ(rest.until, start + milliseconds{10});
    // Clients that come back for ever are shed at a steady rate: the rests do not grow.
    for (unsigned i = 1; i < accept_policy::run_limit; ++i) {
        EXPECT_EQ(policy.handle_shed({}, start).step, accept_step::again);
    }
    EXPECT_EQ(policy.handle_shed({}, start).until, start + milliseconds{10});
}

// The guarantee behind "never spins": whatever accept(2) says for ever, calls per second are
// bounded.
TEST(accept_policy, no_error_whatever_makes_a_driver_spin) {
    for (int number = 1; number < 134; ++number) {
        if (number == EAGAIN) {
            continue;
        }
        for (const bool has_spare : {true, false}) {
            accept_policy policy;
            instant now = start;
            unsigned calls = 0;
            while (now < start + std::chrono::seconds{10}) {
                auto decided = policy.handle_failure(code(number), has_spare, now);
                ++calls;
                if (decided.step == accept_step::shed) {
                    decided = policy.handle_shed(code(number), now);
                    ++calls;
                }
                if (decided.step == accept_step::pause) {
                    ASSERT_GT(decided.until, now);
                    now = decided.until;
                }
                ASSERT_NE(decided.step, accept_step::wait) << number;
                ASSERT_LE(calls, 20 * accept_policy::run_limit) << number;
            }
        }
    }
}

} // namespace
} // namespace portico::admit
