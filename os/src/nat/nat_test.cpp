#include "portico/os/nat.hpp"

#include <gtest/gtest.h>

namespace portico::os {
namespace {

using hook = diagnose::nat_rule::hook;

diagnose::nat_rule to_port(std::uint16_t port) {
    diagnose::nat_rule made;
    made.new_port = port;
    return made;
}

using step = nat_listing::step;
using verdict = nat_listing::verdict;

nat_listing::rule does(step then, std::string chain = {}) {
    return {{}, {}, verdict{then, std::move(chain)}};
}

TEST(nat_listing, has_the_rules_of_base_chains_and_of_those_that_they_jump_to) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    auto jump = does(step::jumps, "docker");
    jump.what.partly_read = true;
    all.chains[{2, "nat", "pre"}].rules = {jump};
    all.chains[{2, "nat", "docker"}].rules = {{to_port(1)}};
    all.chains[{2, "nat", "unused"}].rules = {{to_port(2)}};
    all.chains[{10, "nat", "docker"}].rules = {{to_port(3)}}; // of another family
    const auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].new_port, 1);
    EXPECT_EQ(rules[0].where, hook::prerouting);
    EXPECT_TRUE(rules[0].partly_read); // the jump has a condition that is not known
}

TEST(nat_listing, a_rule_has_the_conditions_of_the_jump_to_its_chain) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    auto jump = does(step::jumps, "sub");
    jump.what.first_port = jump.what.last_port = 80;
    jump.what.to = *ip::parse_address("192.0.2.0");
    jump.what.to_length = 24;
    all.chains[{2, "nat", "pre"}].rules = {jump};
    auto never = to_port(2);
    never.last_port = 79;
    auto elsewhere = to_port(3);
    elsewhere.to = *ip::parse_address("192.0.3.1");
    elsewhere.to_length = 32;
    auto narrow = to_port(4);
    narrow.to = *ip::parse_address("192.0.2.1");
    narrow.to_length = 32;
    all.chains[{2, "nat", "sub"}].rules = {{to_port(1)}, {never}, {elsewhere}, {narrow}};
    const auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[0].first_port, 80);
    EXPECT_EQ(rules[0].to_length, 24U);
    EXPECT_EQ(rules[1].to_length, 32U);
}

TEST(nat_listing, verdicts_pass_over_the_rest_of_their_chain_or_of_the_base_chain) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    all.chains[{2, "nat", "pre"}].rules = {does(step::jumps, "sub"), {to_port(3)}, {to_port(4)}};
    auto& sub = all.chains[{2, "nat", "sub"}].rules;
    sub = {does(step::returns), {to_port(1)}};
    auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 4U);
    EXPECT_TRUE(rules[0].spares);
    EXPECT_EQ(rules[0].passes_over, 1U);
    sub[0] = does(step::stays);
    EXPECT_EQ(all.rules().value()[0].passes_over, 3U);
    // goto: what is behind it is not seen.
    all.chains[{2, "nat", "pre"}].rules[0] = does(step::goes, "sub");
    sub = {{to_port(1)}};
    rules = all.rules().value();
    ASSERT_EQ(rules.size(), 4U);
    EXPECT_EQ(rules[0].new_port, 1);
    EXPECT_EQ(rules[1].passes_over, 2U);
}

TEST(nat_listing, chains_that_jump_in_a_circle_end) {
    nat_listing all;
    all.chains[{2, "nat", "out"}].output = true;
    all.chains[{2, "nat", "out"}].rules = {does(step::jumps, "a")};
    all.chains[{2, "nat", "a"}].rules = {
        does(step::jumps, "out"), does(step::jumps, "gone"), {to_port(1)}};
    const auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].where, hook::output);
    EXPECT_FALSE(rules[0].partly_read);
}

TEST(nat_listing, too_many_ways_through_the_chains_are_not_followed) {
    nat_listing all;
    all.chains[{2, "nat", "0"}].output = true;
    for (int i = 0; i < 20; ++i) { // two ways on from each: a million at the end
        const auto next = does(step::jumps, std::to_string(i + 1));
        all.chains[{2, "nat", std::to_string(i)}].rules = {next, next};
    }
    EXPECT_FALSE(all.rules());
}

TEST(nat_listing, a_rule_with_a_set_is_one_for_each_of_its_ports) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    all.chains[{2, "nat", "pre"}].rules = {{to_port(1), "ports"}};
    ASSERT_EQ(all.rules()->size(), 1U); // the set is not here
    EXPECT_TRUE(all.rules()->front().partly_read);
    all.sets[{2, "nat", "ports"}] = {{{80, 80}}, {{8000, 8010}}};
    const auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[1].first_port, 8000);
    EXPECT_EQ(rules[1].last_port, 8010);
    EXPECT_FALSE(rules[1].partly_read);
}

TEST(nat_listing, the_elements_of_a_map_have_verdicts) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    all.chains[{2, "nat", "pre"}].rules = {{{}, "map", {}, true}};
    all.chains[{2, "nat", "sub"}].rules = {{to_port(1)}};
    EXPECT_TRUE(all.rules()->empty()); // the map is not here
    all.sets[{2, "nat", "map"}] = {{{80, 80}, verdict{step::jumps, "sub"}}, {{90, 90}}};
    const auto rules = all.rules().value();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].first_port, 80);
    EXPECT_EQ(rules[0].new_port, 1);
}

TEST(nat_listing, filters_are_what_drops_or_rejects_and_policies_come_last) {
    using deed = diagnose::nat_rule::deed;
    nat_listing all;
    auto& base = all.chains[{2, "filter", "in"}];
    base.filters = hook::input;
    base.drops = true;
    base.rules = {does(step::stays), does(step::jumps, "sub"), does(step::drops), {to_port(1)}};
    all.chains[{2, "filter", "sub"}].rules = {does(step::returns), does(step::rejects)};
    const auto rules = all.filters().value();
    ASSERT_EQ(rules.size(), 6U);
    EXPECT_TRUE(rules[0].spares);
    EXPECT_EQ(rules[0].passes_over, 5U); // the policy as well
    EXPECT_EQ(rules[1].passes_over, 1U); // return, to what follows the jump
    EXPECT_EQ(rules[2].does, deed::rejects);
    EXPECT_EQ(rules[3].does, deed::drops);
    EXPECT_TRUE(rules[4].spares); // what takes another way is not dropped here
    EXPECT_EQ(rules[5].does, deed::drops);
    EXPECT_EQ(rules[5].chain, "in");
    EXPECT_EQ(rules[5].family, ip::family::v4);
    EXPECT_EQ(rules[5].handle, 0U);
    EXPECT_TRUE(all.rules()->empty()); // there is no NAT
}

TEST(nat_listing, what_one_chain_accepts_the_next_one_may_drop) {
    nat_listing all;
    all.chains[{1, "a", "in"}].filters = hook::input;
    all.chains[{1, "a", "in"}].rules = {does(step::stays)};
    all.chains[{1, "b", "in"}].filters = hook::input;
    all.chains[{1, "b", "in"}].rules = {does(step::drops)};
    const auto rules = all.filters().value();
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[0].passes_over, 0U);
}

TEST(nat_listing, of_states_those_of_new_connections_count) {
    nat_listing all;
    all.chains[{1, "a", "in"}].filters = hook::input;
    nat_listing::rule states{{}, "states", {}, true, false};
    states.of_states = true;
    all.chains[{1, "a", "in"}].rules = {states};
    all.sets[{1, "a", "states"}] = {{{}, verdict{step::stays}, 2},
                                    {{}, verdict{step::drops}, nat_listing::state_new}};
    const auto rules = all.filters().value();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_FALSE(rules[0].spares);
}

TEST(nat_listing, of_answers_the_rules_of_established_connections_count) {
    nat_listing all;
    auto& base = all.chains[{2, "filter", "OUTPUT"}];
    base.filters = hook::output;
    auto begins = does(step::drops);
    begins.states = nat_listing::state_new;
    auto answers = does(step::rejects);
    answers.states = nat_listing::state_established;
    base.rules = {begins, answers};
    const auto rules = all.filters().value();
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[0].where, hook::output);
    EXPECT_EQ(rules[0].does, diagnose::nat_rule::deed::drops);
    EXPECT_EQ(rules[1].where, hook::answers);
    EXPECT_EQ(rules[1].does, diagnose::nat_rule::deed::rejects);
}

TEST(nat_listing, tables_of_iptables_are_those_with_its_chains) {
    nat_listing all;
    for (const auto* table : {"filter", "mine"}) {
        all.chains[{2, table, "OUTPUT"}].filters = hook::output;
        all.chains[{2, table, "OUTPUT"}].rules = {does(step::drops)};
        all.chains[{2, table, "OUTPUT"}].rules.front().what.table = std::string{"ip "} + table;
    }
    const auto rules = all.filters().value();
    EXPECT_EQ(rules.size(), 4U); // for what it begins, and for answers
    for (const auto& each : rules) {
        EXPECT_EQ(each.by_iptables, each.table == "ip filter") << each.table;
    }
}

TEST(parse_nat, of_no_message_is_nothing_and_of_half_a_header_malformed) {
    nat_listing all;
    parse_nat({}, all);
    EXPECT_FALSE(all.malformed);
    const std::array<std::byte, 8> half{};
    parse_nat(half, all);
    EXPECT_TRUE(all.malformed);
    EXPECT_TRUE(all.rules()->empty());
}

} // namespace
} // namespace portico::os
