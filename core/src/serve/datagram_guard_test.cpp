#include "portico/serve/datagram_guard.hpp"

#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ip::any_endpoint from(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

constexpr std::uint16_t our_port = 41234;

std::optional<drop> refused(std::string_view text) {
    return refuse(from(text), false, our_port);
}

TEST(datagram_guard, a_client_of_either_family_is_answered) {
    EXPECT_EQ(refused("192.0.2.1:50000"), std::nullopt);
    EXPECT_EQ(refused("[2001:db8::1]:50000"), std::nullopt);
    EXPECT_EQ(refused("[fe80::1%eth0]:1024"), std::nullopt);
    EXPECT_EQ(refuse(*ip::unix_name::path("/run/client"), false, 0), std::nullopt);
}

TEST(datagram_guard, a_service_that_would_answer_back_is_not) {
    for (const int port : {7, 13, 17, 19, 37}) {
        EXPECT_EQ(refused("192.0.2.1:" + std::to_string(port)), drop::service_port) << port;
        EXPECT_EQ(refused("[2001:db8::1]:" + std::to_string(port)), drop::service_port) << port;
    }
    EXPECT_EQ(refused("192.0.2.1:8"), std::nullopt);
    EXPECT_EQ(refused("192.0.2.1:53"), std::nullopt);
}

TEST(datagram_guard, another_one_of_us_is_not) {
    EXPECT_EQ(refused("192.0.2.1:41234"), drop::own_port);
    EXPECT_EQ(refused("192.0.2.1:41235"), std::nullopt);
}

TEST(datagram_guard, what_is_no_single_host_is_not) {
    for (const auto* text :
         {"224.0.0.1:50000", "255.255.255.255:50000", "240.0.0.1:50000", "0.0.0.0:50000",
          "0.1.2.3:50000", "[ff02::1%eth0]:50000", "[::]:50000", "[::ffff:224.0.0.1]:50000"}) {
        EXPECT_EQ(refused(text), drop::group_source) << text;
    }
}

TEST(datagram_guard, port_zero_and_a_socket_without_a_name_are_not) {
    EXPECT_EQ(refused("192.0.2.1:0"), drop::port_zero);
    EXPECT_EQ(refuse(ip::unix_name{}, false, 0), drop::no_source);
    EXPECT_EQ(refuse(std::monostate{}, false, 0), drop::no_source);
}

TEST(datagram_guard, a_query_to_a_group_is_not_whoever_sent_it) {
    EXPECT_EQ(refuse(from("192.0.2.1:50000"), true, our_port), drop::to_group);
}

TEST(datagram_guard, a_program_may_be_asked_from_its_own_port_but_not_by_a_small_service) {
    EXPECT_EQ(refuse_source(from("192.0.2.1:123"), false), std::nullopt);
    EXPECT_EQ(refuse_source(from("192.0.2.1:7"), false), drop::service_port);
    EXPECT_EQ(refuse_source(from("255.255.255.255:500"), false), drop::group_source);
    EXPECT_EQ(refuse_source(from("192.0.2.1:123"), true), drop::to_group);
}

TEST(amplification_bound, an_answer_not_longer_than_its_query_is_free) {
    amplification_bound bound{0, 0, instant{}};
    EXPECT_TRUE(bound.allow(100, 100, instant{}));
    EXPECT_TRUE(bound.allow(100, 0, instant{}));
    EXPECT_FALSE(bound.allow(100, 101, instant{}));
}

TEST(amplification_bound, takes_what_the_answer_adds) {
    amplification_bound bound{1000, 500, instant{}};
    EXPECT_TRUE(bound.allow(1, 401, instant{}));
    EXPECT_FALSE(bound.allow(1, 102, instant{}));
    EXPECT_TRUE(bound.allow(1, 101, instant{}));
    EXPECT_FALSE(bound.allow(0, 1, instant{}));
}

TEST(amplification_bound, fills_with_time_up_to_its_burst) {
    amplification_bound bound{1000, 500, instant{}};
    EXPECT_TRUE(bound.allow(0, 500, instant{}));
    EXPECT_FALSE(bound.allow(0, 101, instant{milliseconds{100}}));
    EXPECT_TRUE(bound.allow(0, 100, instant{milliseconds{100}}));
    EXPECT_FALSE(bound.allow(0, 501, instant{seconds{3600}}));
    EXPECT_TRUE(bound.allow(0, 500, instant{seconds{3600}}));
}

TEST(amplification_bound, many_small_steps_of_time_fill_it_as_one_large_one_does) {
    amplification_bound bound{1000, 500, instant{}};
    EXPECT_TRUE(bound.allow(0, 500, instant{}));
    instant now{};
    for (int i = 0; i < 1000; ++i) {
        now += std::chrono::microseconds{100}; // a tenth of a byte
        EXPECT_FALSE(bound.allow(0, 500, now));
    }
    EXPECT_TRUE(bound.allow(0, 100, now));
}

TEST(drop_counters, count_by_reason) {
    drop_counters counters;
    counters.count(drop::to_group);
    counters.count(drop::not_sent);
    counters.count(drop::not_sent);
    EXPECT_EQ(counters.of(drop::not_sent), 2U);
    EXPECT_EQ(counters.of(drop::port_zero), 0U);
    EXPECT_EQ(counters.total(), 3U);
    EXPECT_EQ(to_text(drop::not_sent), "not_sent");
    EXPECT_EQ(to_text(drop::too_long), "too_long");
}

} // namespace
} // namespace portico::serve
