#include "portico/serve/builtin.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <set>

namespace portico::serve {
namespace {

using std::chrono::seconds;

std::uint32_t time_value(seconds at) {
    std::uint32_t value = 0;
    for (const auto each : time_bytes(at)) {
        value = value << 8 | std::to_integer<std::uint32_t>(each);
    }
    return value;
}

ip::any_endpoint at(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

TEST(daytime, is_one_line_in_utc) {
    EXPECT_EQ(daytime_line(seconds{0}), "Thursday, January 1, 1970 00:00:00-UTC\r\n");
    EXPECT_EQ(daytime_line(seconds{951'827'696}), "Tuesday, February 29, 2000 12:34:56-UTC\r\n");
    EXPECT_EQ(daytime_line(seconds{-1}), "Wednesday, December 31, 1969 23:59:59-UTC\r\n");
}

TEST(daytime, far_times_stay_at_the_ends_of_the_calendar) {
    EXPECT_EQ(daytime_line(seconds{std::numeric_limits<std::int64_t>::max()}),
              "Sunday, December 31, 32767 23:59:59-UTC\r\n");
    EXPECT_NE(daytime_line(seconds{std::numeric_limits<std::int64_t>::min()}).find("-32767"),
              std::string::npos);
}

// The values of RFC 868.
TEST(time, agrees_with_the_examples_of_the_rfc) {
    EXPECT_EQ(time_value(seconds{0}), 2'208'988'800U);                             // 1970
    EXPECT_EQ(time_value(seconds{2'398'291'200 - 2'208'988'800}), 2'398'291'200U); // 1976
    EXPECT_EQ(time_value(seconds{2'524'521'600 - 2'208'988'800}), 2'524'521'600U); // 1980
    EXPECT_EQ(time_value(seconds{-1'297'728'000 - 2'208'988'800}), // 17 November 1858
              static_cast<std::uint32_t>(-1'297'728'000));
}

TEST(time, the_most_significant_byte_is_first) {
    EXPECT_EQ(time_bytes(seconds{0})[0], std::byte{0x83});
    EXPECT_EQ(time_bytes(seconds{0})[3], std::byte{0x80});
}

TEST(time, wraps_in_2036) {
    EXPECT_EQ(time_value(seconds{2'085'978'495}), 0xffffffffU);
    EXPECT_EQ(time_value(seconds{2'085'978'496}), 0U);
    EXPECT_EQ(daytime_line(seconds{2'085'978'496}), "Thursday, February 7, 2036 06:28:16-UTC\r\n");
}

TEST(hello, tells_both_addresses_and_the_family) {
    EXPECT_EQ(hello_line(at("[::1]:50000"), at("[::1]:41234")),
              "hello from portico: you are [::1]:50000, this is [::1]:41234, over IPv6\n");
    EXPECT_EQ(hello_line(at("192.0.2.1:1"), at("192.0.2.2:2")),
              "hello from portico: you are 192.0.2.1:1, this is 192.0.2.2:2, over IPv4\n");
}

TEST(hello, a_mapped_address_is_told_as_the_ipv4_one) {
    EXPECT_EQ(hello_line(at("[::ffff:192.0.2.1]:1"), at("[::ffff:192.0.2.2]:2")),
              "hello from portico: you are 192.0.2.1:1, this is 192.0.2.2:2, over IPv4\n");
}

TEST(hello, a_unix_client_has_no_name) {
    EXPECT_EQ(hello_line(ip::unix_name{}, *ip::unix_name::path("/run/x")),
              "hello from portico: you are an unnamed socket, this is unix:/run/x, over UNIX\n");
}

TEST(chargen, has_lines_of_72_printable_characters_that_move_on_by_one) {
    const auto turn = chargen_turn();
    ASSERT_EQ(turn.size(), 95U * 74U);
    for (std::size_t line = 0; line < 95; ++line) {
        const auto text = turn.substr(line * 74, 74);
        EXPECT_EQ(text.substr(72), "\r\n");
        for (std::size_t i = 0; i < 72; ++i) {
            ASSERT_TRUE(text[i] >= ' ' && text[i] <= '~');
            const auto next = turn[(line + 1) % 95 * 74 + i];
            ASSERT_EQ(next, text[i] == '~' ? ' ' : text[i] + 1);
        }
    }
    EXPECT_EQ(turn.substr(0, 74),
              " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n");
}

TEST(chargen, datagrams_have_from_0_to_512_characters) {
    chargen_lengths lengths{1};
    std::set<std::size_t> seen;
    for (int i = 0; i < 20'000; ++i) {
        seen.insert(lengths.next());
    }
    EXPECT_EQ(*seen.begin(), 0U);
    EXPECT_EQ(*seen.rbegin(), 512U);
    EXPECT_EQ(seen.size(), 513U);
}

TEST(chargen, the_seed_decides_the_lengths) {
    chargen_lengths first{7};
    chargen_lengths same{7};
    chargen_lengths other{8};
    int different = 0;
    for (int i = 0; i < 100; ++i) {
        const auto length = first.next();
        EXPECT_EQ(length, same.next());
        different += length == other.next() ? 0 : 1;
    }
    EXPECT_GT(different, 90);
}

TEST(builtin, has_names) {
    EXPECT_EQ(to_text(builtin::echo), "echo");
    EXPECT_EQ(to_text(builtin::hello), "hello");
}

} // namespace
} // namespace portico::serve
