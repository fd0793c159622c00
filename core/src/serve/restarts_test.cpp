#include "portico/serve/restarts.hpp"

#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using namespace std::chrono_literals;

constexpr program_run in_vain{.lasted = 5ms, .took = false};
constexpr program_run useful{.lasted = 5ms, .took = true};

using who = std::vector<std::uint64_t>;

waiting_clients waiting(who clients) {
    const auto count = clients.size();
    return {count, count, std::move(clients)};
}

TEST(has_taken, nobody_when_all_of_them_still_wait) {
    EXPECT_EQ(has_taken(waiting({1}), waiting({1})), false);
    EXPECT_EQ(has_taken(waiting({2, 1}), waiting({1, 3, 2})), false);
}

TEST(has_taken, one_whose_place_has_been_taken_by_others) {
    EXPECT_EQ(has_taken(waiting({1}), waiting({2})), true);
    EXPECT_EQ(has_taken(waiting({1, 2}), waiting({5, 2, 4, 3})), true);
}

TEST(has_taken, one_when_fewer_wait) {
    EXPECT_EQ(has_taken({2, 2, std::nullopt}, {1, 1, std::nullopt}), true);
    EXPECT_EQ(has_taken({2, 2, std::nullopt}, {2, 2, std::nullopt}), std::nullopt);
    EXPECT_EQ(has_taken({2, 2, std::nullopt}, waiting({3, 4})), std::nullopt);
}

// A connection that was reset waits without being seen; then somebody comes.
TEST(has_taken, one_that_could_not_be_told_apart) {
    EXPECT_EQ(has_taken({1, 1, who{}}, waiting({2})), true);
    EXPECT_EQ(has_taken({1, 1, who{0}}, waiting({2})), true);
    EXPECT_EQ(has_taken({1, 1, who{}}, {2, 2, who{2}}), false);
    EXPECT_EQ(has_taken({1, 1, who{0}}, {1, 1, who{0}}), false);
}

// Who comes while it is looked is in one of the two numbers only.
TEST(has_taken, nobody_when_some_came_meanwhile) {
    EXPECT_EQ(has_taken({1, 3, who{1, 2}}, {3, 4, who{1, 2, 3}}), false);
}

TEST(restart_pause, a_useful_run_is_followed_by_the_next_one_at_once) {
    restart_pause pause;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(pause.handle_end(useful), 0s);
    }
}

TEST(restart_pause, grows_with_each_run_in_vain_up_to_a_limit) {
    restart_pause pause;
    EXPECT_EQ(pause.handle_end(in_vain), 100ms);
    EXPECT_EQ(pause.handle_end(in_vain), 200ms);
    EXPECT_EQ(pause.handle_end(in_vain), 400ms);
    for (int i = 0; i < 100; ++i) {
        EXPECT_LE(pause.handle_end(in_vain), restart_pause::longest);
    }
    EXPECT_EQ(pause.handle_end(in_vain), 30s);
    EXPECT_EQ(pause.in_vain(), 104U);
}

TEST(restart_pause, begins_anew_after_a_useful_run) {
    restart_pause pause;
    EXPECT_EQ(pause.handle_end(in_vain), 100ms);
    EXPECT_EQ(pause.handle_end(in_vain), 200ms);
    EXPECT_EQ(pause.handle_end(useful), 0s);
    EXPECT_EQ(pause.in_vain(), 0U);
    EXPECT_EQ(pause.handle_end(in_vain), 100ms);
}

TEST(restart_pause, a_run_that_nobody_waits_for_or_that_took_its_time_is_not_in_vain) {
    restart_pause pause;
    EXPECT_EQ(pause.handle_end({.lasted = 5ms, .is_waited = false, .took = false}), 0s);
    EXPECT_EQ(pause.handle_end({.lasted = 1s, .took = false}), 0s);
}

TEST(restart_pause, one_of_which_nothing_is_known_is_in_vain) {
    restart_pause pause;
    EXPECT_EQ(pause.handle_end({.lasted = 5ms}), 100ms);
}

TEST(restart_pause, one_that_cannot_be_started_is_in_vain) {
    restart_pause pause;
    EXPECT_EQ(pause.handle_end({.started = false, .is_waited = false}), 100ms);
    EXPECT_EQ(pause.handle_end({.started = false}), 200ms);
}

} // namespace
} // namespace portico::serve
