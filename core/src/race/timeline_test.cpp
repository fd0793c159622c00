#include "portico/race/timeline.hpp"

#include "race/scripted_network.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace portico::race {
namespace {

using namespace std::chrono_literals;
using test::script;
using test::start_of_time;

const auto six = ip::parse_address("2001:db8::1").value();
const auto four = ip::parse_address("192.0.2.1").value();
const auto four_too = ip::parse_address("192.0.2.2").value();

std::vector<ip::destination> places(const std::vector<ip::address>& addresses) {
    std::vector<ip::destination> made;
    for (const auto& each : addresses) {
        made.push_back({.address = each, .from = ip::source{.address = each}});
    }
    return made;
}

script black_holed_ipv6() {
    script net;
    net.how.port = 80;
    net.answers = {{20ms, ip::family::v6, places({six}), {}},
                   {24ms, ip::family::v4, places({four, four_too}), {}}};
    net.fates[four] = {31ms, true};
    return net;
}

TEST(race_timeline, shows_a_race_that_ipv4_won) {
    EXPECT_EQ(draw(test::play(black_holed_ipv6()).story, "example.org:80"),
              "example.org:80: connected to 192.0.2.1:80 after 301 ms\n"
              "   start                     0                 301 ms\n"
              "    0 ms  AAAA              |=a                      |  1 address after 20 ms\n"
              "    0 ms  A                 |=a                      |  2 addresses after 24 ms\n"
              "   20 ms  [2001:db8::1]:80  | ======================-|  abandoned after 281 ms\n"
              "  270 ms  192.0.2.1:80      |                    ===W|  won after 31 ms\n"
              "never tried: 192.0.2.2\n");
}

TEST(race_timeline, shows_failures_and_what_had_no_answer) {
    auto net = black_holed_ipv6();
    net.fates[four] = {31ms, false};
    net.how.until = deadline::at(start_of_time + 2s);
    EXPECT_EQ(
        draw(test::play(net).story, "example.org:80", 90),
        "example.org:80: Connection timed out after 2.0 s\n"
        "   start                     0                      2.0 s\n"
        "    0 ms  AAAA              |a                           |  1 address after 20 ms\n"
        "    0 ms  A                 |a                           |  2 addresses after 24 ms\n"
        "   20 ms  [2001:db8::1]:80  |===========================-|  no answer after 2.0 s\n"
        "  270 ms  192.0.2.1:80      |   =x                       |  Connection refused "
        "after 31 ms\n"
        "  301 ms  192.0.2.2:80      |    =======================-|  no answer after 1.7 "
        "s\n");
}

TEST(race_timeline, shows_a_resolver_that_failed_or_was_silent) {
    script net;
    net.how.until = deadline::at(start_of_time + 1s);
    net.answers = {
        {500ms, ip::family::v6, {}, error{errc::no_address, operation::resolve, side::caller, {}}}};
    EXPECT_EQ(draw(test::play(net).story, "x:1", 60),
              "x:1: Connection timed out after 1.0 s\n"
              "   start         0  1.0 s\n"
              "    0 ms  AAAA  |===x    |  the name has no usable address after 500 ms\n"
              "    0 ms  A     |=======?|  no answer after 1.0 s\n");
}

TEST(race_timeline, the_axis_takes_what_the_width_leaves) {
    const auto story = test::play(black_holed_ipv6()).story;
    for (const std::size_t width : {60U, 79U, 120U, 1000U}) {
        const auto text = draw(story, "x", width);
        std::size_t longest = 0;
        for (std::size_t from = 0; from < text.size();) {
            const auto end = text.find('\n', from);
            longest = std::max(longest, end - from);
            from = end + 1;
        }
        EXPECT_LE(longest, std::max<std::size_t>(width, 63)) << width;
        EXPECT_GE(longest, std::min<std::size_t>(width, 1000) - 1) << width;
    }
    EXPECT_EQ(draw(story, "x", 0), draw(story, "x", 10));
    EXPECT_EQ(draw(story, "x", 1000), draw(story, "x", SIZE_MAX));
}

TEST(race_timeline, a_race_that_took_no_time_is_drawn) {
    script net;
    net.how.expect_v4 = false;
    net.answers = {{0ms, ip::family::v6, places({six}), {}}};
    net.fates[six] = {0ms, true};
    net.how.port = 80;
    EXPECT_EQ(draw(test::play(net).story, "x", 50),
              "x: connected to [2001:db8::1]:80 after 0 ms\n"
              "   start                     0   0 ms\n"
              "    0 ms  AAAA              |a       |  1 address after 0 ms\n"
              "    0 ms  [2001:db8::1]:80  |W       |  won after 0 ms\n");
}

TEST(race_timeline, is_printable_whatever_the_title) {
    const auto text = draw(test::play(black_holed_ipv6()).story, "e\x1b[2J\xc3\xa9\n:80");
    EXPECT_TRUE(text.starts_with("e?[2J???:80: connected"));
    EXPECT_TRUE(std::all_of(text.begin(), text.end(),
                            [](char c) { return c == '\n' || (c >= ' ' && c < '\x7f'); }));
}

TEST(race_timeline, names_every_failure_in_one_sentence) {
    auto net = black_holed_ipv6();
    net.fates[six] = {1ms, false};
    net.fates[four] = {30ms, false};
    net.how.until = deadline::at(start_of_time + 5052ms);
    EXPECT_EQ(describe(test::play(net).story, "dial example.org:80"),
              "dial example.org:80: Connection timed out: "
              "[2001:db8::1]:80 Connection refused after 1 ms; "
              "192.0.2.1:80 Connection refused after 30 ms; "
              "192.0.2.2:80 no answer after 5.0 s");
    net.fates[four_too] = {200ms, false};
    EXPECT_EQ(describe(test::play(net).story, "dial example.org:80"),
              "dial example.org:80: no address could be reached: "
              "[2001:db8::1]:80 Connection refused after 1 ms; "
              "192.0.2.1:80 Connection refused after 30 ms; "
              "192.0.2.2:80 Connection refused after 200 ms");
}

TEST(race_timeline, tells_what_the_resolver_did) {
    script net;
    const error missing{errc::name_not_found, operation::resolve, side::caller, {}};
    const error broken{
        std::make_error_code(std::errc::no_link), operation::resolve, side::system, {}};
    net.answers = {{1ms, ip::family::v6, {}, missing}, {2ms, ip::family::v4, {}, missing}};
    EXPECT_EQ(describe(test::play(net).story, "x:1"), "x:1: no such host name");

    net.answers = {{1ms, ip::family::v6, {}, broken}, {2ms, ip::family::v4, places({four}), {}}};
    net.fates[four] = {5ms, false};
    EXPECT_EQ(describe(test::play(net).story, "x:1"),
              "x:1: no address could be reached: 192.0.2.1:0 Connection refused after 5 ms; the "
              "question for AAAA failed: Link has been severed after 1 ms");

    net.answers.clear();
    net.how.until = deadline::at(start_of_time + 2500ms);
    EXPECT_EQ(describe(test::play(net).story, "x:1"),
              "x:1: Connection timed out: the question for AAAA had no answer after 2.5 s; the "
              "question for A had no answer after 2.5 s");
}

TEST(race_timeline, names_what_was_never_tried) {
    auto net = black_holed_ipv6();
    net.how.until = deadline::at(start_of_time + 200ms);
    EXPECT_EQ(describe(test::play(net).story, "x:80"),
              "x:80: Connection timed out: [2001:db8::1]:80 no answer after 180 ms; never tried: "
              "192.0.2.1, 192.0.2.2");
}

TEST(race_timeline, tells_of_a_connection_too) {
    EXPECT_EQ(describe(test::play(black_holed_ipv6()).story, "x:80"),
              "x:80: connected to 192.0.2.1:80 after 301 ms");
}

TEST(race_timeline, draws_a_race_that_still_runs) {
    race running{config{}, start_of_time};
    running.handle_addresses(start_of_time + 10ms, ip::family::v6, places({six}));
    ASSERT_TRUE(running.poll_action().has_value());
    const auto text = draw(running.story(), "x:80");
    EXPECT_NE(text.find("running after 0 ms"), std::string::npos);
    EXPECT_NE(describe(running.story(), "x:80").find("running"), std::string::npos);
}

TEST(race_timeline, times_are_short) {
    EXPECT_EQ(short_time(-5ms), "0 ms");
    EXPECT_EQ(short_time(0ms), "0 ms");
    EXPECT_EQ(short_time(49us), "0 ms");
    EXPECT_EQ(short_time(50us), "0.1 ms");
    EXPECT_EQ(short_time(440us), "0.4 ms");
    EXPECT_EQ(short_time(31ms), "31 ms");
    EXPECT_EQ(short_time(960us), "1 ms");
    EXPECT_EQ(short_time(1499us), "1 ms");
    EXPECT_EQ(short_time(999'499us), "999 ms");
    EXPECT_EQ(short_time(999'500us), "1.0 s");
    EXPECT_EQ(short_time(5049ms), "5.0 s");
    EXPECT_EQ(short_time(99'949ms), "99.9 s");
    EXPECT_EQ(short_time(99'950ms), "100 s");
    EXPECT_EQ(short_time(120s), "120 s");
}

} // namespace
} // namespace portico::race
