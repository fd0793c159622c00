#include "portico/ip/select.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace portico::ip {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

address at(std::string_view text) {
    const auto made = parse_address(text);
    EXPECT_TRUE(made) << text;
    return made.value_or(address{});
}

source from(std::string_view text) {
    source made;
    made.address = at(text);
    made.prefix_length = made.address.is_v4() ? 24 : 64;
    return made;
}
source deprecated(source which) {
    which.deprecated = true;
    return which;
}
source temporary(source which) {
    which.temporary = true;
    return which;
}
source home(source which) {
    which.home = true;
    return which;
}
source care_of(source which) {
    which.care_of = true;
    return which;
}
source on(std::uint32_t interface, source which) {
    which.interface = interface;
    return which;
}
source announced_by(std::string_view router, source which) {
    which.next_hop_prefix_router = at(router);
    return which;
}

using policies = std::vector<policy>;

policy row(std::string_view block, unsigned precedence, unsigned label) {
    return {*parse_prefix(block), precedence, label};
}

policies with(policies table, std::initializer_list<policy> more) {
    for (const auto& each : more) {
        std::erase_if(table, [&](const policy& old) { return old.block == each.block; });
        table.push_back(each);
    }
    return table;
}

policies defaults() {
    return {default_policies().begin(), default_policies().end()};
}

// The chosen source as text, whatever the order of the candidates.
std::string chosen(std::string_view destination, std::vector<source> candidates,
                   const source_choice& how = {}, const policies& table = defaults()) {
    const auto first = choose_source(at(destination), candidates, how, table);
    const auto text = first ? to_text(candidates[*first].address) : "none";
    std::reverse(candidates.begin(), candidates.end());
    const auto second = choose_source(at(destination), candidates, how, table);
    EXPECT_EQ(second ? to_text(candidates[*second].address) : "none", text);
    return text;
}

// "DESTINATION from SOURCE" for each, in order, whatever the order before.
std::vector<std::string> sorted(const std::vector<source>& candidates,
                                const std::vector<std::string_view>& list,
                                const policies& table = defaults()) {
    std::vector<destination> places;
    for (const auto& each : list) {
        destination made;
        made.address = at(each);
        if (const auto index = choose_source(made.address, candidates, {}, table)) {
            made.from = candidates[*index];
        }
        places.push_back(made);
    }
    const auto texts = [&table](std::vector<destination> these) {
        sort_destinations(these, table);
        std::vector<std::string> made;
        for (const auto& each : these) {
            made.push_back(to_text(each.address) +
                           (each.from ? " from " + to_text(each.from->address) : ""));
        }
        return made;
    };
    auto made = texts(places);
    std::reverse(places.begin(), places.end());
    EXPECT_EQ(texts(places), made);
    return made;
}

TEST(select, scopes) {
    EXPECT_EQ(scope_of(at("::1")), scope::link_local);
    EXPECT_EQ(scope_of(at("fe80::1%eth0")), scope::link_local);
    EXPECT_EQ(scope_of(at("fec0::1")), scope::site_local);
    EXPECT_EQ(scope_of(at("fd00::1")), scope::global);
    EXPECT_EQ(scope_of(at("2001:db8::1")), scope::global);
    EXPECT_EQ(scope_of(at("ff01::1")), scope::interface_local);
    EXPECT_EQ(scope_of(at("ff02::1")), scope::link_local);
    EXPECT_EQ(scope_of(at("ff04::1")), scope::admin_local);
    EXPECT_EQ(scope_of(at("ff05::1")), scope::site_local);
    EXPECT_EQ(scope_of(at("ff08::1")), scope::organization_local);
    EXPECT_EQ(scope_of(at("ff1e::1")), scope::global);
    EXPECT_EQ(scope_of(at("127.0.0.1")), scope::link_local);
    EXPECT_EQ(scope_of(at("169.254.1.1")), scope::link_local);
    EXPECT_EQ(scope_of(at("10.0.0.1")), scope::global);
    EXPECT_EQ(scope_of(at("192.0.2.1")), scope::global);
    EXPECT_EQ(scope_of(at("::ffff:127.0.0.1")), scope::link_local);
    EXPECT_EQ(scope_of(at("::ffff:192.0.2.1")), scope::global);
}

TEST(select, common_prefix_length_ends_with_the_source_prefix) {
    EXPECT_EQ(common_prefix_length(at("2001:db8::1"), at("2001:db8::1"), 64), 64U);
    EXPECT_EQ(common_prefix_length(at("2001:db8::1"), at("2001:db8::1"), 128), 128U);
    EXPECT_EQ(common_prefix_length(at("2001:db8:1::"), at("2001:db8:3::"), 64), 46U);
    EXPECT_EQ(common_prefix_length(at("::"), at("8000::"), 64), 0U);
    EXPECT_EQ(common_prefix_length(at("192.0.2.1"), at("192.0.2.129"), 32), 24U);
    EXPECT_EQ(common_prefix_length(at("192.0.2.1"), at("::ffff:192.0.2.1"), 32), 0U);
}

// ---- RFC 6724 section 10 ----

TEST(select, rfc_6724_section_10_1_prefer_appropriate_scope) {
    // The RFC prints the result as 2001:db8::1, which is not a candidate: 2001:db8:3::1 is meant.
    EXPECT_EQ(chosen("2001:db8:1::1", {from("2001:db8:3::1"), from("fe80::1")}), "2001:db8:3::1");
    EXPECT_EQ(chosen("ff05::1", {from("2001:db8:3::1"), from("fe80::1")}), "2001:db8:3::1");
    EXPECT_EQ(chosen("fe80::1", {deprecated(from("fe80::2")), from("2001:db8:1::1")}), "fe80::2");
}

TEST(select, rfc_6724_section_10_1_prefer_same_address) {
    EXPECT_EQ(chosen("2001:db8:1::1", {deprecated(from("2001:db8:1::1")), from("2001:db8:2::1")}),
              "2001:db8:1::1");
}

TEST(select, rfc_6724_section_10_1_longest_matching_prefix) {
    EXPECT_EQ(chosen("2001:db8:1::1", {from("2001:db8:1::2"), from("2001:db8:3::2")}),
              "2001:db8:1::2");
}

TEST(select, rfc_6724_section_10_1_prefer_home_address) {
    EXPECT_EQ(
        chosen("2001:db8:1::1", {care_of(from("2001:db8:1::2")), home(from("2001:db8:3::2"))}),
        "2001:db8:3::2");
}

TEST(select, rfc_6724_section_10_1_prefer_matching_label) {
    EXPECT_EQ(chosen("2002:c633:6401::1", {temporary(from("2002:c633:6401::d5e3:7953:13eb:22e8")),
                                           from("2001:db8:1::2")}),
              "2002:c633:6401:0:d5e3:7953:13eb:22e8");
}

TEST(select, rfc_6724_section_10_1_prefer_temporary_address) {
    const std::vector candidates{from("2001:db8:1::2"),
                                 temporary(from("2001:db8:1::d5e3:7953:13eb:22e8"))};
    EXPECT_EQ(chosen("2001:db8:1::d5e3:0:0:1", candidates), "2001:db8:1:0:d5e3:7953:13eb:22e8");
    source_choice public_first;
    public_first.prefer_temporary = false;
    EXPECT_EQ(chosen("2001:db8:1::d5e3:0:0:1", candidates, public_first), "2001:db8:1::2");
}

TEST(select, rfc_6724_section_10_2_prefer_matching_scope) {
    EXPECT_THAT(
        sorted({from("2001:db8:1::2"), from("fe80::1"), from("169.254.13.78")},
               {"2001:db8:1::1", "198.51.100.121"}),
        ElementsAre("2001:db8:1::1 from 2001:db8:1::2", "198.51.100.121 from 169.254.13.78"));
    EXPECT_THAT(
        sorted({from("fe80::1"), from("198.51.100.117")}, {"2001:db8:1::1", "198.51.100.121"}),
        ElementsAre("198.51.100.121 from 198.51.100.117", "2001:db8:1::1 from fe80::1"));
}

TEST(select, rfc_6724_section_10_2_prefer_higher_precedence) {
    EXPECT_THAT(sorted({from("2001:db8:1::2"), from("fe80::1"), from("10.1.2.4")},
                       {"2001:db8:1::1", "10.1.2.3"}),
                ElementsAre("2001:db8:1::1 from 2001:db8:1::2", "10.1.2.3 from 10.1.2.4"));
    EXPECT_THAT(sorted({from("2002:c633:6401::2"), from("2001:db8:1::2"), from("fe80::2")},
                       {"2002:c633:6401::1", "2001:db8:1::1"}),
                ElementsAre("2001:db8:1::1 from 2001:db8:1::2",
                            "2002:c633:6401::1 from 2002:c633:6401::2"));
}

TEST(select, rfc_6724_section_10_2_prefer_smaller_scope) {
    EXPECT_THAT(sorted({from("2001:db8:1::2"), from("fe80::2")}, {"2001:db8:1::1", "fe80::1"}),
                ElementsAre("fe80::1 from fe80::2", "2001:db8:1::1 from 2001:db8:1::2"));
}

TEST(select, rfc_6724_section_10_2_prefer_home_address) {
    EXPECT_THAT(sorted({care_of(from("2001:db8:1::2")), home(from("2001:db8:3::1")),
                        care_of(from("fe80::2"))},
                       {"2001:db8:1::1", "fe80::1"}),
                ElementsAre("2001:db8:1::1 from 2001:db8:3::1", "fe80::1 from fe80::2"));
}

TEST(select, rfc_6724_section_10_2_avoid_deprecated_addresses) {
    EXPECT_THAT(
        sorted({from("2001:db8:1::2"), deprecated(from("fe80::2"))}, {"2001:db8:1::1", "fe80::1"}),
        ElementsAre("2001:db8:1::1 from 2001:db8:1::2", "fe80::1 from fe80::2"));
}

TEST(select, rfc_6724_section_10_2_longest_matching_prefix) {
    EXPECT_THAT(
        sorted({from("2001:db8:1::2"), from("2001:db8:3f44::2"), from("fe80::2")},
               {"2001:db8:1::1", "2001:db8:3ffe::1"}),
        ElementsAre("2001:db8:1::1 from 2001:db8:1::2", "2001:db8:3ffe::1 from 2001:db8:3f44::2"));
}

TEST(select, rfc_6724_section_10_2_prefer_matching_label) {
    EXPECT_THAT(sorted({from("2002:c633:6401::2"), from("fe80::2")},
                       {"2002:c633:6401::1", "2001:db8:1::1"}),
                ElementsAre("2002:c633:6401::1 from 2002:c633:6401::2",
                            "2001:db8:1::1 from 2002:c633:6401::2"));
}

TEST(select, rfc_6724_section_10_3_configuring_preference_for_ipv4) {
    const auto table = with(defaults(), {row("::ffff:0:0/96", 100, 4)});
    EXPECT_THAT(sorted({from("2001:db8::2"), from("fe80::1"), from("169.254.13.78")},
                       {"2001:db8::1", "198.51.100.121"}, table),
                ElementsAre("2001:db8::1 from 2001:db8::2", "198.51.100.121 from 169.254.13.78"));
    EXPECT_THAT(
        sorted({from("fe80::1"), from("198.51.100.117")}, {"2001:db8::1", "198.51.100.121"}, table),
        ElementsAre("198.51.100.121 from 198.51.100.117", "2001:db8::1 from fe80::1"));
    EXPECT_THAT(sorted({from("2001:db8::2"), from("fe80::1"), from("10.1.2.4")},
                       {"2001:db8::1", "10.1.2.3"}, table),
                ElementsAre("10.1.2.3 from 10.1.2.4", "2001:db8::1 from 2001:db8::2"));
}

TEST(select, rfc_6724_section_10_3_1_broken_ipv6_can_be_left_to_rule_1) {
    EXPECT_THAT(sorted({from("10.1.2.4")}, {"2001:db8::1", "10.1.2.3"}),
                ElementsAre("10.1.2.3 from 10.1.2.4", "2001:db8::1"));
}

TEST(select, rfc_6724_section_10_4_configuring_preference_for_link_local_addresses) {
    const auto table = with(defaults(), {row("fe80::/10", 33, 1)});
    EXPECT_THAT(sorted({from("2001:db8::2"), from("fe80::2")}, {"2001:db8::1", "fe80::1"}, table),
                ElementsAre("2001:db8::1 from 2001:db8::2", "fe80::1 from fe80::2"));
    EXPECT_THAT(sorted({deprecated(from("2001:db8::2")), from("fe80::2")},
                       {"2001:db8::1", "fe80::1"}, table),
                ElementsAre("fe80::1 from fe80::2", "2001:db8::1 from 2001:db8::2"));
}

TEST(select, rfc_6724_section_10_5_configuring_a_multi_homed_site) {
    const std::vector candidates{from("2001:db8:1aaa::a"), from("2001:db8:70aa::a"),
                                 from("fe80::a")};
    EXPECT_THAT(sorted(candidates, {"2001:db8:1bbb::b", "2001:db8:70bb::b"}),
                ElementsAre("2001:db8:70bb::b from 2001:db8:70aa::a",
                            "2001:db8:1bbb::b from 2001:db8:1aaa::a"));
    EXPECT_THAT(sorted(candidates, {"2001:db8:1ccc::c", "2001:db8:6ccc::c"}),
                ElementsAre("2001:db8:1ccc::c from 2001:db8:1aaa::a",
                            "2001:db8:6ccc::c from 2001:db8:70aa::a"));

    const auto table =
        with(defaults(), {row("2001:db8:1aaa::/48", 43, 6), row("2001:db8:1bbb::/48", 43, 6)});
    EXPECT_THAT(sorted(candidates, {"2001:db8:1bbb::b", "2001:db8:70bb::b"}, table),
                ElementsAre("2001:db8:1bbb::b from 2001:db8:1aaa::a",
                            "2001:db8:70bb::b from 2001:db8:70aa::a"));
    EXPECT_THAT(sorted(candidates, {"2001:db8:1ccc::c", "2001:db8:6ccc::c"}, table),
                ElementsAre("2001:db8:6ccc::c from 2001:db8:70aa::a",
                            "2001:db8:1ccc::c from 2001:db8:70aa::a"));
}

TEST(select, rfc_6724_section_10_6_configuring_ula_preference) {
    const std::vector candidates{from("2001:db8:1::1"), from("fd11:1111:1111:1::1")};
    EXPECT_THAT(sorted(candidates, {"2001:db8:2::2", "fd22:2222:2222:2::2"}),
                ElementsAre("2001:db8:2::2 from 2001:db8:1::1",
                            "fd22:2222:2222:2::2 from fd11:1111:1111:1::1"));

    const auto table = with(defaults(), {row("fd11:1111:1111::/48", 45, 14)});
    EXPECT_THAT(sorted(candidates, {"2001:db8:2::2", "fd22:2222:2222:2::2"}, table),
                ElementsAre("2001:db8:2::2 from 2001:db8:1::1",
                            "fd22:2222:2222:2::2 from fd11:1111:1111:1::1"));
    EXPECT_THAT(sorted(candidates, {"2001:db8:2::2", "fd11:1111:1111:2::2"}, table),
                ElementsAre("fd11:1111:1111:2::2 from fd11:1111:1111:1::1",
                            "2001:db8:2::2 from 2001:db8:1::1"));
    // The RFC prints the destination as ff00:1.
    EXPECT_EQ(chosen("ff00::1", candidates, {}, table), "2001:db8:1::1");
}

TEST(select, rfc_6724_section_10_7_configuring_6to4_preference) {
    EXPECT_THAT(
        sorted({from("2002:c633:6401::2"), from("10.1.2.3")}, {"2001:db8:1::1", "203.0.113.1"}),
        ElementsAre("203.0.113.1 from 10.1.2.3", "2001:db8:1::1 from 2002:c633:6401::2"));
    // "NATed IPv4 is now also preferred over 6to4-to-6to4 connectivity by default."
    const std::vector candidates{from("2002:c633:6401:1::1"), from("10.1.2.3")};
    EXPECT_THAT(
        sorted(candidates, {"2002:c633:6401:2::2", "203.0.113.1"}),
        ElementsAre("203.0.113.1 from 10.1.2.3", "2002:c633:6401:2::2 from 2002:c633:6401:1::1"));

    const auto table = with(defaults(), {row("2002:c633:6401::/48", 45, 14)});
    EXPECT_THAT(
        sorted(candidates, {"2002:c633:6401:2::2", "203.0.113.1"}, table),
        ElementsAre("2002:c633:6401:2::2 from 2002:c633:6401:1::1", "203.0.113.1 from 10.1.2.3"));
}

// ---- the rules one by one, where section 10 has no example ----

TEST(select, source_rule_2_falls_back_on_the_largest_scope_when_none_reaches) {
    EXPECT_EQ(chosen("2001:db8::1", {from("fec0::1"), from("fe80::1")}), "fec0::1");
}

TEST(select, source_rule_4_home_and_care_of_at_once_is_best) {
    EXPECT_EQ(
        chosen("2001:db8:1::1", {home(care_of(from("2001:db8:5::2"))), home(from("2001:db8:1::2")),
                                 care_of(from("2001:db8:1::3"))}),
        "2001:db8:5::2");
}

TEST(select, source_rule_5_prefers_the_outgoing_interface) {
    const std::vector candidates{on(1, from("2001:db8:1::2")), on(2, from("2001:db8:5::2"))};
    source_choice how;
    EXPECT_EQ(chosen("2001:db8:1::1", candidates, how), "2001:db8:1::2");
    how.outgoing = 2;
    EXPECT_EQ(chosen("2001:db8:1::1", candidates, how), "2001:db8:5::2");
    how.outgoing = 3;
    EXPECT_EQ(chosen("2001:db8:1::1", candidates, how), "2001:db8:1::2");
}

TEST(select, source_rule_5_5_prefers_a_prefix_that_the_next_hop_announced) {
    const std::vector candidates{announced_by("fe80::a", from("2001:db8:1::2")),
                                 announced_by("fe80::b", from("2001:db8:5::2"))};
    source_choice how;
    EXPECT_EQ(chosen("2001:db8:1::1", candidates, how), "2001:db8:1::2");
    how.next_hop = at("fe80::b");
    EXPECT_EQ(chosen("2001:db8:1::1", candidates, how), "2001:db8:5::2");
}

TEST(select, source_rule_5_5_says_nothing_about_an_address_without_a_router) {
    source_choice how;
    how.next_hop = at("fe80::b");
    // The configured ULA keeps its matching label (rule 6) against the announced address.
    EXPECT_EQ(
        chosen("fd00::1", {from("fd00::2"), announced_by("fe80::b", from("2001:db8::2"))}, how),
        "fd00::2");
}

TEST(select, source_rule_8_compares_no_further_than_the_source_prefix) {
    auto narrow = from("2001:db8:0:1::ff");
    auto same = from("2001:db8:0:1::1:0");
    EXPECT_EQ(choose_source(at("2001:db8:0:1::fe"), std::vector{same, narrow}), 0U);
    narrow.prefix_length = 128;
    EXPECT_EQ(choose_source(at("2001:db8:0:1::fe"), std::vector{same, narrow}), 1U);
}

TEST(select, only_addresses_of_the_family_are_candidates) {
    EXPECT_EQ(chosen("2001:db8::1", {from("192.0.2.1")}), "none");
    EXPECT_EQ(chosen("192.0.2.1", {from("2001:db8::1"), from("192.0.2.2")}), "192.0.2.2");
    EXPECT_EQ(chosen("192.0.2.1", {}), "none");
    EXPECT_EQ(chosen("2001:db8::1", {from("ff02::1"), from("::")}), "none");
}

TEST(select, ipv4_sources_are_chosen_by_the_same_rules) {
    EXPECT_EQ(chosen("10.1.2.3", {from("10.1.2.4"), from("192.0.2.1")}), "10.1.2.4");
    EXPECT_EQ(chosen("127.0.0.1", {from("10.1.2.4"), from("127.0.0.1")}), "127.0.0.1");
    EXPECT_EQ(chosen("198.51.100.1", {from("169.254.1.1"), from("10.1.2.4")}), "10.1.2.4");
}

TEST(select, a_link_local_destination_is_reached_from_its_own_link) {
    const std::vector candidates{on(1, from("fe80::a")), on(2, from("fe80::b"))};
    source_choice how;
    how.outgoing = 2;
    EXPECT_EQ(chosen("fe80::1", candidates, how), "fe80::b");
    how.outgoing = 3;
    EXPECT_EQ(chosen("fe80::1", candidates, how), "none");
    EXPECT_EQ(chosen("ff02::1", candidates, how), "none");
    EXPECT_EQ(chosen("fe80::1%eth0", {from("fe80::a%eth1"), from("fe80::b%eth0")}), "fe80::b%eth0");
}

TEST(select, ties_keep_the_earlier_candidate) {
    EXPECT_EQ(
        choose_source(at("2001:db8::1"), std::vector{from("2001:db8::2"), from("2001:db8::3")}),
        0U);
    EXPECT_EQ(
        choose_source(at("2001:db8::1"), std::vector{from("2001:db8::3"), from("2001:db8::2")}),
        0U);
}

std::vector<std::string> order(std::vector<destination> places,
                               std::span<const policy> table = default_policies()) {
    sort_destinations(places, table);
    std::vector<std::string> made;
    for (const auto& each : places) {
        made.push_back(to_text(each.address));
    }
    return made;
}

destination to(std::string_view address_text, std::string_view source_text) {
    destination made;
    made.address = at(address_text);
    made.from = from(source_text);
    return made;
}

TEST(select, destination_rule_7_prefers_native_transport) {
    auto tunnelled = to("2001:db8:1::1", "2001:db8:1::2");
    tunnelled.native = false;
    EXPECT_THAT(order({tunnelled, to("2001:db8:5::1", "2001:db8:1::2")}),
                ElementsAre("2001:db8:5::1", "2001:db8:1::1"));
}

TEST(select, rfc_8305_section_4_prefers_a_lower_round_trip_time_then_what_was_used) {
    auto slow = to("2001:db8:1::1", "2001:db8:1::2"); // rule 9 would have it first
    auto fast = to("2001:db8:5::1", "2001:db8:1::2");
    auto used = to("2001:db8:6::1", "2001:db8:1::2");
    auto fresh = to("2001:db8:1::7", "2001:db8:1::2");
    slow.rtt_ns = 90'000'000;
    fast.rtt_ns = 10'000'000;
    used.used_before = true;
    EXPECT_THAT(order({fresh, used, slow, fast}),
                ElementsAre("2001:db8:5::1", "2001:db8:1::1", "2001:db8:6::1", "2001:db8:1::7"));
}

TEST(select, rfc_8305_section_4_comes_after_rule_8) {
    auto v4 = to("198.51.100.1", "198.51.100.2");
    v4.rtt_ns = 1;
    v4.used_before = true;
    EXPECT_THAT(order({v4, to("2001:db8::1", "2001:db8::2")}),
                ElementsAre("2001:db8::1", "198.51.100.1"));
}

TEST(select, rule_9_leaves_the_order_of_ipv4_answers_alone) {
    EXPECT_THAT(order({to("203.0.113.1", "10.0.0.1"), to("10.0.0.9", "10.0.0.1"),
                       to("198.51.100.1", "10.0.0.1")}),
                ElementsAre("203.0.113.1", "10.0.0.9", "198.51.100.1"));
}

TEST(select, rule_9_sorts_ipv6_among_its_own_places_when_the_families_are_equal) {
    const policies one{row("::/0", 40, 1)};
    EXPECT_THAT(order({to("2001:db8:8::1", "2001:db8::2"), to("203.0.113.1", "10.0.0.1"),
                       to("2001:db8::1", "2001:db8::2"), to("10.0.0.9", "10.0.0.1")},
                      one),
                ElementsAre("2001:db8::1", "203.0.113.1", "2001:db8:8::1", "10.0.0.9"));
}

TEST(select, an_ipv4_block_in_a_policy_table_means_its_mapped_form) {
    const auto table = with(defaults(), {row("10.0.0.0/8", 100, 4)});
    EXPECT_THAT(order({to("2001:db8::1", "2001:db8::2"), to("10.0.0.9", "10.0.0.1"),
                       to("198.51.100.1", "10.0.0.1")},
                      table),
                ElementsAre("10.0.0.9", "2001:db8::1", "198.51.100.1"));
}

TEST(select, an_empty_policy_table_is_no_error) {
    EXPECT_THAT(order({to("2001:db8::1", "fe80::2"), to("2001:db8::2", "2001:db8::3")}, {}),
                ElementsAre("2001:db8::2", "2001:db8::1"));
    EXPECT_EQ(choose_source(at("2001:db8::1"), std::vector{from("2001:db8::2")}, {}, {}), 0U);
}

// ---- the order is one, on random destinations ----

class random_places {
public:
    explicit random_places(std::uint64_t seed) : random_{seed} {}

    destination next() {
        static const std::vector<address> pool{
            at("2001:db8:1::1"), at("2001:db8:1::2"), at("2001:db8:8::1"), at("2002:c633:6401::1"),
            at("fe80::1"),       at("fd00::1"),       at("fec0::1"),       at("::1"),
            at("192.0.2.1"),     at("10.0.0.1"),      at("169.254.0.1"),   at("127.0.0.1"),
        };
        destination made;
        made.address = pool[random_() % pool.size()];
        if (random_() % 8 != 0) {
            source which;
            do {
                which.address = pool[random_() % pool.size()];
            } while (which.address.family() != made.address.family());
            which.deprecated = random_() % 4 == 0;
            which.home = random_() % 4 == 0;
            which.care_of = random_() % 4 == 0;
            which.prefix_length = which.address.is_v4() ? 24 : 64;
            made.from = which;
        }
        made.native = random_() % 4 != 0;
        made.used_before = random_() % 2 == 0;
        if (random_() % 2 == 0) {
            made.rtt_ns = static_cast<std::int64_t>(random_() % 3);
        }
        return made;
    }
    std::vector<destination> several(std::size_t most) {
        std::vector<destination> made(random_() % (most + 1));
        std::generate(made.begin(), made.end(), [this] { return next(); });
        return made;
    }

private:
    std::mt19937_64 random_;
};

// All that tells one destination from another here.
std::string description(const destination& which) {
    return to_text(which.address) +
           (which.from
                ? " from " + to_text(which.from->address) + (which.from->deprecated ? "d" : "") +
                      (which.from->home ? "h" : "") + (which.from->care_of ? "c" : "")
                : "") +
           (which.native ? "n" : "") + (which.used_before ? "u" : "") +
           (which.rtt_ns ? std::to_string(*which.rtt_ns) : "");
}

std::vector<std::string> descriptions(const std::vector<destination>& places) {
    std::vector<std::string> made;
    std::transform(places.begin(), places.end(), std::back_inserter(made), description);
    return made;
}

// Strictly better: put first also when it came last.
bool better(const destination& a, const destination& b) {
    std::vector<destination> two{b, a};
    sort_destinations(two);
    return description(two.front()) == description(a) && description(a) != description(b);
}

TEST(select, sorting_is_a_permutation_and_once_is_enough) {
    constexpr std::uint64_t seed = 6724;
    random_places some{seed};
    for (int round = 0; round < 3000; ++round) {
        const auto before = some.several(12);
        auto after = before;
        sort_destinations(after);
        ASSERT_THAT(descriptions(after), testing::UnorderedElementsAreArray(descriptions(before)))
            << "seed " << seed << " round " << round;
        auto again = after;
        sort_destinations(again);
        ASSERT_THAT(descriptions(again), ElementsAreArray(descriptions(after)));
        for (std::size_t i = 1; i < after.size(); ++i) {
            ASSERT_FALSE(better(after[i], after[i - 1]))
                << description(after[i]) << " behind " << description(after[i - 1]);
        }
    }
}

TEST(select, the_order_is_a_strict_weak_one) {
    constexpr std::uint64_t seed = 8305;
    random_places some{seed};
    for (int round = 0; round < 6000; ++round) {
        const auto a = some.next();
        const auto b = some.next();
        const auto c = some.next();
        const auto text = [&] {
            return description(a) + " | " + description(b) + " | " + description(c);
        };
        ASSERT_FALSE(better(a, a)) << text();
        ASSERT_FALSE(better(a, b) && better(b, a)) << text();
        if (better(a, b) && better(b, c)) {
            ASSERT_TRUE(better(a, c)) << text();
        }
        if (!better(a, b) && !better(b, a) && !better(b, c) && !better(c, b)) {
            ASSERT_FALSE(better(a, c) || better(c, a)) << text();
        }
    }
}

TEST(select, the_choice_of_a_source_does_not_hang_on_the_order_of_candidates) {
    constexpr std::uint64_t seed = 5055;
    std::mt19937_64 random{seed};
    for (int round = 0; round < 5000; ++round) {
        std::vector<source> candidates;
        for (std::size_t i = 0; i < 6; ++i) { // all different by their last byte
            auto each = from(i % 2 == 0 ? "2001:db8:1::" : "fd00::");
            auto bytes = each.address.to_v6();
            bytes[5] = static_cast<std::uint8_t>(random() % 4);
            bytes[15] = static_cast<std::uint8_t>(i + 1);
            each.address = address::v6(bytes);
            each.deprecated = random() % 4 == 0;
            each.temporary = random() % 2 == 0;
            each.care_of = random() % 4 == 0;
            each.home = random() % 4 == 0;
            each.interface = static_cast<std::uint32_t>(random() % 3);
            // Six different lengths, so that rule 8 always decides.
            each.prefix_length = static_cast<unsigned>(i);
            if (random() % 2 == 0) {
                each.next_hop_prefix_router = at(random() % 2 == 0 ? "fe80::a" : "fe80::b");
            }
            candidates.push_back(each);
        }
        source_choice how;
        how.outgoing = static_cast<std::uint32_t>(random() % 3);
        how.next_hop = at("fe80::a");
        const auto first = choose_source(at("2001:db8:1::99"), candidates, how);
        ASSERT_TRUE(first);
        const auto winner = candidates[*first].address;
        const auto shares =
            common_prefix_length(winner, at("2001:db8:1::99"), candidates[*first].prefix_length);
        std::shuffle(candidates.begin(), candidates.end(), random);
        const auto second = choose_source(at("2001:db8:1::99"), candidates, how);
        ASSERT_TRUE(second);
        // Equally good ones keep their order; then they share equally many bits.
        if (candidates[*second].address != winner) {
            ASSERT_EQ(common_prefix_length(candidates[*second].address, at("2001:db8:1::99"),
                                           candidates[*second].prefix_length),
                      shares)
                << "seed " << seed << " round " << round;
            ASSERT_EQ(candidates[*second].temporary,
                      std::find_if(candidates.begin(), candidates.end(), [&](const source& each) {
                          return each.address == winner;
                      })->temporary);
        }
    }
}

TEST(select, the_default_table_is_that_of_section_2_1) {
    std::vector<std::string> rows;
    for (const auto& each : default_policies()) {
        rows.push_back(to_text(each.block) + " " + std::to_string(each.precedence) + " " +
                       std::to_string(each.label));
    }
    EXPECT_THAT(rows, ElementsAre("::1/128 50 0", "::/0 40 1", "::ffff:0.0.0.0/96 35 4",
                                  "2002::/16 30 2", "2001::/32 5 5", "fc00::/7 3 13", "::/96 1 3",
                                  "fec0::/10 1 11", "3ffe::/16 1 12"));
}

} // namespace
} // namespace portico::ip
