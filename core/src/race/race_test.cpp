#include "portico/race/race.hpp"

#include "race/scripted_network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::race {
namespace {

using namespace std::chrono_literals;
using test::play;
using test::run_result;
using test::script;
using test::start_of_time;
using testing::ElementsAre;
using testing::IsEmpty;
using outcome = attempt_report::outcome;

ip::address address(std::string_view text) {
    return ip::parse_address(text).value();
}

const ip::source v4_source{.address = address("192.0.2.200"), .prefix_length = 24};
const ip::source v6_source{.address = address("2001:db8:ffff::1"), .prefix_length = 64};

std::vector<ip::destination> reachable(const std::vector<std::string>& texts) {
    std::vector<ip::destination> made;
    for (const auto& text : texts) {
        const auto to = address(text);
        made.push_back({.address = to, .from = to.is_v4() ? v4_source : v6_source});
    }
    return made;
}

std::vector<ip::destination> unreachable(const std::vector<std::string>& texts) {
    auto made = reachable(texts);
    for (auto& place : made) {
        place.from.reset();
    }
    return made;
}

error resolver_says(std::error_code code) {
    return {code, operation::resolve, side::system, {}};
}

constexpr auto v4 = ip::family::v4;
constexpr auto v6 = ip::family::v6;

// "2001:db8::1 at 20" for each start, in milliseconds.
std::vector<std::string> starts(const run_result& run) {
    std::vector<std::string> made;
    for (const auto& each : run.log) {
        if (each.what == test::happening::kind::start) {
            made.push_back(ip::to_text(each.who) + " at " +
                           std::to_string(each.at / std::chrono::milliseconds{1}));
        }
    }
    return made;
}

std::vector<attempt_id> abandons(const run_result& run) {
    std::vector<attempt_id> made;
    for (const auto& each : run.log) {
        if (each.what == test::happening::kind::abandon) {
            made.push_back(each.id);
        }
    }
    return made;
}

std::string winner(const run_result& run) {
    return run.story.winner ? ip::to_text(run.story.attempts[*run.story.winner].to.address) : "";
}

duration length(const run_result& run) {
    return run.story.ended - run.story.began;
}

// ---- RFC 8305 section 3: when the first attempt starts ----

TEST(race_resolution, a_positive_aaaa_answer_that_comes_first_starts_at_once) {
    script net;
    net.answers = {{20ms, v6, reachable({"2001:db8::1"}), {}}};
    net.fates[address("2001:db8::1")] = {30ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("2001:db8::1 at 20"));
    EXPECT_EQ(winner(run), "2001:db8::1");
    EXPECT_EQ(length(run), 50ms);
    EXPECT_FALSE(run.story.resolutions[1].answered.has_value());
}

TEST(race_resolution, an_a_answer_that_comes_first_waits_50_ms_for_aaaa) {
    script net;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 70"));
}

TEST(race_resolution, aaaa_within_the_delay_starts_ipv6_at_once) {
    script net;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}},
                   {40ms, v6, reachable({"2001:db8::1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 40", "192.0.2.1 at 290"));
}

TEST(race_resolution, an_empty_aaaa_answer_ends_the_wait_at_once) {
    script net;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}}, {30ms, v6, {}, {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 30"));
}

TEST(race_resolution, a_failing_aaaa_answer_ends_the_wait_at_once) {
    script net;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}},
                   {30ms, v6, {}, resolver_says(errc::no_address)}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("192.0.2.1 at 30"));
    EXPECT_EQ(run.story.resolutions[0].why->code, errc::no_address);
}

TEST(race_resolution, an_aaaa_answer_that_failed_before_means_no_wait) {
    script net;
    net.answers = {{10ms, v6, {}, resolver_says(errc::no_address)},
                   {20ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 20"));
}

TEST(race_resolution, an_a_answer_waits_for_nothing_when_aaaa_was_not_asked) {
    script net;
    net.how.expect_v6 = false;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("192.0.2.1 at 20"));
    EXPECT_EQ(run.story.resolutions.size(), 1U);
}

TEST(race_resolution, the_delay_is_configurable_down_to_none) {
    script net;
    net.how.resolution_delay = 0ms;
    net.answers = {{20ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 20"));
}

TEST(race_resolution, an_aaaa_answer_of_which_nothing_can_be_reached_waits_for_a) {
    script net;
    net.answers = {{20ms, v6, unreachable({"2001:db8::1"}), {}},
                   {40ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {5ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 40"));
}

TEST(race_resolution, an_aaaa_answer_after_the_delay_joins_the_race) {
    script net;
    net.answers = {{0ms, v4, reachable({"192.0.2.1", "192.0.2.2"}), {}},
                   {100ms, v6, reachable({"2001:db8::1"}), {}}};
    net.fates[address("2001:db8::1")] = {10ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("192.0.2.1 at 50", "2001:db8::1 at 300"));
    EXPECT_THAT(run.story.never_tried, ElementsAre(address("192.0.2.2")));
}

// ---- RFC 8305 section 4: the order ----

TEST(race_order, families_alternate_beginning_with_the_preferred_one) {
    script net;
    net.answers = {{0ms, v4, reachable({"192.0.2.1", "192.0.2.2"}), {}},
                   {0ms, v6, reachable({"2001:db8::1", "2001:db8::2", "2001:db8::3"}), {}}};
    net.fates[address("2001:db8::3")] = {1ms, true};
    EXPECT_THAT(starts(play(net)),
                ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 250", "2001:db8::2 at 500",
                            "192.0.2.2 at 750", "2001:db8::3 at 1000"));
}

TEST(race_order, a_first_family_count_of_two_puts_two_in_front) {
    script net;
    net.how.first_family_count = 2;
    net.answers = {{0ms, v6, reachable({"2001:db8::1", "2001:db8::2", "2001:db8::3"}), {}},
                   {0ms, v4, reachable({"192.0.2.1", "192.0.2.2"}), {}}};
    net.fates[address("192.0.2.2")] = {1ms, true};
    EXPECT_THAT(starts(play(net)),
                ElementsAre("2001:db8::1 at 0", "2001:db8::2 at 250", "192.0.2.1 at 500",
                            "2001:db8::3 at 750", "192.0.2.2 at 1000"));
}

TEST(race_order, addresses_without_a_source_come_last_but_come) {
    script net;
    net.answers = {{0ms, v4, reachable({"192.0.2.1", "192.0.2.2"}), {}},
                   {0ms, v6, unreachable({"2001:db8::1"}), {}}};
    net.fates[address("2001:db8::1")] = {1ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run),
                ElementsAre("192.0.2.1 at 0", "192.0.2.2 at 250", "2001:db8::1 at 500"));
    EXPECT_EQ(winner(run), "2001:db8::1");
}

TEST(race_order, what_won_before_comes_first_in_its_family) {
    script net;
    auto found = reachable({"2001:db8::1", "2001:db8::2"});
    found[1].used_before = true;
    net.answers = {{0ms, v6, found, {}}};
    net.fates[address("2001:db8::2")] = {1ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::2 at 0"));
}

TEST(race_order, alternates_in_place_for_any_list) {
    const auto order = [](std::vector<std::string> texts, ip::family first, std::size_t lead) {
        auto list = reachable(texts);
        interleave(list, first, lead);
        std::vector<std::string> made;
        for (const auto& place : list) {
            made.push_back(ip::to_text(place.address));
        }
        return made;
    };
    EXPECT_THAT(order({}, v6, 1), IsEmpty());
    EXPECT_THAT(order({"::1", "::2", "::3"}, v4, 1), ElementsAre("::1", "::2", "::3"));
    EXPECT_THAT(order({"::1", "::2", "1.1.1.1"}, v4, 1), ElementsAre("1.1.1.1", "::1", "::2"));
    EXPECT_THAT(order({"::1", "::2", "::3", "1.1.1.1"}, v6, 3),
                ElementsAre("::1", "::2", "::3", "1.1.1.1"));
    EXPECT_THAT(order({"1.1.1.1", "1.1.1.2", "::1", "::2", "1.1.1.3"}, v4, 1),
                ElementsAre("1.1.1.1", "::1", "1.1.1.2", "::2", "1.1.1.3"));
}

// ---- RFC 8305 section 5: the attempts ----

TEST(race_attempts, start_250_ms_apart_and_a_slow_one_may_still_win) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1", "2001:db8::2"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("2001:db8::1")] = {40s, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run),
                ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 250", "2001:db8::2 at 500"));
    EXPECT_EQ(winner(run), "2001:db8::1");
    EXPECT_EQ(length(run), 40s);
    EXPECT_THAT(abandons(run), ElementsAre(1U, 2U));
}

TEST(race_attempts, a_refused_one_starts_the_next_at_once) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("2001:db8::1")] = {1ms, false};
    net.fates[address("192.0.2.1")] = {3ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 1"));
    EXPECT_EQ(length(run), 4ms);
    EXPECT_EQ(run.story.attempts[0].how, outcome::failed);
    EXPECT_THAT(abandons(run), IsEmpty());
}

TEST(race_attempts, a_failure_after_all_were_tried_lets_a_late_address_start_at_once) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {100ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("2001:db8::1")] = {1ms, false};
    net.fates[address("192.0.2.1")] = {3ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 100"));
}

TEST(race_attempts, a_late_address_keeps_the_distance_to_the_last_start) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {100ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {3ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 250"));
}

TEST(race_attempts, an_address_that_comes_long_after_the_last_start_starts_at_once) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {900ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {3ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 900"));
}

TEST(race_attempts, the_delay_is_kept_between_10_ms_and_2_s) {
    script net;
    net.how.attempt_delay = 0ms;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {3ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 10"));
    net.how.attempt_delay = 1h;
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "192.0.2.1 at 2000"));
}

TEST(race_attempts, the_last_address_gets_all_the_time_left) {
    script net;
    net.how.until = deadline::at(start_of_time + 100s);
    net.answers = {{0ms, v6, {}, {}}, {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {99s, true};
    const auto run = play(net);
    EXPECT_EQ(winner(run), "192.0.2.1");
    EXPECT_EQ(length(run), 99s);
}

TEST(race_attempts, an_address_found_twice_is_tried_once) {
    script net;
    net.answers = {{0ms, v6, {}, {}},
                   {0ms, v4, reachable({"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"}), {}},
                   {300ms, v4, reachable({"192.0.2.2", "192.0.2.1", "192.0.2.3"}), {}}};
    for (const auto* text : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
        net.fates[address(text)] = {1s, false};
    }
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("192.0.2.1 at 0", "192.0.2.2 at 250", "192.0.2.3 at 500"));
    EXPECT_EQ(run.story.resolutions[1].found.size(), 3U);
    EXPECT_EQ(run.story.why->code, errc::all_attempts_failed);
}

TEST(race_attempts, of_two_connections_at_the_same_instant_the_first_told_wins) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("2001:db8::1")] = {300ms, true};
    net.fates[address("192.0.2.1")] = {50ms, true};
    const auto run = play(net);
    EXPECT_EQ(winner(run), "2001:db8::1");
    EXPECT_THAT(abandons(run), ElementsAre(1U));
    EXPECT_EQ(run.story.attempts[1].how, outcome::abandoned);
}

// ---- RFC 8305 section 6: answers that come while the race runs ----

TEST(race_merging, a_late_answer_goes_on_alternating_from_what_was_tried) {
    script net;
    net.answers = {
        {0ms, v4, reachable({"192.0.2.1", "192.0.2.2", "192.0.2.3"}), {}},
        {400ms, v6, reachable({"2001:db8::1", "2001:db8::2"}), {}},
    };
    net.fates[address("192.0.2.3")] = {1ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 50", "192.0.2.2 at 300",
                                               "2001:db8::1 at 550", "192.0.2.3 at 800"));
}

TEST(race_merging, a_late_answer_counts_the_first_family_that_was_tried) {
    script net;
    net.how.first_family_count = 2;
    net.answers = {
        {0ms, v6, reachable({"2001:db8::1", "2001:db8::2", "2001:db8::3"}), {}},
        {100ms, v4, reachable({"192.0.2.1", "192.0.2.2"}), {}},
    };
    net.fates[address("2001:db8::3")] = {1ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("2001:db8::1 at 0", "2001:db8::2 at 250",
                                               "192.0.2.1 at 500", "2001:db8::3 at 750"));
}

TEST(race_merging, what_is_over_the_limit_is_dropped_and_counted_from_the_end_of_the_order) {
    script net;
    net.how.max_addresses = 3;
    net.answers = {
        {0ms, v4, reachable({"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}), {}},
        {10ms, v6, reachable({"2001:db8::1", "2001:db8::2"}), {}},
    };
    for (const auto* text : {"192.0.2.1", "2001:db8::1", "2001:db8::2"}) {
        net.fates[address(text)] = {1ms, false};
    }
    const auto run = play(net);
    EXPECT_THAT(starts(run),
                ElementsAre("2001:db8::1 at 10", "192.0.2.1 at 11", "2001:db8::2 at 12"));
    EXPECT_EQ(run.story.dropped, 3U);
    EXPECT_EQ(run.story.resolutions[1].found.size(), 3U);
}

// ---- RFC 8305 section 7: only IPv6, and a NAT64 ----

std::vector<translator> well_known_nat64() {
    return {{ip::prefix::make(address("64:ff9b::"), 96).value(), v6_source}};
}

TEST(race_nat64, an_ipv4_address_without_a_source_is_reached_through_the_translator) {
    script net;
    net.nat64 = {{0ms, well_known_nat64()}};
    net.answers = {{5ms, v6, {}, {}}, {5ms, v4, unreachable({"192.0.2.1"}), {}}};
    net.fates[address("64:ff9b::c000:201")] = {1ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("64:ff9b::c000:201 at 5"));
    EXPECT_THAT(run.story.resolutions[1].found, ElementsAre(address("192.0.2.1")));
}

TEST(race_nat64, an_ipv4_address_with_a_source_is_left_alone) {
    script net;
    net.nat64 = {{0ms, well_known_nat64()}};
    net.answers = {{5ms, v6, {}, {}}, {5ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {1ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 5"));
}

TEST(race_nat64, a_translator_that_becomes_known_later_replaces_what_is_not_yet_tried) {
    script net;
    net.answers = {{0ms, v6, {}, {}}, {0ms, v4, unreachable({"192.0.2.1", "192.0.2.2"}), {}}};
    net.nat64 = {{100ms, well_known_nat64()}};
    net.fates[address("64:ff9b::c000:202")] = {1ms, true};
    const auto run = play(net);
    EXPECT_THAT(starts(run), ElementsAre("192.0.2.1 at 0", "64:ff9b::c000:201 at 250",
                                         "64:ff9b::c000:202 at 500"));
}

TEST(race_nat64, a_translator_that_cannot_be_reached_is_of_no_use) {
    script net;
    auto translators = well_known_nat64();
    translators[0].from.reset();
    net.nat64 = {{0ms, translators}};
    net.answers = {{5ms, v6, {}, {}}, {5ms, v4, unreachable({"192.0.2.1"}), {}}};
    net.fates[address("192.0.2.1")] = {1ms, true};
    EXPECT_THAT(starts(play(net)), ElementsAre("192.0.2.1 at 5"));
}

// ---- how it ends ----

TEST(race_end, all_failed_is_told_with_every_attempt) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    net.fates[address("2001:db8::1")] = {1ms, false};
    net.fates[address("192.0.2.1")] = {2ms, false};
    const auto run = play(net);
    ASSERT_TRUE(run.decided);
    EXPECT_EQ(run.story.why->code, errc::all_attempts_failed);
    EXPECT_EQ(run.story.why->op, operation::connect);
    EXPECT_EQ(run.story.why->who, side::peer);
    EXPECT_EQ(length(run), 3ms);
    ASSERT_EQ(run.story.attempts.size(), 2U);
    EXPECT_EQ(run.story.attempts[1].why->code, std::errc::connection_refused);
}

TEST(race_end, failed_attempts_wait_for_the_other_answer) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}},
                   {2s, v4, {}, resolver_says(errc::no_address)}};
    net.fates[address("2001:db8::1")] = {1ms, false};
    const auto run = play(net);
    EXPECT_EQ(run.story.why->code, errc::all_attempts_failed);
    EXPECT_EQ(length(run), 2s);
}

TEST(race_end, two_failed_answers_are_the_resolvers_error) {
    const auto ends_with = [](std::error_code for_v6, std::error_code for_v4) {
        script net;
        net.answers = {{1ms, v6, {}, resolver_says(for_v6)}, {2ms, v4, {}, resolver_says(for_v4)}};
        const auto run = play(net);
        EXPECT_THAT(run.story.attempts, IsEmpty());
        return run.story.why.value().code;
    };
    const auto temporary = std::make_error_code(std::errc::resource_unavailable_try_again);
    EXPECT_EQ(ends_with(errc::name_not_found, errc::name_not_found), errc::name_not_found);
    EXPECT_EQ(ends_with(errc::no_address, errc::name_not_found), errc::name_not_found);
    EXPECT_EQ(ends_with(errc::no_address, errc::no_address), errc::no_address);
    EXPECT_EQ(ends_with(errc::name_not_found, temporary), temporary);
    EXPECT_EQ(ends_with(temporary, errc::no_address), temporary);
}

TEST(race_end, two_empty_answers_are_no_address) {
    script net;
    net.answers = {{1ms, v6, {}, {}}, {2ms, v4, {}, {}}};
    const auto run = play(net);
    EXPECT_EQ(run.story.why->code, errc::no_address);
    EXPECT_EQ(run.story.why->op, operation::resolve);
    EXPECT_EQ(length(run), 2ms);
}

TEST(race_end, the_deadline_abandons_all_that_runs) {
    script net;
    net.how.until = deadline::at(start_of_time + 400ms);
    net.answers = {{0ms, v6, reachable({"2001:db8::1", "2001:db8::2"}), {}},
                   {0ms, v4, reachable({"192.0.2.1"}), {}}};
    const auto run = play(net);
    EXPECT_EQ(run.story.why->code, std::errc::timed_out);
    EXPECT_EQ(run.story.why->op, operation::connect);
    EXPECT_EQ(length(run), 400ms);
    EXPECT_THAT(abandons(run), ElementsAre(0U, 1U));
    EXPECT_THAT(run.story.never_tried, ElementsAre(address("2001:db8::2")));
}

TEST(race_end, the_deadline_may_pass_while_the_resolver_is_silent) {
    script net;
    net.how.until = deadline::at(start_of_time + 3s);
    const auto run = play(net);
    ASSERT_TRUE(run.decided);
    EXPECT_EQ(run.story.why->code, std::errc::timed_out);
    EXPECT_EQ(run.story.why->op, operation::resolve);
    EXPECT_EQ(length(run), 3s);
}

TEST(race_end, the_deadline_may_pass_during_the_resolution_delay) {
    script net;
    net.how.until = deadline::at(start_of_time + 30ms);
    net.answers = {{10ms, v4, reachable({"192.0.2.1"}), {}}};
    const auto run = play(net);
    EXPECT_THAT(starts(run), IsEmpty());
    EXPECT_EQ(run.story.why->code, std::errc::timed_out);
    EXPECT_THAT(run.story.never_tried, ElementsAre(address("192.0.2.1")));
}

TEST(race_end, a_connection_at_the_instant_of_the_deadline_wins_when_it_is_told_first) {
    script net;
    net.how.until = deadline::at(start_of_time + 30ms);
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}}};
    net.fates[address("2001:db8::1")] = {30ms, true};
    EXPECT_EQ(winner(play(net)), "2001:db8::1");
    net.pick = [](std::size_t count) { return count - 1; };
    EXPECT_EQ(winner(play(net)), "");
}

TEST(race_end, a_deadline_that_has_passed_decides_at_once) {
    config how;
    how.until = deadline::at(start_of_time);
    const race decided{how, start_of_time};
    EXPECT_TRUE(decided.is_decided());
    EXPECT_EQ(decided.story().why->code, std::errc::timed_out);
    EXPECT_TRUE(decided.poll_deadline().is_never());
}

TEST(race_end, without_a_question_there_is_no_address) {
    config how;
    how.expect_v4 = false;
    how.expect_v6 = false;
    const race decided{how, start_of_time};
    EXPECT_TRUE(decided.is_decided());
    EXPECT_EQ(decided.story().why->code, errc::no_address);
}

TEST(race_end, a_user_who_gives_up_ends_it) {
    script net;
    net.answers = {{0ms, v6, reachable({"2001:db8::1"}), {}}};
    net.cancel = 100ms;
    const auto run = play(net);
    EXPECT_EQ(run.story.why->code, std::errc::operation_canceled);
    EXPECT_THAT(abandons(run), ElementsAre(0U));
    EXPECT_EQ(length(run), 100ms);
}

TEST(race_end, nothing_changes_after_the_decision) {
    race decided{config{}, start_of_time};
    const auto found = reachable({"2001:db8::1", "2001:db8::2"});
    decided.handle_addresses(start_of_time, v6, found);
    ASSERT_TRUE(decided.poll_action().has_value());
    decided.handle_connected(start_of_time + 1ms, 0);
    ASSERT_TRUE(decided.is_decided());
    decided.handle_failed(start_of_time + 2ms, 0, resolver_says(errc::no_address));
    decided.handle_cancel(start_of_time + 3ms);
    decided.handle_addresses(start_of_time + 4ms, v4, reachable({"192.0.2.1"}));
    decided.handle_resolve_failed(start_of_time + 4ms, v4, resolver_says(errc::no_address));
    decided.handle_nat64(start_of_time + 4ms, well_known_nat64());
    decided.handle_deadline(start_of_time + 1h);
    EXPECT_FALSE(decided.poll_action().has_value());
    EXPECT_TRUE(decided.poll_deadline().is_never());
    EXPECT_EQ(decided.story().winner, 0U);
    EXPECT_EQ(decided.story().ended, start_of_time + 1ms);
    EXPECT_EQ(decided.story().attempts.size(), 1U);
    EXPECT_FALSE(decided.story().resolutions[1].answered.has_value());
}

TEST(race_end, events_of_unknown_attempts_are_ignored) {
    race waiting{config{}, start_of_time};
    waiting.handle_connected(start_of_time, 0);
    waiting.handle_failed(start_of_time, 7, resolver_says(errc::no_address));
    EXPECT_FALSE(waiting.is_decided());
    // Found, but not started: nobody can know its number yet.
    waiting.handle_addresses(start_of_time, v6, reachable({"2001:db8::1"}));
    waiting.handle_connected(start_of_time, 0);
    EXPECT_FALSE(waiting.is_decided());
}

TEST(race_end, a_clock_that_goes_back_is_held) {
    race held{config{}, start_of_time};
    held.handle_addresses(start_of_time, v6, reachable({"2001:db8::1", "2001:db8::2"}));
    ASSERT_TRUE(held.poll_action().has_value());
    held.handle_deadline(start_of_time - 1s);
    EXPECT_FALSE(held.poll_action().has_value());
    EXPECT_EQ(held.poll_deadline(), deadline::at(start_of_time + 250ms));
    held.handle_connected(start_of_time - 1s, 0);
    EXPECT_EQ(held.story().ended, start_of_time);
}

} // namespace
} // namespace portico::race
