#include "portico/serve/restarts.hpp"

#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using namespace std::chrono_literals;

constexpr program_run in_vain{.lasted = 5ms, .took = false};
constexpr program_run useful{.lasted = 5ms, .took = true};

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
