#include "portico/ip/prefix.hpp"

#include <gtest/gtest.h>

#include <random>

namespace portico::ip {
namespace {

static_assert(std::is_trivially_copyable_v<prefix> && std::regular<prefix>);
static_assert(prefix{}.length() == 0 && prefix{}.base().is_v4());
static_assert(prefix::make(address::v4(10, 1, 2, 3), 8)->base() == address::v4(10, 0, 0, 0));
static_assert(!prefix::make(address::v4(10, 1, 2, 3), 33));
static_assert(!prefix::make(address::any(family::v6), 129));
static_assert(prefix::make(address::v4(10, 0, 0, 0), 8)->contains(address::v4(10, 255, 0, 1)));

prefix parsed(std::string_view text) {
    const auto made = parse_prefix(text);
    EXPECT_TRUE(made) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(prefix{});
}

bool holds(std::string_view block, std::string_view which) {
    return parsed(block).contains(*parse_address(which));
}

TEST(prefix, text_is_read_and_written) {
    EXPECT_EQ(to_text(parsed("10.0.0.0/8")), "10.0.0.0/8");
    EXPECT_EQ(to_text(parsed("2001:DB8:0::/32")), "2001:db8::/32");
    EXPECT_EQ(to_text(parsed("::/0")), "::/0");
    EXPECT_EQ(to_text(parsed("0.0.0.0/0")), "0.0.0.0/0");
    EXPECT_EQ(to_text(parsed("192.0.2.1")), "192.0.2.1/32");
    EXPECT_EQ(to_text(parsed("::1")), "::1/128");
    EXPECT_EQ(to_text(parsed("2001:0DB8::CD30:0:0:0:0/60")), "2001:db8:0:cd30::/60");
}

TEST(prefix, a_block_holds_what_has_its_leading_bits) {
    EXPECT_TRUE(holds("10.0.0.0/8", "10.255.255.255"));
    EXPECT_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
    EXPECT_TRUE(holds("192.0.2.128/25", "192.0.2.200"));
    EXPECT_FALSE(holds("192.0.2.128/25", "192.0.2.127"));
    EXPECT_TRUE(holds("fe80::/10", "febf::1"));
    EXPECT_FALSE(holds("fe80::/10", "fec0::1"));
    EXPECT_TRUE(holds("::/0", "2001:db8::1"));
    EXPECT_TRUE(holds("2001:db8::1", "2001:db8::1"));
    EXPECT_FALSE(holds("2001:db8::1", "2001:db8::2"));
}

TEST(prefix, families_are_apart_and_zones_do_not_count) {
    EXPECT_FALSE(holds("::/0", "192.0.2.1"));
    EXPECT_FALSE(holds("0.0.0.0/0", "::ffff:192.0.2.1"));
    EXPECT_FALSE(holds("::ffff:0:0/96", "192.0.2.1"));
    EXPECT_TRUE(holds("fe80::/64", "fe80::1%eth0"));
    EXPECT_TRUE(prefix::make(*parse_address("fe80::1%eth0"), 64)->base().zone().empty());
}

TEST(prefix, every_value_reads_back_and_holds_its_own_addresses) {
    std::mt19937_64 random{4632};
    for (int round = 0; round < 5000; ++round) {
        address::v6_bytes bytes{};
        for (auto& byte : bytes) {
            byte = static_cast<std::uint8_t>(random());
        }
        const bool v4 = round % 2 == 0;
        const auto length = static_cast<unsigned>(random() % (v4 ? 33 : 129));
        const auto inside =
            v4 ? address::v4(bytes[0], bytes[1], bytes[2], bytes[3]) : address::v6(bytes);
        const auto block = *prefix::make(inside, length);
        ASSERT_EQ(parsed(to_text(block)), block);
        ASSERT_TRUE(block.contains(inside)) << to_text(block);
        ASSERT_EQ(std::hash<prefix>{}(parsed(to_text(block))), std::hash<prefix>{}(block));
    }
}

TEST(prefix, bad_text_is_pointed_at) {
    struct {
        std::string_view text;
        std::size_t at;
        std::string_view what;
    } const cases[] = {
        {"", 0, "empty"},
        {"10.0.0.0/", 9, "the prefix length is missing"},
        {"10.0.0.0/33", 9, "over 32"},
        {"2001:db8::/129", 11, "over 128"},
        {"10.0.0.0/08", 9, "begins with a zero"},
        {"10.0.0.0/-1", 9, "'-' is not a digit"},
        {"10.0.0.0/8 ", 10, "a space is not a digit"},
        {"10.0.0.0/255.0.0.0", 12, "'.' is not a digit"},
        {"10.0.0.0/8/8", 10, "'/' is not a digit"},
        {"10.0.0.1/8", 0, "bits set after the first 8"},
        {"2001:db8::1/64", 0, "bits set after the first 64"},
        {"fe80::%eth0/64", 6, "no zone"},
        {"10.0.0/8", 6, "four numbers"},
        {"/8", 0, "empty"},
    };
    for (const auto& each : cases) {
        const auto made = parse_prefix(each.text);
        ASSERT_FALSE(made) << each.text;
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_NE(made.error().what.find(each.what), std::string::npos)
            << each.text << ": " << made.error().what;
    }
    EXPECT_EQ(parse_prefix("10.1.2.3/8").error().hint, "write 10.0.0.0/8");
}

} // namespace
} // namespace portico::ip
