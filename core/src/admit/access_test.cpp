#include "portico/admit/access.hpp"

#include "portico/testkit/random.hpp"

#include <gtest/gtest.h>

namespace portico::admit {
namespace {

ip::address at(std::string_view text) {
    return ip::parse_address(text).value();
}

std::vector<access_rule> rules(std::string_view allow, std::string_view deny) {
    std::vector<access_rule> all;
    if (!allow.empty()) {
        all = parse_access_rules(allow, ruling::allow).value();
    }
    if (!deny.empty()) {
        const auto more = parse_access_rules(deny, ruling::deny).value();
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

access made(std::string_view allow, std::string_view deny) {
    return access{rules(allow, deny)};
}

TEST(access, without_rules_everybody_comes_in) {
    EXPECT_TRUE(access{}.allows(at("192.0.2.1")));
    EXPECT_TRUE(access{}.allows(at("2001:db8::1")));
    EXPECT_TRUE(access{}.allows(ip::any_endpoint{}));
}

TEST(access, with_an_allow_rule_all_others_stay_out) {
    const auto who = made("192.0.2.0/24", "");
    EXPECT_TRUE(who.allows(at("192.0.2.255")));
    EXPECT_FALSE(who.allows(at("192.0.3.0")));
    EXPECT_FALSE(who.allows(at("192.0.1.255")));
    EXPECT_FALSE(who.allows(at("2001:db8::1")));
    EXPECT_EQ(who.otherwise(), ruling::deny);
}

TEST(access, with_deny_rules_alone_all_others_come_in) {
    const auto who = made("", "192.0.2.0/24,::1");
    EXPECT_FALSE(who.allows(at("192.0.2.0")));
    EXPECT_FALSE(who.allows(at("::1")));
    EXPECT_TRUE(who.allows(at("::2")));
    EXPECT_TRUE(who.allows(at("192.0.3.0")));
}

TEST(access, the_most_specific_block_rules_whatever_the_order) {
    for (const auto* allow : {"10.0.0.0/8, 10.1.2.0/24", "10.1.2.0/24, 10.0.0.0/8"}) {
        const auto who = made(allow, "10.1.0.0/16, 10.1.2.3");
        EXPECT_TRUE(who.allows(at("10.0.255.255")));
        EXPECT_FALSE(who.allows(at("10.1.0.0")));
        EXPECT_FALSE(who.allows(at("10.1.1.255")));
        EXPECT_TRUE(who.allows(at("10.1.2.0")));
        EXPECT_TRUE(who.allows(at("10.1.2.2")));
        EXPECT_FALSE(who.allows(at("10.1.2.3")));
        EXPECT_TRUE(who.allows(at("10.1.2.4")));
        EXPECT_FALSE(who.allows(at("10.1.3.0")));
        EXPECT_TRUE(who.allows(at("10.2.0.0")));
        EXPECT_FALSE(who.allows(at("11.0.0.0")));
    }
}

TEST(access, of_two_rules_for_one_block_the_denying_one_counts) {
    const auto who = made("2001:db8::/32,192.0.2.0/24", "192.0.2.0/24");
    EXPECT_FALSE(who.allows(at("192.0.2.1")));
    EXPECT_TRUE(who.allows(at("2001:db8::1")));
    EXPECT_EQ(who.rules().size(), 2U);
}

TEST(access, blocks_that_reach_to_the_last_address_end_well) {
    const auto who = made("0.0.0.0/0,::/0", "255.255.255.255,ffff::/16,0.0.0.0/32,::/128");
    EXPECT_FALSE(who.allows(at("255.255.255.255")));
    EXPECT_TRUE(who.allows(at("255.255.255.254")));
    EXPECT_FALSE(who.allows(at("0.0.0.0")));
    EXPECT_FALSE(who.allows(at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
    EXPECT_TRUE(who.allows(at("fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
    EXPECT_FALSE(who.allows(at("::")));
    EXPECT_TRUE(who.allows(at("::1")));
}

TEST(access, a_mapped_client_and_a_mapped_rule_are_the_ipv4_ones) {
    EXPECT_FALSE(made("", "192.0.2.0/24").allows(at("::ffff:192.0.2.1")));
    EXPECT_FALSE(made("", "::ffff:192.0.2.0/120").allows(at("192.0.2.1")));
    EXPECT_TRUE(made("", "::/0").allows(at("::ffff:192.0.2.1")));
    EXPECT_TRUE(made("", "::ffff:0:0/96").allows(at("2001:db8::1")));
    EXPECT_FALSE(made("", "::ffff:0:0/96").allows(at("0.0.0.0")));
}

TEST(access, the_zone_of_a_client_does_not_count) {
    EXPECT_TRUE(made("fe80::/10", "").allows(at("fe80::1%eth0")));
}

TEST(access, a_unix_peer_passes_and_an_unknown_one_does_not) {
    const auto who = made("192.0.2.0/24", "0.0.0.0/0");
    EXPECT_TRUE(who.allows(ip::any_endpoint{*ip::unix_name::path("/run/client")}));
    EXPECT_TRUE(who.allows(ip::any_endpoint{ip::unix_name{}}));
    EXPECT_FALSE(who.allows(ip::any_endpoint{}));
    EXPECT_TRUE(who.allows(ip::any_endpoint{ip::endpoint{at("192.0.2.1"), 1}}));
    EXPECT_FALSE(who.allows(ip::any_endpoint{ip::endpoint{at("192.0.3.1"), 1}}));
}

TEST(access, the_rule_that_decided_can_be_told) {
    const auto who = made("10.0.0.0/8", "10.1.0.0/16");
    ASSERT_NE(who.rule_for(at("10.1.2.3")), nullptr);
    EXPECT_EQ(to_text(*who.rule_for(at("10.1.2.3"))), "deny 10.1.0.0/16");
    EXPECT_EQ(to_text(*who.rule_for(at("10.2.2.3"))), "allow 10.0.0.0/8");
    EXPECT_EQ(who.rule_for(at("11.0.0.1")), nullptr);
}

TEST(access_rules, spaces_around_a_block_do_not_count) {
    const auto read = parse_access_rules("  192.0.2.0/24 ,::1", ruling::deny);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->size(), 2U);
    EXPECT_EQ(to_text(read->front()), "deny 192.0.2.0/24");
    EXPECT_EQ(to_text(read->back()), "deny ::1/128");
}

struct bad_list {
    std::string_view text;
    std::size_t at;
    std::string_view part; // of the message or the hint
};

class bad_access_rules : public testing::TestWithParam<bad_list> {};

TEST_P(bad_access_rules, are_pointed_at) {
    const auto read = parse_access_rules(GetParam().text, ruling::allow);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().at, GetParam().at);
    EXPECT_NE((read.error().what + read.error().hint).find(GetParam().part), std::string::npos)
        << read.error().what << " / " << read.error().hint;
}

INSTANTIATE_TEST_SUITE_P(access_rules, bad_access_rules,
                         testing::Values(bad_list{"", 0, "missing"}, bad_list{"::1,", 4, "missing"},
                                         bad_list{"::1, ,::2", 5, "missing"},
                                         bad_list{"::1, 10.0.0.0/33", 14, "over 32"},
                                         bad_list{"::1, 10.1.2.3/8", 5, "10.0.0.0/8"},
                                         bad_list{"fe80::1%eth0", 7, "zone"}));

// Every question has the answer of the definition, taken word for word.
bool plain_answer(const std::vector<access_rule>& rules, const ip::address& which) {
    const access_rule* best = nullptr;
    bool any_allows = false;
    for (const auto& each : rules) {
        any_allows = any_allows || each.what == ruling::allow;
        if (!each.block.contains(which)) {
            continue;
        }
        const bool longer = best == nullptr || each.block.length() > best->block.length();
        const bool tie = best != nullptr && each.block.length() == best->block.length();
        if (longer || (tie && each.what == ruling::deny)) {
            best = &each;
        }
    }
    return best == nullptr ? !any_allows : best->what == ruling::allow;
}

// Few different bytes, so that blocks nest and meet.
ip::address crowded(testkit::seeded_random& random) {
    const auto byte = [&] {
        return static_cast<std::uint8_t>(random.chance(1, 4) ? 255 * random.below(2)
                                                             : random.below(4) * 64);
    };
    if (random.chance(1, 2)) {
        return ip::address::v4(10, byte(), byte(), byte());
    }
    ip::address::v6_bytes bytes{0x20, 1};
    for (std::size_t i = 2; i < bytes.size(); ++i) {
        bytes[i] = byte();
    }
    return ip::address::v6(bytes);
}

TEST(access, random_rules_answer_as_the_definition_says) {
    testkit::seeded_random random;
    for (int round = 0; round < 200; ++round) {
        std::vector<access_rule> list;
        for (auto left = random.below(60); left != 0; --left) {
            const auto base = crowded(random);
            const auto length = static_cast<unsigned>(random.below(base.is_v4() ? 33 : 129));
            list.push_back({ip::prefix::make(base, length).value(),
                            random.chance(1, 2) ? ruling::allow : ruling::deny});
        }
        const access who{list};
        for (int i = 0; i < 100; ++i) {
            const auto which = list.empty() || random.chance(1, 2)
                                   ? crowded(random)
                                   : list[random.below(list.size())].block.base();
            ASSERT_EQ(who.allows(which), plain_answer(list, which)) << to_text(which);
        }
    }
}

TEST(access, thousands_of_rules_are_answered_alike) {
    std::vector<access_rule> list;
    for (unsigned i = 0; i < 65536; ++i) {
        const auto base = ip::address::v4(10, static_cast<std::uint8_t>(i >> 8),
                                          static_cast<std::uint8_t>(i & 0xff), 0);
        list.push_back(
            {ip::prefix::make(base, 24).value(), i % 3 == 0 ? ruling::deny : ruling::allow});
    }
    const access who{list};
    for (unsigned i = 0; i < 65536; ++i) {
        const auto client = ip::address::v4(10, static_cast<std::uint8_t>(i >> 8),
                                            static_cast<std::uint8_t>(i & 0xff), 77);
        ASSERT_EQ(who.allows(client), i % 3 != 0) << to_text(client);
    }
}

} // namespace
} // namespace portico::admit
