#include "portico/admit/accept_order.hpp"

#include <gtest/gtest.h>

#include <array>

namespace portico::admit {
namespace {

constexpr instant start{std::chrono::seconds{100}};

TEST(accept_order, nothing_is_asked_before_it_is_readable) {
    accept_order order{3};
    EXPECT_EQ(order.poll_next(start), std::nullopt);
    order.handle_readable(2);
    order.handle_readable(2);
    EXPECT_EQ(order.poll_next(start), 2U);
    EXPECT_EQ(order.poll_next(start), std::nullopt);
}

TEST(accept_order, a_busy_socket_does_not_starve_another) {
    accept_order order{3};
    std::array<int, 3> asked{};
    order.handle_readable(0);
    for (int turn = 0; turn < 30; ++turn) {
        const auto next = order.poll_next(start);
        ASSERT_TRUE(next);
        ++asked.at(*next);
        order.handle_more(*next); // all of them always have more
        if (turn == 2) {
            order.handle_readable(1);
            order.handle_readable(2);
        }
    }
    EXPECT_EQ(asked, (std::array<int, 3>{12, 9, 9}));
}

TEST(accept_order, an_idle_socket_is_asked_again_when_it_is_readable) {
    accept_order order{1};
    order.handle_readable(0);
    ASSERT_EQ(order.poll_next(start), 0U);
    order.handle_idle(0);
    EXPECT_EQ(order.poll_next(start), std::nullopt);
    order.handle_readable(0);
    EXPECT_EQ(order.poll_next(start), 0U);
}

TEST(accept_order, a_paused_socket_rests_until_its_time_while_others_go_on) {
    accept_order order{2};
    order.handle_readable(0);
    order.handle_readable(1);
    ASSERT_EQ(order.poll_next(start), 0U);
    order.handle_pause(0, start + std::chrono::seconds{1});
    order.handle_readable(0); // readable or not, it rests
    EXPECT_EQ(order.poll_next(start), 1U);
    order.handle_idle(1);
    EXPECT_EQ(order.poll_next(start), std::nullopt);
    EXPECT_EQ(order.poll_wake(), start + std::chrono::seconds{1});
    EXPECT_EQ(order.poll_next(start + std::chrono::seconds{1}), 0U);
    EXPECT_EQ(order.poll_wake(), std::nullopt);
}

} // namespace
} // namespace portico::admit
