#include "portico/admit/gate.hpp"

#include "portico/testkit/random.hpp"

#include <gtest/gtest.h>

namespace portico::admit {
namespace {

TEST(gate, a_full_gate_that_queues_stops_accepting_until_one_has_ended) {
    gate way{2, when_full::queue};
    EXPECT_TRUE(way.handle_connection());
    EXPECT_TRUE(way.poll_accepting());
    EXPECT_TRUE(way.handle_connection());
    EXPECT_FALSE(way.poll_accepting());
    EXPECT_TRUE(way.handle_ended()); // it begins again, said once
    EXPECT_TRUE(way.poll_accepting());
    EXPECT_FALSE(way.handle_ended());
    EXPECT_EQ(way.open(), 0U);
    EXPECT_EQ(way.counts().refused, 0U);
    EXPECT_EQ(way.counts().filled, 1U);
}

TEST(gate, one_that_slipped_through_a_queueing_gate_is_refused) {
    gate way{1, when_full::queue};
    EXPECT_TRUE(way.handle_connection());
    EXPECT_FALSE(way.handle_connection());
    EXPECT_EQ(way.open(), 1U);
    EXPECT_EQ(way.counts().refused, 1U);
}

TEST(gate, a_full_gate_that_refuses_goes_on_accepting) {
    gate way{1, when_full::refuse};
    EXPECT_TRUE(way.handle_connection());
    EXPECT_TRUE(way.poll_accepting());
    EXPECT_FALSE(way.handle_connection());
    EXPECT_FALSE(way.handle_connection());
    EXPECT_FALSE(way.handle_ended()); // it never stopped
    EXPECT_TRUE(way.handle_connection());
    EXPECT_EQ(way.counts().refused, 2U);
    EXPECT_EQ(way.counts().let_in, 2U);
    EXPECT_EQ(way.counts().most_open, 1U);
}

TEST(gate, a_limit_of_zero_lets_nobody_in) {
    gate way{0, when_full::queue};
    EXPECT_FALSE(way.poll_accepting());
    EXPECT_FALSE(way.handle_connection());
    EXPECT_FALSE(way.handle_ended()); // nothing happens
    EXPECT_EQ(way.open(), 0U);
}

TEST(gate, a_lower_limit_throws_nobody_out_and_a_higher_one_opens_again) {
    gate way{3, when_full::queue};
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(way.handle_connection());
    }
    EXPECT_FALSE(way.handle_limit(1, when_full::queue));
    EXPECT_EQ(way.open(), 3U);
    EXPECT_FALSE(way.handle_ended());
    EXPECT_FALSE(way.handle_ended());
    EXPECT_FALSE(way.poll_accepting()); // one is open, one may be
    EXPECT_TRUE(way.handle_limit(2, when_full::queue));
    EXPECT_TRUE(way.handle_connection());
    EXPECT_TRUE(way.handle_limit(2, when_full::refuse));
}

TEST(gate, in_any_order_of_operations_the_counts_add_up) {
    testkit::seeded_random random;
    for (int round = 0; round < 50; ++round) {
        std::size_t limit = random.below(8);
        auto mode = random.chance(1, 2) ? when_full::queue : when_full::refuse;
        gate way{limit, mode};
        std::size_t open = 0;
        std::uint64_t let_in = 0;
        std::uint64_t refused = 0;
        for (int i = 0; i < 500; ++i) {
            const bool accepting = open < limit || mode == when_full::refuse;
            ASSERT_EQ(way.poll_accepting(), accepting);
            bool begins = false;
            switch (random.below(8)) {
            case 0:
                limit = random.below(8);
                mode = random.chance(1, 2) ? when_full::queue : when_full::refuse;
                begins = way.handle_limit(limit, mode);
                break;
            case 1:
            case 2:
            case 3:
                open -= open == 0 ? 0U : 1U;
                begins = way.handle_ended();
                break;
            default:
                ASSERT_EQ(way.handle_connection(), open < limit);
                ++(open < limit ? let_in : refused);
                open += open < limit ? 1U : 0U;
                break;
            }
            ASSERT_EQ(way.open(), open);
            ASSERT_EQ(begins, !accepting && way.poll_accepting());
            ASSERT_EQ(way.counts().let_in, let_in);
            ASSERT_EQ(way.counts().refused, refused);
        }
    }
}

} // namespace
} // namespace portico::admit
