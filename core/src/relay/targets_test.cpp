#include "portico/relay/targets.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;

constexpr instant start{1000s};
constexpr hash_seed seed{1, 2};

ip::any_endpoint v4(std::uint8_t last) {
    return ip::endpoint{ip::address::v4(192, 0, 2, last), 80};
}
ip::any_endpoint v6(std::uint8_t last) {
    return ip::endpoint{
        ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}), 80};
}
ip::any_endpoint client(unsigned number) {
    const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(number >> shift); };
    return ip::endpoint{ip::address::v4(10, byte(16), byte(8), byte(0)), 1234};
}

error refused() {
    return {
        std::make_error_code(std::errc::connection_refused), operation::connect, side::peer, {}};
}

target_wish wish(std::string name, std::uint16_t weight = 1, std::uint16_t priority = 0) {
    const auto last = static_cast<std::uint8_t>(name.back());
    return {std::move(name), weight, priority, {v4(last)}};
}

balancer made(policy how, const std::vector<target_wish>& wishes) {
    balancer targets{{.policy = how}, seed};
    targets.handle_targets(wishes);
    return targets;
}

// The name of the one that was chosen; it is opened.
std::string next(balancer& targets, instant now = start, unsigned who = 0) {
    const auto choice = targets.choose(now, client(who), {});
    if (!choice) {
        return "none";
    }
    targets.handle_opened(choice->id, way::v4);
    for (const auto& each : targets.snapshot()) {
        if (each.id == choice->id) {
            return choice->is_panic ? each.name + "!" : each.name;
        }
    }
    return "unknown";
}

void take_down(balancer& targets, target_id id, way over = way::v4, instant now = start) {
    for (int i = 0; i < 3; ++i) {
        targets.handle_failed(now, id, over, refused());
    }
}

TEST(targets, turns_of_a_heavy_one_are_spread) {
    auto targets = made(policy::round_robin, {wish("a", 5), wish("b", 1), wish("c", 1)});
    std::string turns;
    for (int i = 0; i < 14; ++i) {
        turns += next(targets);
    }
    EXPECT_EQ(turns, "aabacaaaabacaa");
}

TEST(targets, a_weight_of_zero_gets_a_hundredth_of_one) {
    auto targets = made(policy::round_robin, {wish("a", 0), wish("b", 1)});
    std::map<std::string, int> seen;
    for (int i = 0; i < 1010; ++i) {
        ++seen[next(targets)];
    }
    EXPECT_EQ(seen["a"], 10);
    auto only = made(policy::round_robin, {wish("a", 0)});
    EXPECT_EQ(next(only), "a");
}

TEST(targets, the_least_connected_for_its_weight_is_next) {
    auto targets = made(policy::least_connections, {wish("a", 1), wish("b", 3)});
    std::map<std::string, int> seen;
    for (int i = 0; i < 400; ++i) {
        ++seen[next(targets)];
    }
    EXPECT_EQ(seen["a"], 100);
    EXPECT_EQ(seen["b"], 300);
    for (int i = 0; i < 50; ++i) {
        targets.handle_closed(0);
    }
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(next(targets), "a");
    }
}

TEST(targets, those_not_yet_connected_count_as_connections) {
    auto targets = made(policy::least_connections, {wish("a"), wish("b")});
    std::map<target_id, int> seen;
    for (int i = 0; i < 100; ++i) {
        ++seen[targets.choose(start, client(0), {})->id];
    }
    EXPECT_EQ(seen[0], 50);
    EXPECT_EQ(seen[1], 50);
    for (int i = 0; i < 50; ++i) {
        targets.handle_given_up(0);
    }
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(targets.choose(start, client(0), {})->id, 0U);
    }
}

TEST(targets, equals_take_turns_when_connections_are_short) {
    auto targets = made(policy::least_connections, {wish("a"), wish("b"), wish("c")});
    std::map<target_id, int> seen;
    for (int i = 0; i < 300; ++i) {
        const auto choice = targets.choose(start, client(0), {});
        ++seen[choice->id];
        targets.handle_opened(choice->id, way::v4);
        targets.handle_closed(choice->id);
    }
    for (const auto& [id, times] : seen) {
        EXPECT_EQ(times, 100) << id;
    }
}

TEST(targets, the_hash_of_a_client_is_of_its_address_alone) {
    auto targets = made(policy::hash, {wish("a"), wish("b"), wish("c"), wish("d")});
    for (unsigned who = 0; who < 100; ++who) {
        auto from = std::get<ip::endpoint>(client(who));
        const auto first = targets.choose(start, from, {})->id;
        from.port = 9;
        EXPECT_EQ(targets.choose(start, from, {})->id, first);
    }
}

TEST(targets, the_lowest_priority_that_can_be_reached_gets_everything) {
    auto targets =
        made(policy::round_robin, {wish("backup", 10, 2), wish("a", 1, 1), wish("b", 1, 1)});
    for (int i = 0; i < 20; ++i) {
        EXPECT_NE(next(targets), "backup");
    }
    take_down(targets, 1);
    EXPECT_EQ(next(targets), "b");
    EXPECT_EQ(next(targets), "b");
    take_down(targets, 2);
    EXPECT_EQ(next(targets), "backup");
    EXPECT_NE(next(targets, start + 1s), "backup") << "a trial is due";
}

TEST(targets, a_failed_connect_tries_each_other_one_once) {
    auto targets = made(policy::round_robin, {wish("a", 1, 1), wish("b", 7, 1), wish("c", 1, 2)});
    std::vector<target_id> tried;
    while (const auto choice = targets.choose(start, client(0), tried)) {
        EXPECT_EQ(std::count(tried.begin(), tried.end(), choice->id), 0);
        EXPECT_FALSE(choice->is_panic);
        tried.push_back(choice->id);
        targets.handle_failed(start, choice->id, way::v4, refused());
        targets.handle_given_up(choice->id);
    }
    EXPECT_EQ(tried, (std::vector<target_id>{1, 0, 2}));
    EXPECT_EQ(targets.counts().none_left, 1U);
    EXPECT_EQ(targets.counts().panics, 0U);
}

TEST(targets, when_all_are_down_the_least_bad_one_is_taken_and_said_so) {
    auto targets = made(policy::round_robin, {wish("a"), wish("b"), wish("c")});
    take_down(targets, 0, way::v4, start + 2ms);
    take_down(targets, 1, way::v4, start + 1ms);
    for (int i = 0; i < 3; ++i) {
        targets.handle_check(2, way::v4, false);
    }
    EXPECT_EQ(next(targets, start + 5ms), "b!");
    EXPECT_EQ(targets.counts().panics, 1U);
    EXPECT_EQ(next(targets, start + 5ms), "b") << "what worked is up again";
    std::vector<target_id> tried{0, 1};
    const auto last = targets.choose(start + 5ms, client(0), tried);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->id, 2U);
    EXPECT_TRUE(last->is_panic);
}

TEST(targets, a_rest_that_is_over_lets_one_connection_try) {
    auto targets = made(policy::round_robin, {wish("a"), wish("b")});
    take_down(targets, 0);
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(next(targets, start + 999ms), "b");
    }
    int trials = 0;
    for (int i = 0; i < 10; ++i) {
        const auto choice = targets.choose(start + 1s, client(0), {});
        trials += choice->id == 0 ? 1 : 0;
    }
    EXPECT_EQ(trials, 1);
    targets.handle_opened(0, way::v4);
    EXPECT_TRUE(targets.usable(start + 1s, 0).has(way::v4));
}

TEST(targets, each_family_has_its_own_health) {
    balancer targets{{}, seed};
    const std::vector<target_wish> wishes{{"a", 1, 0, {v4(1), v6(1)}}};
    targets.handle_targets(wishes);
    take_down(targets, 0, way::v6);
    const auto choice = targets.choose(start, client(0), {});
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->over, way_set{}.add(way::v4));
    EXPECT_FALSE(choice->is_panic);
    const auto later = targets.choose(start + 1s, client(0), {});
    EXPECT_EQ(later->over, way_set{}.add(way::v4).add(way::v6));
    EXPECT_EQ(targets.choose(start + 1s, client(0), {})->over, way_set{}.add(way::v4));
    take_down(targets, 0, way::v4, start + 1s);
    const auto panic = targets.choose(start + 1s, client(0), {});
    EXPECT_TRUE(panic->is_panic);
    EXPECT_EQ(panic->over, way_set{}.add(way::v4).add(way::v6));
}

TEST(targets, without_addresses_a_target_is_never_chosen) {
    balancer targets{{}, seed};
    std::vector<target_wish> wishes{{"a", 1, 0, {}}, wish("b")};
    targets.handle_targets(wishes);
    take_down(targets, 1);
    EXPECT_EQ(next(targets), "b!");
    wishes.pop_back();
    targets.handle_targets(wishes);
    EXPECT_EQ(next(targets), "none");
    EXPECT_TRUE(targets.usable(start, 0).empty());
    targets.handle_addresses(0, std::vector<ip::any_endpoint>{{}, *ip::unix_name::path("/a")});
    EXPECT_EQ(targets.addresses(0).size(), 1U);
    EXPECT_EQ(targets.choose(start, client(0), {})->over, way_set{}.add(way::local));
}

TEST(targets, a_family_keeps_its_health_while_one_address_stays) {
    balancer targets{{}, seed};
    const std::vector<target_wish> wishes{{"a", 1, 0, {v4(1), v4(2), v6(1)}}};
    targets.handle_targets(wishes);
    EXPECT_EQ(next(targets), "a");
    take_down(targets, 0, way::v4);
    take_down(targets, 0, way::v6);
    targets.handle_addresses(0, std::vector{v6(2), v4(3), v4(2)});
    const auto state = targets.snapshot().at(0);
    EXPECT_EQ(state.over[0].condition, way_health::condition::resting);
    EXPECT_EQ(state.over[1].condition, way_health::condition::up);
    EXPECT_EQ(state.over[1].failed, 3U) << "counts stay";
    EXPECT_EQ(state.active, 1U);
    EXPECT_EQ(state.addresses, 3U);
}

TEST(targets, one_that_is_taken_out_keeps_its_number_until_its_last_connection_ends) {
    balancer targets{{.capacity = 2}, seed};
    const std::vector both{wish("a"), wish("b")};
    targets.handle_targets(both);
    EXPECT_EQ(next(targets), "a");
    const auto joining = targets.choose(start, client(0), {});
    ASSERT_EQ(joining->id, 1U);
    const std::vector others{wish("b"), wish("c")};
    const std::vector<std::optional<target_id>> b_alone{1U, std::nullopt};
    EXPECT_EQ(targets.handle_targets(others), b_alone);
    EXPECT_EQ(targets.counts().without_place, 1U);
    EXPECT_TRUE(targets.snapshot().at(0).is_leaving);
    EXPECT_TRUE(targets.usable(start, 0).empty());
    EXPECT_EQ(next(targets), "b");
    targets.handle_closed(0);
    EXPECT_EQ(targets.snapshot().size(), 1U);
    targets.handle_closed(0);
    EXPECT_EQ(targets.counts().unknown_target, 1U);
    const std::vector<std::optional<target_id>> both_ids{1U, 0U};
    EXPECT_EQ(targets.handle_targets(others), both_ids);
    EXPECT_EQ(targets.counts().without_place, 1U);
    ASSERT_EQ(targets.snapshot().size(), 2U);
    EXPECT_EQ(targets.snapshot()[0].name, "c");
    EXPECT_EQ(targets.snapshot()[1].active, 1U);
    EXPECT_EQ(targets.snapshot()[1].joining, 1U);
}

TEST(targets, one_that_comes_back_before_it_is_gone_is_the_same) {
    auto targets = made(policy::round_robin, {wish("a"), wish("b")});
    EXPECT_EQ(next(targets), "a");
    take_down(targets, 0);
    targets.handle_targets(std::vector{wish("b")});
    EXPECT_EQ(next(targets), "b");
    targets.handle_targets(std::vector{wish("b"), wish("a")});
    EXPECT_EQ(targets.snapshot().at(0).name, "a");
    EXPECT_EQ(targets.snapshot().at(0).active, 1U);
    EXPECT_EQ(next(targets), "b") << "it still rests";
}

TEST(targets, twins_are_two) {
    auto targets = made(policy::hash, {wish("a"), wish("a")});
    std::map<target_id, int> seen;
    for (unsigned who = 0; who < 1000; ++who) {
        ++seen[targets.choose(start, client(who), {})->id];
    }
    EXPECT_GT(seen[0], 400);
    EXPECT_GT(seen[1], 400);
}

TEST(targets, a_lack_of_ours_is_counted_and_not_held_against_the_target) {
    auto targets = made(policy::round_robin, {wish("a")});
    const error lacking{
        std::make_error_code(std::errc::too_many_files_open), operation::open, side::system, {}};
    for (int i = 0; i < 10; ++i) {
        targets.handle_failed(start, 0, way::v4, lacking);
    }
    EXPECT_EQ(next(targets), "a");
    EXPECT_EQ(targets.snapshot().at(0).over[0].failed, 10U);
    EXPECT_EQ(targets.snapshot().at(0).over[0].last_error->code, lacking.code);
}

TEST(targets, reports_about_nobody_are_counted) {
    balancer targets{{}, seed};
    targets.handle_opened(0, way::v4);
    targets.handle_given_up(7);
    targets.handle_failed(start, 1, way::v4, refused());
    targets.handle_check(UINT32_MAX, way::v4, true);
    EXPECT_EQ(targets.counts().unknown_target, 4U);
    EXPECT_TRUE(targets.addresses(3).empty());
    EXPECT_TRUE(targets.usable(start, 3).empty());
}

TEST(targets, policies_have_names) {
    for (const auto each : {policy::round_robin, policy::least_connections, policy::hash}) {
        EXPECT_EQ(parse_policy(to_text(each)), each);
    }
    EXPECT_EQ(parse_policy("Hash"), std::nullopt);
    EXPECT_EQ(parse_policy(""), std::nullopt);
}

} // namespace
} // namespace portico::relay
