#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/endpoint.hpp"

#include <gtest/gtest.h>

#include <random>
#include <type_traits>

namespace portico::ip {
namespace {

static_assert(std::is_trivially_copyable_v<endpoint> && std::regular<endpoint>);
static_assert(std::is_trivially_copyable_v<any_endpoint>);
static_assert(endpoint{address::v4(1, 2, 3, 4), 80} < endpoint{address::v4(1, 2, 3, 4), 81});

endpoint parsed(std::string_view text) {
    const auto made = parse_endpoint(text);
    EXPECT_TRUE(made) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(endpoint{});
}

TEST(endpoint, text_is_read_and_written) {
    EXPECT_EQ(to_text(parsed("1.2.3.4:80")), "1.2.3.4:80");
    EXPECT_EQ(to_text(parsed("0.0.0.0:0")), "0.0.0.0:0");
    EXPECT_EQ(to_text(parsed("[2001:DB8::1]:65535")), "[2001:db8::1]:65535");
    EXPECT_EQ(to_text(parsed("[::ffff:1.2.3.4]:80")), "[::ffff:1.2.3.4]:80");
    EXPECT_EQ(to_text(parsed("[::]:80")), "[::]:80");
}

TEST(endpoint, a_zone_may_stand_in_the_brackets_or_after_the_port) {
    const auto expected = parsed("[fe80::1%eth0]:80");
    EXPECT_EQ(expected.address.zone().text(), "eth0");
    EXPECT_EQ(parsed("[fe80::1%25eth0]:80"), expected);
    EXPECT_EQ(parsed("[fe80::1]:80%eth0"), expected);
    EXPECT_EQ(to_text(expected), "[fe80::1%eth0]:80");
    EXPECT_EQ(parsed("[fe80::1]:80%25").address.zone().index(), 25U);
}

TEST(endpoint, every_value_reads_back_as_the_equal_value) {
    std::mt19937_64 random{5952};
    for (int round = 0; round < 5000; ++round) {
        address::v6_bytes bytes{};
        for (auto& byte : bytes) {
            byte = static_cast<std::uint8_t>(random() % 2 == 0 ? random() : 0);
        }
        const auto zone = zone::from_index(static_cast<std::uint32_t>(random() % 3));
        const endpoint which{round % 2 == 0 ? address::v4(bytes[0], bytes[1], bytes[2], bytes[3])
                                            : address::v6(bytes, zone),
                             static_cast<std::uint16_t>(random())};
        ASSERT_EQ(parsed(to_text(which)), which);
        ASSERT_EQ(std::hash<endpoint>{}(parsed(to_text(which))), std::hash<endpoint>{}(which));
    }
}

TEST(endpoint, bad_text_is_pointed_at) {
    struct {
        std::string_view text;
        std::size_t at;
        std::size_t length;
        std::string_view what;
    } const cases[] = {
        {"", 0, 1, "empty"},
        {"1.2.3.4", 7, 1, "the port is missing"},
        {"1.2.3.4:", 8, 1, "the port is missing"},
        {"1.2.3.4:http", 8, 1, "'h' is not a digit"},
        {"1.2.3.4:65536", 8, 5, "over 65535"},
        {"1.2.3.4:080", 8, 1, "begins with a zero"},
        {"1.2.3.4:-1", 8, 1, "'-' is not a digit"},
        {"1.2.3.4:80 ", 10, 1, "a space is not a digit"},
        {"1.2.3.4:80:81", 10, 3, "a second ':'"},
        {"1.2.3:80", 5, 1, "four numbers"},
        {":80", 0, 1, "the address is missing"},
        {"localhost:80", 0, 9, "this is not an address"},
        {"2001:db8::1", 0, 11, "needs brackets"},
        {"2001:db8::1:80", 0, 14, "needs brackets"},
        {"[2001:db8::1]", 13, 1, "the port is missing"},
        {"[2001:db8::1]:", 14, 1, "the port is missing"},
        {"[2001:db8::1]80", 13, 1, "after ']' comes ':'"},
        {"[2001:db8::1]#80", 13, 1, "after ']' comes ':'"},
        {"[2001:db8::1:80", 0, 1, "not closed"},
        {"2001:db8::1]:80", 11, 1, "no '[' opens this"},
        {"[[::1]]:80", 6, 1, "after ']' comes ':'"},
        {"[1.2.3.4]:80", 0, 9, "brackets are for IPv6"},
        {"[]:80", 0, 2, "nothing in the brackets"},
        {"[fe80::1%]:80", 8, 1, "the zone after '%' is empty"},
        {"[fe80::1]:80%", 12, 1, "the zone after '%' is empty"},
        {"[fe80::1%eth0]:80%eth1", 17, 5, "a second zone"},
        {"[fe80::g]:80", 7, 1, "'g' is not a hexadecimal digit"},
        {"1.2.3.4:80%eth0", 10, 1, "'%' is not a digit"},
    };
    for (const auto& each : cases) {
        const auto made = parse_endpoint(each.text);
        ASSERT_FALSE(made) << each.text;
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_EQ(made.error().length, each.length) << each.text << ": " << made.error().what;
        EXPECT_NE(made.error().what.find(each.what), std::string::npos)
            << each.text << ": " << made.error().what;
    }
}

TEST(endpoint, the_hint_for_missing_brackets_has_them) {
    EXPECT_EQ(parse_endpoint("2001:db8::1:80").error().hint, "write [2001:db8::1]:80");
    EXPECT_EQ(parse_endpoint("fe80::1%eth0:80").error().hint, "write [fe80::1%eth0]:80");
    EXPECT_EQ(parse_endpoint("2001:db8::abcd").error().hint,
              "write [2001:db8::abcd]:80 with your port");
    EXPECT_EQ(parse_endpoint("fe80::1:80").error().hint, "write [fe80::1%eth0]:80");
    EXPECT_EQ(parse_endpoint("fe80::a").error().hint, "write [fe80::a%eth0]:80 with your port");
    EXPECT_EQ(parse_endpoint(":::80").error().hint, "write [::]:80");
    EXPECT_EQ(parse_endpoint("1:2:3").error().hint, "write it like [2001:db8::1]:80");
}

TEST(any_endpoint, has_the_text_of_what_it_holds) {
    EXPECT_EQ(to_text(any_endpoint{}), "");
    EXPECT_EQ(to_text(any_endpoint{parsed("[::1]:80")}), "[::1]:80");
    EXPECT_EQ(to_text(any_endpoint{*unix_name::path("/run/x.sock")}), "unix:/run/x.sock");
}

} // namespace
} // namespace portico::ip
