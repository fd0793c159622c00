#include "portico/admit/destinations.hpp"

#include "portico/ip/canonical.hpp"

#include <gtest/gtest.h>

namespace portico::admit {
namespace {

using why = destination_refusal;

ip::endpoint to(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

destinations made(std::string_view allow, std::string_view deny = {}) {
    std::vector<destination_rule> all;
    if (!allow.empty()) {
        all = parse_destination_rules(allow, ruling::allow).value();
    }
    if (!deny.empty()) {
        const auto more = parse_destination_rules(deny, ruling::deny).value();
        all.insert(all.end(), more.begin(), more.end());
    }
    return destinations{all};
}

constexpr std::optional<why> dialled = std::nullopt;

TEST(destinations, the_world_and_private_networks_are_dialled_without_rules) {
    const destinations may;
    for (const auto* text :
         {"192.0.2.1:80", "10.1.2.3:22", "192.168.1.1:443", "[2001:db8::1]:80", "[fd00::1]:22",
          "[2002:c000:201::1]:80", "[::192.0.2.1]:80", "[64:ff9b::192.0.2.1]:80"}) {
        EXPECT_EQ(may.refuse(to(text)), dialled) << text;
        EXPECT_EQ(may.refuse("example.org", to(text)), dialled) << text;
    }
}

struct guarded_case {
    std::string_view v4;
    why reason;
};

class guarded : public testing::TestWithParam<guarded_case> {};

TEST_P(guarded, however_it_is_written_and_whatever_name_it_has) {
    destinations may;
    const std::vector<ip::address> own{ip::address::v4(192, 0, 2, 77)};
    const std::vector<ip::prefix> nat64{ip::parse_prefix("2001:db8:64::/48").value(),
                                        ip::parse_prefix("2001:db8:96::/96").value()};
    may.handle_own_addresses(own);
    may.handle_nat64(nat64);
    const auto v4 = ip::parse_address(GetParam().v4).value();
    const auto b = v4.to_v4();
    std::vector<ip::address> all{
        v4,
        ip::address::v6(v4.to_v6()),                                 // mapped
        ip::address::v6({0x20, 0x02, b[0], b[1], b[2], b[3], 0, 1}), // 6to4
        ip::nat64_embed(ip::nat64_well_known(), v4).value(),         // NAT64
        ip::nat64_embed(nat64[0], v4).value(),                       // given
        ip::nat64_embed(nat64[1], v4).value(),                       //
    };
    if (!v4.is_unspecified()) { // that would be ::
        all.push_back(
            ip::address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b[0], b[1], b[2], b[3]}));
    }
    for (const auto& each : all) {
        EXPECT_EQ(may.refuse({each, 80}), GetParam().reason) << to_text(each);
        EXPECT_EQ(may.refuse("rebound.example", {each, 80}), GetParam().reason) << to_text(each);
    }
}

INSTANTIATE_TEST_SUITE_P(destinations, guarded,
                         testing::Values(guarded_case{"127.0.0.1", why::loopback},
                                         guarded_case{"127.255.255.254", why::loopback},
                                         guarded_case{"169.254.169.254", why::link_local},
                                         guarded_case{"0.0.0.0", why::unspecified},
                                         guarded_case{"0.1.2.3", why::unspecified},
                                         guarded_case{"224.0.0.1", why::multicast},
                                         guarded_case{"239.255.255.255", why::multicast},
                                         guarded_case{"255.255.255.255", why::broadcast},
                                         guarded_case{"192.0.2.77", why::own_address}));

TEST(destinations, ipv6_has_its_own_guarded_blocks) {
    destinations may;
    const std::vector<ip::address> own{ip::parse_address("2001:db8::7").value(),
                                       ip::parse_address("fe80::7%eth0").value()};
    may.handle_own_addresses(own);
    EXPECT_EQ(may.refuse(to("[::]:80")), why::unspecified);
    EXPECT_EQ(may.refuse(to("[::1]:80")), why::loopback);
    EXPECT_EQ(may.refuse(to("[fe80::1%eth0]:80")), why::link_local);
    EXPECT_EQ(may.refuse(to("[febf::1]:80")), why::link_local);
    EXPECT_EQ(may.refuse(to("[fe80::7]:80")), why::own_address);
    EXPECT_EQ(may.refuse(to("[ff02::1%eth0]:80")), why::multicast);
    EXPECT_EQ(may.refuse(to("[2001:db8::7]:80")), why::own_address);
    EXPECT_EQ(may.refuse(to("[2001:db8::8]:80")), dialled);
    may.handle_own_addresses({});
    EXPECT_EQ(may.refuse(to("[2001:db8::7]:80")), dialled);
}

TEST(destinations, a_rule_that_names_a_guarded_block_opens_it) {
    const auto may = made("127.0.0.1:8080,[::1]:*,169.254.0.0/16:80");
    EXPECT_EQ(may.refuse(to("127.0.0.1:8080")), dialled);
    EXPECT_EQ(may.refuse(to("127.0.0.1:8081")), why::loopback);
    EXPECT_EQ(may.refuse(to("127.0.0.2:8080")), why::loopback);
    EXPECT_EQ(may.refuse(to("[::ffff:127.0.0.1]:8080")), dialled);
    EXPECT_EQ(may.refuse(to("[64:ff9b::127.0.0.1]:8080")), dialled);
    EXPECT_EQ(may.refuse(to("[2002:7f00:1::]:8080")), why::not_listed);
    EXPECT_EQ(may.refuse(to("[::1]:22")), dialled);
    EXPECT_EQ(may.refuse(to("169.254.169.254:80")), dialled);
    EXPECT_EQ(may.refuse("localhost", to("127.0.0.1:8080")), dialled);
}

TEST(destinations, a_larger_block_or_a_name_does_not_open_it) {
    for (const auto* allow : {"*:*", "0.0.0.0/0:*,[::/0]:*", "localhost:*", "126.0.0.0/7:*",
                              "*.example.org:*,[2002::/16]:*,[64:ff9b::/96]:*"}) {
        const auto may = made(allow);
        EXPECT_EQ(may.refuse(to("127.0.0.1:80")), why::loopback) << allow;
        EXPECT_EQ(may.refuse("localhost", to("127.0.0.1:80")), why::loopback) << allow;
        EXPECT_EQ(may.refuse("a.example.org", to("[::1]:80")), why::loopback) << allow;
        EXPECT_EQ(may.refuse(to("[2002:7f00:1::]:80")), why::loopback) << allow;
        EXPECT_EQ(may.refuse(to("[64:ff9b::7f00:1]:80")), why::loopback) << allow;
    }
}

TEST(destinations, an_own_address_has_to_be_named_alone) {
    const std::vector<ip::address> own{ip::address::v4(10, 0, 0, 1), ip::address::v4(127, 0, 0, 1)};
    auto may = made("10.0.0.0/8:*");
    may.handle_own_addresses(own);
    EXPECT_EQ(may.refuse(to("10.0.0.1:80")), why::own_address);
    EXPECT_EQ(may.refuse(to("10.0.0.2:80")), dialled);
    may = made("10.0.0.1:80,127.0.0.0/8:80");
    may.handle_own_addresses(own);
    EXPECT_EQ(may.refuse(to("10.0.0.1:80")), dialled);
    EXPECT_EQ(may.refuse(to("10.0.0.1:81")), why::own_address);
    EXPECT_EQ(may.refuse(to("127.0.0.1:80")), dialled); // its block was named
}

TEST(destinations, with_allow_rules_what_is_not_listed_is_refused) {
    const auto may = made("*.example.org:443,10.0.0.0/8:*");
    EXPECT_EQ(may.refuse("www.example.org", to("192.0.2.1:443")), dialled);
    EXPECT_EQ(may.refuse("WWW.Example.ORG.", to("192.0.2.1:443")), dialled);
    EXPECT_EQ(may.refuse("a.b.example.org", to("192.0.2.1:443")), dialled);
    EXPECT_EQ(may.refuse("example.org", to("192.0.2.1:443")), why::not_listed);
    EXPECT_EQ(may.refuse("badexample.org", to("192.0.2.1:443")), why::not_listed);
    EXPECT_EQ(may.refuse("www.example.org", to("192.0.2.1:80")), why::not_listed);
    EXPECT_EQ(may.refuse(to("192.0.2.1:443")), why::not_listed);
    EXPECT_EQ(may.refuse("other.example", to("10.1.2.3:80")), dialled);
}

TEST(destinations, a_denied_address_is_refused_under_every_name) {
    const auto may = made("*.example.org:443", "10.0.0.0/8:*");
    EXPECT_EQ(may.refuse("www.example.org", to("10.1.2.3:443")), why::rule);
    EXPECT_EQ(may.refuse("www.example.org", to("[2002:a01:203::1]:443")), why::rule);
    EXPECT_EQ(may.refuse("www.example.org", to("[64:ff9b::a01:203]:443")), why::rule);
    EXPECT_EQ(may.refuse("www.example.org", to("[::10.1.2.3]:443")), why::rule);
}

TEST(destinations, the_smallest_block_counts_then_the_fewest_ports_then_the_denying_rule) {
    const auto may = made("10.1.0.0/16:*,10.2.0.0/16:443,10.3.0.0/16:80",
                          "10.0.0.0/8:*,10.2.0.0/16:*,10.3.0.0/16:80");
    EXPECT_EQ(may.refuse(to("10.0.0.1:80")), why::rule);
    EXPECT_EQ(may.refuse(to("10.1.0.1:80")), dialled);
    EXPECT_EQ(may.refuse(to("10.2.0.1:443")), dialled);
    EXPECT_EQ(may.refuse(to("10.2.0.1:80")), why::rule);
    EXPECT_EQ(may.refuse(to("10.3.0.1:80")), why::rule);
}

TEST(destinations, the_longest_name_counts) {
    const auto may = made("*.example.org:*,a.b.example.org:*", "*.b.example.org:*");
    EXPECT_EQ(may.refuse("x.example.org", to("192.0.2.1:1")), dialled);
    EXPECT_EQ(may.refuse("x.b.example.org", to("192.0.2.1:1")), why::rule);
    EXPECT_EQ(may.refuse("a.b.example.org", to("192.0.2.1:1")), dialled);
    EXPECT_EQ(may.refuse("b.example.org", to("192.0.2.1:1")), dialled);
}

TEST(destinations, rules_for_everything_speak_last) {
    auto may = made("*:443,192.0.2.0/24:25", "*:*");
    EXPECT_EQ(may.refuse(to("198.51.100.1:443")), dialled);
    EXPECT_EQ(may.refuse(to("198.51.100.1:80")), why::rule);
    EXPECT_EQ(may.refuse(to("192.0.2.1:25")), dialled);
    may = made("", "*:25");
    EXPECT_EQ(may.refuse(to("192.0.2.1:25")), why::rule);
    EXPECT_EQ(may.refuse(to("192.0.2.1:26")), dialled);
}

TEST(destinations, a_name_can_be_refused_before_it_is_resolved) {
    auto may = made("*.example.org:443,10.0.0.0/8:22", "bad.example.org:*");
    EXPECT_EQ(may.refuse_unresolved("bad.example.org", 443), why::rule);
    EXPECT_EQ(may.refuse_unresolved("www.example.org", 443), dialled);
    EXPECT_EQ(may.refuse_unresolved("www.example.org", 80), why::not_listed);
    EXPECT_EQ(may.refuse_unresolved("other.example", 22), dialled); // it may be in 10.0.0.0/8
    EXPECT_EQ(may.refuse_unresolved("other.example", 443), why::not_listed);
    EXPECT_EQ(destinations{}.refuse_unresolved("other.example", 443), dialled);
}

TEST(destinations, a_name_with_a_zero_byte_or_other_nonsense_is_malformed) {
    using namespace std::string_view_literals;
    const auto may = made("*.example.org:*");
    const std::string long_label(64, 'a');
    std::string long_name = "a";
    while (long_name.size() < 254) {
        long_name += ".a";
    }
    for (const std::string_view name :
         {""sv, "."sv, "a..b"sv, ".a"sv, "evil.example\0.example.org"sv, "a b.example.org"sv,
          "\xc3\xa4.example.org"sv, "[::1]"sv, "a%eth0"sv, std::string_view{long_label},
          std::string_view{long_name}}) {
        EXPECT_EQ(may.refuse(name, to("192.0.2.1:80")), why::malformed_name) << name;
        EXPECT_EQ(may.refuse_unresolved(name, 80), why::malformed_name) << name;
    }
}

TEST(destination_rules, are_written_as_they_are_read) {
    for (const auto* text :
         {"*:*", "*:443", "*.example.org:443", "example.org:8000-8099", "10.0.0.0/8:*",
          "192.0.2.1/32:0-1", "[2001:db8::/32]:443", "[::/0]:*", "_x.a-b.example:1"}) {
        const auto read = parse_destination_rules(text, ruling::deny);
        ASSERT_TRUE(read) << text << ": " << read.error().what;
        ASSERT_EQ(read->size(), 1U);
        EXPECT_EQ(to_text(read->front()), text);
        EXPECT_EQ(read->front().what, ruling::deny);
    }
    const auto read = parse_destination_rules(
        "*.EXAMPLE.org.:https , [::1]:http-alt,[::ffff:10.0.0.0/104]:1,192.0.2.1:domain",
        ruling::allow);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(to_text(read->at(0)), "*.example.org:443");
    EXPECT_EQ(to_text(read->at(1)), "[::1/128]:8080");
    EXPECT_EQ(to_text(read->at(2)), "10.0.0.0/8:1");
    EXPECT_EQ(to_text(read->at(3)), "192.0.2.1/32:53");
}

struct bad_rule {
    std::string_view text;
    std::size_t at;
    std::string_view part; // of the message or the hint
};

class bad_destination_rules : public testing::TestWithParam<bad_rule> {};

TEST_P(bad_destination_rules, are_pointed_at) {
    const auto read = parse_destination_rules(GetParam().text, ruling::allow);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().at, GetParam().at) << read.error().what;
    EXPECT_NE((read.error().what + read.error().hint).find(GetParam().part), std::string::npos)
        << read.error().what << " / " << read.error().hint;
}

INSTANTIATE_TEST_SUITE_P(
    destination_rules, bad_destination_rules,
    testing::Values(bad_rule{"", 0, "missing"}, bad_rule{"*:1,", 4, "missing"},
                    bad_rule{"example.org", 11, "example.org:*"}, bad_rule{":443", 0, "*:443"},
                    bad_rule{"*:1, example.org:", 17, "port is missing"},
                    bad_rule{"2001:db8::1:80", 0, "brackets"},
                    bad_rule{"[2001:db8::]/32:80", 12, "[2001:db8::/32]"},
                    bad_rule{"[2001:db8::1:80", 0, "not closed"},
                    bad_rule{"[192.0.2.1]:80", 0, "IPv6"},
                    bad_rule{"10.1.0.0/8:80", 0, "10.0.0.0/8"}, bad_rule{"300.1.1.1:80", 0, "255"},
                    bad_rule{"www*.example.org:1", 3, "'*'"}, bad_rule{"*.*.org:1", 2, "'*'"},
                    bad_rule{"*.:1", 2, "missing"},
                    bad_rule{"b\xc3\xbc"
                             "cher.example:1",
                             1, "xn--"},
                    bad_rule{"a b:1", 1, "a space"}, bad_rule{"a:90-80", 2, "80-90"},
                    bad_rule{"a:80-", 5, "missing"}, bad_rule{"a:80-x", 5, "digit"},
                    bad_rule{"a:65536", 2, "65535"}, bad_rule{"a:nosuchservice", 2, "service"},
                    bad_rule{"[fe80::1%eth0]:80", 8, "zone"}));

} // namespace
} // namespace portico::admit
