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

TEST(nat_listing, has_the_rules_of_base_chains_and_of_those_that_they_jump_to) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    all.chains[{2, "nat", "pre"}].jumps = {{{2, "nat", "docker"}, true}};
    all.chains[{2, "nat", "docker"}].rules = {{to_port(1), {}}};
    all.chains[{2, "nat", "unused"}].rules = {{to_port(2), {}}};
    all.chains[{10, "nat", "docker"}].rules = {{to_port(3), {}}}; // of another family
    const auto rules = all.rules();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].new_port, 1);
    EXPECT_EQ(rules[0].where, hook::prerouting);
    EXPECT_TRUE(rules[0].partly_read); // the jump has a condition that is not known
}

TEST(nat_listing, chains_that_jump_in_a_circle_end) {
    nat_listing all;
    all.chains[{2, "nat", "out"}].output = true;
    all.chains[{2, "nat", "out"}].jumps = {{{2, "nat", "a"}, false}};
    all.chains[{2, "nat", "a"}].jumps = {{{2, "nat", "out"}, false}, {{2, "nat", "gone"}, false}};
    all.chains[{2, "nat", "a"}].rules = {{to_port(1), {}}};
    const auto rules = all.rules();
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].where, hook::output);
    EXPECT_FALSE(rules[0].partly_read);
}

TEST(nat_listing, a_rule_with_a_set_is_one_for_each_of_its_ports) {
    nat_listing all;
    all.chains[{2, "nat", "pre"}].prerouting = true;
    all.chains[{2, "nat", "pre"}].rules = {{to_port(1), "ports"}};
    ASSERT_EQ(all.rules().size(), 1U); // the set is not here
    EXPECT_TRUE(all.rules()[0].partly_read);
    all.sets[{2, "nat", "ports"}] = {{80, 80}, {8000, 8010}};
    const auto rules = all.rules();
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[1].first_port, 8000);
    EXPECT_EQ(rules[1].last_port, 8010);
    EXPECT_FALSE(rules[1].partly_read);
}

TEST(parse_nat, of_no_message_is_nothing_and_of_half_a_header_malformed) {
    nat_listing all;
    parse_nat({}, all);
    EXPECT_FALSE(all.malformed);
    const std::array<std::byte, 8> half{};
    parse_nat(half, all);
    EXPECT_TRUE(all.malformed);
    EXPECT_TRUE(all.rules().empty());
}

} // namespace
} // namespace portico::os
