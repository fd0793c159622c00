#include "portico/relay/target_health.hpp"

#include <gtest/gtest.h>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;
using condition = way_health::condition;

constexpr instant start{1000s};

error failed_with(std::errc why, side who = side::peer) {
    return {std::make_error_code(why), operation::connect, who, {}};
}

way_health resting_since(instant when, const health_settings& how) {
    way_health made;
    for (std::uint32_t i = 0; i < how.failures; ++i) {
        made.handle_failed(when, how);
    }
    return made;
}

TEST(target_health, only_failures_in_a_row_take_it_down) {
    const health_settings how{.failures = 3};
    way_health seen;
    for (int i = 0; i < 10; ++i) {
        seen.handle_failed(start, how);
        seen.handle_failed(start, how);
        EXPECT_EQ(seen.state(), condition::up);
        seen.handle_connected(how);
    }
    seen.handle_failed(start, how);
    seen.handle_failed(start, how);
    EXPECT_TRUE(seen.is_usable(start));
    seen.handle_failed(start, how);
    EXPECT_EQ(seen.state(), condition::resting);
    EXPECT_FALSE(seen.is_usable(start));
    EXPECT_EQ(seen.retry_at(), deadline::at(start + 1s));
}

TEST(target_health, a_rest_doubles_from_1_s_to_60_s_and_each_ends_with_one_trial) {
    const health_settings how;
    auto seen = resting_since(start, how);
    auto now = start;
    for (const auto rest : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
        EXPECT_FALSE(seen.is_usable(now + rest - 1ns));
        now += rest;
        ASSERT_TRUE(seen.is_usable(now)) << rest.count();
        seen.handle_chosen(now);
        EXPECT_EQ(seen.state(), condition::on_trial);
        EXPECT_FALSE(seen.is_usable(now)) << "one trial at a time";
        seen.handle_failed(now, how);
        EXPECT_EQ(seen.state(), condition::resting);
    }
    now += 60s;
    seen.handle_chosen(now);
    seen.handle_connected(how);
    EXPECT_EQ(seen.state(), condition::up);
    EXPECT_EQ(seen.retry_at(), deadline::never());
    EXPECT_EQ(seen.failures(), 0U);
    EXPECT_EQ(resting_since(now, how).retry_at(), deadline::at(now + 1s));
}

TEST(target_health, a_trial_that_never_reports_is_followed_by_another) {
    const health_settings how;
    auto seen = resting_since(start, how);
    seen.handle_chosen(start + 1s);
    EXPECT_FALSE(seen.is_usable(start + 2s - 1ns));
    EXPECT_TRUE(seen.is_usable(start + 2s));
}

TEST(target_health, failures_that_come_late_do_not_make_a_rest_longer) {
    const health_settings how;
    auto seen = resting_since(start, how);
    for (int i = 0; i < 1000; ++i) {
        seen.handle_failed(start + 10ms, how);
    }
    EXPECT_EQ(seen.retry_at(), deadline::at(start + 1s));
    EXPECT_EQ(seen.failures(), 1003U);
}

TEST(target_health, without_a_limit_failures_do_not_count) {
    const health_settings how{.failures = 0};
    way_health seen;
    for (int i = 0; i < 100; ++i) {
        seen.handle_failed(start, how);
    }
    EXPECT_EQ(seen.state(), condition::up);
}

TEST(target_health, checks_take_it_down_after_fall_and_up_after_rise) {
    const health_settings how{.rise = 2, .fall = 3};
    way_health seen;
    for (const bool passed : {false, false, true, false, false}) {
        seen.handle_check(how, passed);
        EXPECT_EQ(seen.state(), condition::up);
    }
    seen.handle_check(how, false);
    EXPECT_EQ(seen.state(), condition::unfit);
    EXPECT_FALSE(seen.is_usable(start + 1000h)) << "no client tries what the checks say is down";
    seen.handle_check(how, true);
    seen.handle_check(how, false);
    seen.handle_check(how, true);
    EXPECT_EQ(seen.state(), condition::unfit);
    seen.handle_check(how, true);
    EXPECT_EQ(seen.state(), condition::up);
}

TEST(target_health, passed_checks_end_a_rest_and_failed_ones_end_its_trials) {
    const health_settings how{.rise = 2, .fall = 1};
    auto seen = resting_since(start, how);
    seen.handle_check(how, true);
    EXPECT_EQ(seen.state(), condition::resting);
    seen.handle_check(how, true);
    EXPECT_EQ(seen.state(), condition::up);

    seen = resting_since(start, how);
    seen.handle_check(how, false);
    EXPECT_EQ(seen.state(), condition::unfit);
    EXPECT_FALSE(seen.is_usable(start + 1h));
}

TEST(target_health, a_connection_that_worked_counts_as_a_passed_check) {
    const health_settings how{.rise = 2, .fall = 1};
    way_health seen;
    seen.handle_check(how, false);
    seen.handle_connected(how);
    EXPECT_EQ(seen.state(), condition::unfit);
    seen.handle_connected(how);
    EXPECT_EQ(seen.state(), condition::up);
}

TEST(target_health, what_this_host_lacks_is_not_the_targets_fault) {
    EXPECT_TRUE(speaks_of_target(failed_with(std::errc::connection_refused)));
    EXPECT_TRUE(speaks_of_target(failed_with(std::errc::timed_out)));
    EXPECT_TRUE(speaks_of_target(failed_with(std::errc::network_unreachable, side::system)));
    EXPECT_TRUE(speaks_of_target(failed_with(std::errc::no_such_file_or_directory, side::system)));
    for (const auto ours : {std::errc::too_many_files_open, std::errc::not_enough_memory,
                            std::errc::address_not_available, std::errc::permission_denied}) {
        EXPECT_FALSE(speaks_of_target(failed_with(ours, side::system)));
    }
    EXPECT_FALSE(speaks_of_target(failed_with(std::errc::invalid_argument, side::portico)));
}

TEST(target_health, the_less_bad_one_rests_and_ends_its_rest_first) {
    const health_settings how{.fall = 1};
    const auto early = resting_since(start, how);
    const auto late = resting_since(start + 1ms, how);
    way_health unfit;
    unfit.handle_check(how, false);
    EXPECT_TRUE(early.is_less_bad_than(late));
    EXPECT_FALSE(late.is_less_bad_than(early));
    EXPECT_TRUE(late.is_less_bad_than(unfit));
    EXPECT_FALSE(unfit.is_less_bad_than(late));
    EXPECT_FALSE(early.is_less_bad_than(early));
}

TEST(target_health, the_way_of_an_address_is_its_family) {
    EXPECT_EQ(way_of(ip::any_endpoint{ip::endpoint{ip::address::v4(127, 0, 0, 1), 1}}), way::v4);
    EXPECT_EQ(way_of(ip::any_endpoint{ip::endpoint{ip::address::loopback(ip::family::v6), 1}}),
              way::v6);
    EXPECT_EQ(way_of(ip::any_endpoint{*ip::unix_name::path("/a")}), way::local);
    way_set some;
    EXPECT_TRUE(some.empty());
    some.add(way::v6);
    EXPECT_TRUE(some.has(way::v6));
    EXPECT_FALSE(some.has(way::v4));
}

} // namespace
} // namespace portico::relay
