#include "portico/ip/address.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace portico::ip {
namespace {

// ---- what the header promises at compile time ----

static_assert(std::is_trivially_copyable_v<zone> && std::regular<zone>);
static_assert(std::is_trivially_copyable_v<address> && std::regular<address>);
static_assert(sizeof(address) <= 40);
static_assert(address{} == address::v4(0, 0, 0, 0));
static_assert(address::any(family::v6).is_unspecified() && address::any(family::v6).is_v6());
static_assert(address::loopback(family::v4) == address::v4(127, 0, 0, 1));
static_assert(address::loopback(family::v6).is_loopback());
static_assert(address::v4(127, 255, 0, 3).is_loopback() &&
              !address::v4(128, 0, 0, 1).is_loopback());
static_assert(address::v4(169, 254, 0, 1).is_link_local());
static_assert(!address::v4(169, 254, 0, 1).needs_zone());
static_assert(address::v4(239, 1, 1, 1).is_multicast() &&
              !address::v4(240, 0, 0, 1).is_multicast());
static_assert(address::v6({0xfe, 0x80}).is_link_local() &&
              address::v6({0xfe, 0xbf}).is_link_local());
static_assert(!address::v6({0xfe, 0xc0}).is_link_local());
static_assert(address::v6({0xff, 0x02}).needs_zone() && address::v6({0xff, 0x11}).needs_zone());
static_assert(!address::v6({0xff, 0x05}).needs_zone());
static_assert(address::v6(address::v4(192, 0, 2, 1).to_v6()).is_v4_mapped());
static_assert(address::v6(address::v4(192, 0, 2, 1).to_v6()) != address::v4(192, 0, 2, 1));
static_assert(zone::from_index(4294967295U).text() == "4294967295");
static_assert(zone::from_index(0).empty());
static_assert(zone::from_index(12).index() == 12U);
static_assert(!zone::from_text("eth0")->index() && !zone{}.index());
static_assert(!zone::from_text("4294967296")->index());
static_assert(zone::from_text("a23456789012345") && !zone::from_text("a234567890123456"));
static_assert(!zone::from_text("eth 0") && !zone::from_text("a/b") && !zone::from_text("a%b") &&
              !zone::from_text("a:b") && !zone::from_text("[") && !zone::from_text("a,b") &&
              !zone::from_text("\x7f") && !zone::from_text("\xc3\xa4"));
static_assert(address::v6({0xfe, 0x80}).with_zone(*zone::from_text("eth0")).zone().text() ==
              "eth0");
static_assert(address::v4(255, 255, 255, 255) < address::any(family::v6));
static_assert(address::v4(1, 0, 0, 0) < address::v4(1, 0, 0, 1));

address parsed(std::string_view text) {
    const auto made = parse_address(text);
    EXPECT_TRUE(made) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(address{});
}

struct rewriting {
    std::string_view written;
    std::string_view canonical;
};

void expect_canonical(const std::vector<rewriting>& cases) {
    for (const auto& each : cases) {
        EXPECT_EQ(to_text(parsed(each.written)), each.canonical) << each.written;
        EXPECT_EQ(parsed(each.canonical), parsed(each.written)) << each.written;
    }
}

TEST(address, the_forms_of_rfc_4291_section_2_2_are_read) {
    expect_canonical({
        {"ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
        {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
        {"2001:DB8::8:800:200C:417A", "2001:db8::8:800:200c:417a"},
        {"FF01:0:0:0:0:0:0:101", "ff01::101"},
        {"FF01::101", "ff01::101"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"0:0:0:0:0:0:13.1.68.3", "::d01:4403"},
        {"::13.1.68.3", "::d01:4403"},
        {"0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"},
        {"::FFFF:129.144.52.38", "::ffff:129.144.52.38"},
        {"2001:0DB8::CD30:0:0:0:0", "2001:db8:0:cd30::"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"::", "::"},
        {"1::", "1::"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    });
}

TEST(address, rfc_5952_section_1_and_2_the_many_ways_to_write_one_address) {
    for (const auto* text : {"2001:db8:0:0:1:0:0:1", "2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1",
                             "2001:db8::0:1:0:0:1", "2001:0db8::1:0:0:1", "2001:db8:0:0:1::1",
                             "2001:db8:0000:0:1::1", "2001:DB8:0:0:1::1"}) {
        EXPECT_EQ(to_text(parsed(text)), "2001:db8::1:0:0:1") << text;
    }
    expect_canonical({
        // section 2.1: leading zeros in a field
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:01", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
        // section 2.2: zero compression
        {"2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"},
        {"2001:db8:0:0:0::1", "2001:db8::1"},
        {"2001:db8:0:0::1", "2001:db8::1"},
        {"2001:db8:0::1", "2001:db8::1"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:db8::aaaa:0:0:1", "2001:db8::aaaa:0:0:1"},
        {"2001:db8:0:0:aaaa::1", "2001:db8::aaaa:0:0:1"},
        // section 2.3: upper and lower case
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"},
        {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:AaAa", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"},
    });
}

TEST(address, rfc_5952_section_4_the_canonical_text) {
    expect_canonical({
        {"2001:0db8::0001", "2001:db8::1"},              // 4.1
        {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},       // 4.2.1
        {"2001:db8::0:1", "2001:db8::1"},                // 4.2.1
        {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, // 4.2.2
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},         // 4.2.3, the longest run
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},   // 4.2.3, the first of two
        {"2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:FF0a", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff0a"}, // 4.3
    });
}

TEST(address, rfc_5952_section_5_an_embedded_ipv4_address) {
    expect_canonical({
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"0:0:0:0:0:ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"::ffff:c000:201", "::ffff:192.0.2.1"},
        {"::ffff:0:0", "::ffff:0.0.0.0"},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    });
}

TEST(address, a_zone_is_read_in_all_its_spellings) {
    expect_canonical({
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"fe80::1%25eth0", "fe80::1%eth0"},
        {"fe80::1%7", "fe80::1%7"},
        {"fe80::1%eth0.100", "fe80::1%eth0.100"},
        {"FE80::1%Eth0", "fe80::1%Eth0"},
        {"2001:db8::1%wg-home", "2001:db8::1%wg-home"},
        {"ff02::1%a23456789012345", "ff02::1%a23456789012345"},
        {"ff02::1%25a23456789012345", "ff02::1%a23456789012345"},
    });
}

TEST(address, digits_after_the_percent_sign_are_a_number_even_when_they_begin_with_25) {
    expect_canonical({
        {"fe80::1%25", "fe80::1%25"},
        {"fe80::1%251", "fe80::1%251"},
        {"fe80::1%2525", "fe80::1%2525"},
    });
    EXPECT_EQ(parsed("fe80::1%25").zone().index(), 25U);
    EXPECT_EQ(parsed("fe80::1%251").zone().index(), 251U);
}

TEST(address, an_interface_whose_name_begins_with_25_is_written_with_the_escape) {
    const auto odd = address::v6({0xfe, 0x80}).with_zone(*zone::from_text("25eth0"));
    EXPECT_EQ(to_text(odd), "fe80::%2525eth0");
    EXPECT_EQ(parsed("fe80::%2525eth0"), odd);
    EXPECT_EQ(parsed("fe80::%25eth0").zone().text(), "eth0");
}

TEST(address, every_value_reads_back_as_the_equal_value) {
    constexpr std::uint64_t seed = 20010;
    std::mt19937_64 random{seed};
    constexpr std::string_view letters = "abcxyzABC0123456789.-_@25";
    for (int round = 0; round < 20000; ++round) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
        address::v6_bytes bytes{};
        for (auto& byte : bytes) { // many zeros, so that runs of them occur
            byte = random() % 3 == 0 ? static_cast<std::uint8_t>(random()) : std::uint8_t{0};
        }
        std::string name;
        for (auto left = random() % 3 == 0 ? random() % 16 : 0; left > 0; --left) {
            name += letters[random() % letters.size()];
        }
        auto where = *zone::from_text(name);
        where = where.index() == 0U ? zone{} : where; // zone 0 is no zone
        const auto which = round % 4 == 0 ? address::v4(bytes[0], bytes[1], bytes[2], bytes[3])
                                          : address::v6(bytes, where);
        const auto text = to_text(which);
        const auto again = parse_address(text);
        ASSERT_TRUE(again) << text << ": " << again.error().what;
        ASSERT_EQ(*again, which) << text;
        ASSERT_EQ(to_text(*again), text);
    }
}

TEST(address, the_canonical_text_shortens_exactly_one_run_of_zeros) {
    std::mt19937_64 random{5952};
    for (int round = 0; round < 5000; ++round) {
        address::v6_bytes bytes{};
        for (std::size_t group = 0; group < 8; ++group) {
            bytes[2 * group + 1] = static_cast<std::uint8_t>(random() % 2);
        }
        const auto text = to_text(address::v6(bytes));
        const auto gap = text.find("::");
        ASSERT_EQ(text.find(":::"), std::string::npos) << text;
        if (gap != std::string::npos) {
            ASSERT_EQ(text.find("::", gap + 1), std::string::npos) << text;
        } else {
            ASSERT_EQ(text.find("0:0"), std::string::npos) << text;
        }
    }
}

TEST(address, order_is_family_then_value_then_zone) {
    const std::vector<address> ordered{
        parsed("0.0.0.0"), parsed("192.0.2.1"),    parsed("::"),      parsed("::1"),
        parsed("fe80::1"), parsed("fe80::1%eth0"), parsed("fe80::2"), parsed("ff02::1%eth0")};
    EXPECT_TRUE(std::is_sorted(ordered.begin(), ordered.end()));
    EXPECT_EQ(std::set<address>(ordered.begin(), ordered.end()).size(), ordered.size());
}

TEST(address, equal_values_hash_equal_and_neighbours_do_not) {
    const std::hash<address> hash;
    EXPECT_EQ(hash(parsed("2001:db8::1")), hash(parsed("2001:DB8:0::1")));
    std::unordered_set<std::size_t> seen;
    for (unsigned i = 0; i < 65536; ++i) {
        seen.insert(hash(
            address::v4(10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i))));
    }
    EXPECT_EQ(seen.size(), 65536U);
    EXPECT_NE(hash(parsed("fe80::1%eth0")), hash(parsed("fe80::1%eth1")));
    EXPECT_NE(hash(parsed("0.0.0.0")), hash(parsed("::")));
    EXPECT_NE(std::hash<zone>{}(*zone::from_text("eth0")), std::hash<zone>{}(zone{}));
}

TEST(address, a_mapped_address_is_not_the_ipv4_address) {
    EXPECT_NE(parsed("::ffff:192.0.2.1"), parsed("192.0.2.1"));
    EXPECT_EQ(parsed("::ffff:192.0.2.1").to_v6(), parsed("192.0.2.1").to_v6());
}

TEST(address, families_have_names) {
    EXPECT_EQ(to_text(family::v4), "IPv4");
    EXPECT_EQ(to_text(family::v6), "IPv6");
}

struct bad_text {
    std::string_view text;
    std::size_t at;
    std::size_t length;
    std::string_view what; // a part of it
};

TEST(address, bad_text_is_pointed_at) {
    const std::vector<bad_text> cases{
        {"", 0, 1, "empty"},
        {"192.0.2", 7, 1, "four numbers, here are 3"},
        {"192", 3, 1, "four numbers, here are 1"},
        {"192.0.2.", 8, 1, "a number is missing"},
        {".0.2.1", 0, 1, "a number is missing"},
        {"192..2.1", 4, 1, "a number is missing"},
        {"192.0.2.1.5", 9, 2, "ends after four numbers"},
        {"192.0.2.1.", 9, 1, "ends after four numbers"},
        {"192.0.2.256", 8, 3, "a part of an IPv4 address is over 255"},
        {"192.0.2.99999999999999999999", 8, 20, "over 255"},
        {"192.0.02.1", 6, 1, "begins with a zero"},
        {"010.0.2.1", 0, 1, "begins with a zero"},
        {"192.0.2.00", 8, 1, "begins with a zero"},
        {"0x7f.0.0.1", 1, 1, "'x' is not a digit"},
        {"192.0.2.-1", 8, 1, "'-' is not a digit"},
        {"192.0.2.1 ", 9, 1, "a space is not a digit"},
        {" 192.0.2.1", 0, 1, "a space is not a digit"},
        {"192.0.2.1\t", 9, 1, "a tab"},
        {"192.0.2.1\n", 9, 1, "a control character"},
        {"192.0.2.\xd9\xa1", 8, 1, "a byte outside ASCII"},
        {"example.org", 0, 1, "'e' is not a digit"},
        {"192.0.2.1:80", 9, 3, "a port is not part"},
        {"192.0.2.1/24", 9, 3, "a prefix length is not part"},
        {"192.0.2.1%eth0", 9, 5, "no zone"},
        {"[::1]", 0, 1, "brackets are not part"},
        {"::1]", 3, 1, "brackets are not part"},
        {":", 0, 1, "does not begin with a single ':'"},
        {":1:2:3:4:5:6:7", 0, 1, "does not begin with a single ':'"},
        {"1:2:3:4:5:6:7:", 13, 1, "does not end with a single ':'"},
        {"::1:", 3, 1, "does not end with a single ':'"},
        {":::", 2, 1, "three ':' in a row"},
        {"1:::2", 3, 1, "three ':' in a row"},
        {"1::2::3", 4, 2, "a second '::'"},
        {"::1::", 3, 2, "a second '::'"},
        {"2001:db8:1", 10, 1, "eight groups, here are 3"},
        {"1:2:3:4:5:6:7", 13, 1, "eight groups, here are 7"},
        {"1:2:3:4:5:6:7:8:9", 16, 1, "ends after eight groups"},
        {"1:2:3:4::5:6:7:8", 7, 2, "eight others"},
        {"::1:2:3:4:5:6:7:8", 0, 2, "eight others"},
        {"1:2:3:4:5:6:7:8::", 15, 2, "eight others"},
        {"2001:db8::12345", 14, 1, "at most four"},
        {"2001:0db800::1", 9, 2, "at most four"},
        {"2001:dg8::1", 6, 1, "'g' is not a hexadecimal digit"},
        {"2001:db8:: 1", 10, 1, "a space is not a hexadecimal digit"},
        {"2001:db8::\xef\xbc\x91", 10, 1, "a byte outside ASCII"},
        {"::1/64", 3, 3, "a prefix length is not part"},
        {"::1.2.3.4:5", 9, 1, "is the end of an address"},
        {"1:2:3:4:5:6:7:1.2.3.4", 14, 7, "takes the place of the last two"},
        {"1::1.2.3.4:5", 10, 1, "is the end of an address"},
        {"::ffff:192.0.2.256", 15, 3, "over 255"},
        {"::ffff:192.0.2", 14, 1, "four numbers"},
        {"::ffff:192.0.02.1", 13, 1, "begins with a zero"},
        {"1:2:3:4:5:6::1.2.3.4", 11, 2, "eight others"},
        {"fe80::1%", 7, 1, "the zone after '%' is empty"},
        {"fe80::1%0", 8, 1, "zone 0"},
        {"fe80::1%000", 8, 3, "zone 0"},
        {"fe80::1%eth0%eth1", 12, 1, "'%' cannot be in the name"},
        {"fe80::1%eth 0", 11, 1, "a space cannot be in the name"},
        {"fe80::1%eth/0", 11, 1, "'/' cannot be in the name"},
        {"fe80::1%25eth:0", 13, 1, "':' cannot be in the name"},
        {"fe80::1%a234567890123456", 23, 1, "longer than 15"},
        {"fe80::1%25a234567890123456", 25, 1, "longer than 15"},
        {"fe80::1%\xc3\xa4", 8, 1, "a byte outside ASCII"},
        {"fe80::1%25\x01", 10, 1, "a control character"},
    };
    for (const auto& each : cases) {
        const auto made = parse_address(each.text);
        ASSERT_FALSE(made) << each.text;
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_EQ(made.error().length, each.length) << each.text << ": " << made.error().what;
        EXPECT_NE(made.error().what.find(each.what), std::string::npos)
            << each.text << ": " << made.error().what;
    }
}

} // namespace
} // namespace portico::ip
