#include "portico/os/socket.hpp"
#include "socket/keepalive.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace portico::os {
namespace {

int number(const fd& s, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(s.raw(), level, option, &value, &size), 0);
    return value;
}

fd made(ip::family which, ip::transport over = ip::transport::tcp) {
    auto s = os::socket(ip::endpoint{ip::address::any(which), 0}, over);
    return s ? std::move(*s) : fd{};
}

TEST(keepalive, idle_and_probes_add_up_to_the_limit_within_what_linux_takes) {
    const auto check = [](long long limit) {
        const auto times = share_out(limit);
        ASSERT_TRUE(times) << limit;
        EXPECT_EQ(times->idle + static_cast<long long>(times->interval) * times->count, limit);
        EXPECT_TRUE(times->idle >= 1 && times->idle <= 32767) << limit << ' ' << times->idle;
        EXPECT_TRUE(times->interval >= 1 && times->interval <= 32767) << limit;
        EXPECT_TRUE(times->count >= 1 && times->count <= 127) << limit;
    };
    for (long long limit = 2; limit <= 70000; ++limit) {
        check(limit);
    }
    for (long long limit = 70001; limit <= 2147483; limit += 977) {
        check(limit);
    }
    check(2147483);
}

TEST(keepalive, half_a_minute_is_fifteen_seconds_idle_and_three_probes) {
    const auto times = share_out(30);
    ASSERT_TRUE(times);
    EXPECT_EQ(times->idle, 15);
    EXPECT_EQ(times->interval, 5);
    EXPECT_EQ(times->count, 3);
}

TEST(keepalive, one_second_takes_two_and_impossible_limits_are_refused) {
    const auto least = share_out(1);
    ASSERT_TRUE(least);
    EXPECT_EQ(least->idle + least->interval * least->count, 2);
    EXPECT_FALSE(share_out(0));
    EXPECT_FALSE(share_out(-5));
    EXPECT_FALSE(share_out(2147484));
}

TEST(options, dead_after_sets_keepalive_and_user_timeout_to_one_limit) {
    for (const int limit : {1, 2, 3, 30, 7200, 40000, 1000003, 2147483}) {
        const auto s = made(ip::family::v4);
        ASSERT_TRUE(set_dead_after(s.raw(), std::chrono::seconds{limit})) << limit;
        EXPECT_EQ(number(s, SOL_SOCKET, SO_KEEPALIVE), 1);
        EXPECT_EQ(number(s, IPPROTO_TCP, TCP_USER_TIMEOUT), limit * 1000);
        EXPECT_EQ(number(s, IPPROTO_TCP, TCP_KEEPIDLE) +
                      number(s, IPPROTO_TCP, TCP_KEEPINTVL) * number(s, IPPROTO_TCP, TCP_KEEPCNT),
                  std::max(2, limit));
    }
}

TEST(options, dead_after_refuses_no_time_at_all_and_other_sockets) {
    const auto s = made(ip::family::v4);
    EXPECT_EQ(set_dead_after(s.raw(), std::chrono::seconds{0}).error(),
              std::errc::invalid_argument);
    EXPECT_EQ(number(s, SOL_SOCKET, SO_KEEPALIVE), 0);
    const auto local = os::socket(ip::unix_name{}, ip::transport::tcp);
    ASSERT_TRUE(local);
    EXPECT_FALSE(set_dead_after(local->raw(), std::chrono::seconds{30}));
}

TEST(options, buffers_and_fast_open_are_what_was_asked_for) {
    const auto s = made(ip::family::v6);
    ASSERT_TRUE(set_buffers(s.raw(), 20'000));
    EXPECT_EQ(number(s, SOL_SOCKET, SO_RCVBUF), 40'000); // socket(7): doubled
    EXPECT_EQ(number(s, SOL_SOCKET, SO_SNDBUF), 40'000);
    ASSERT_TRUE(set_fast_open(s.raw(), 7));
    EXPECT_EQ(number(s, IPPROTO_TCP, TCP_FASTOPEN), 7);
    const auto local = os::socket(ip::unix_name{}, ip::transport::tcp);
    EXPECT_FALSE(set_fast_open(local->raw(), 7));
    EXPECT_FALSE(set_buffers(-1, 20'000));
}

TEST(options, are_read_back_as_they_were_set) {
    const auto s = made(ip::family::v4);
    EXPECT_TRUE(set_reuse_address(s, true));
    EXPECT_EQ(number(s, SOL_SOCKET, SO_REUSEADDR), 1);
    EXPECT_TRUE(set_reuse_address(s, false));
    EXPECT_EQ(number(s, SOL_SOCKET, SO_REUSEADDR), 0);
    EXPECT_TRUE(set_reuse_port(s, true));
    EXPECT_EQ(number(s, SOL_SOCKET, SO_REUSEPORT), 1);
    EXPECT_TRUE(set_bind_address_no_port(s));
    EXPECT_EQ(number(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1);
    EXPECT_TRUE(set_no_delay(s.raw(), true));
    EXPECT_EQ(number(s, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_TRUE(set_freebind(s, ip::family::v4));
    EXPECT_EQ(number(s, IPPROTO_IP, IP_FREEBIND), 1);
}

TEST(options, of_ipv6_are_read_back_as_they_were_set) {
    const auto s = made(ip::family::v6, ip::transport::udp);
    if (!s) {
        GTEST_SKIP() << "no IPv6 here";
    }
    for (const bool on : {true, false}) {
        EXPECT_TRUE(set_v6only(s, on));
        EXPECT_EQ(number(s, IPPROTO_IPV6, IPV6_V6ONLY), on ? 1 : 0);
    }
    EXPECT_TRUE(set_freebind(s, ip::family::v6));
    EXPECT_EQ(number(s, IPPROTO_IPV6, IPV6_FREEBIND), 1);
    EXPECT_TRUE(set_receive_packet_info(s, ip::family::v6));
    EXPECT_EQ(number(s, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
}

TEST(options, freebind_lets_a_socket_have_an_address_that_is_not_there) {
    const ip::endpoint absent_v4{ip::address::v4(192, 0, 2, 99), 0};
    const ip::endpoint absent_v6{
        ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99}), 0};
    for (const auto& absent : {absent_v4, absent_v6}) {
        const auto s = made(absent.address.family());
        if (!s) {
            continue;
        }
        EXPECT_EQ(os::bind(s, absent).error(), std::errc::address_not_available);
        ASSERT_TRUE(set_freebind(s, absent.address.family()));
        EXPECT_TRUE(os::bind(s, absent));
    }
}

TEST(options, a_device_name_is_never_cut_short) {
    const auto s = made(ip::family::v4);
    EXPECT_EQ(set_bind_to_device(s, "a_name_of_sixteen").error(), std::errc::no_such_device);
    EXPECT_EQ(set_bind_to_device(s, "nonesuch0").error(), std::errc::no_such_device);
    EXPECT_TRUE(set_bind_to_device(s, "lo"));
}

TEST(options, linger_reset_is_an_immediate_close) {
    const auto s = made(ip::family::v4);
    ASSERT_TRUE(set_linger_reset(s.raw()));
    linger value{};
    socklen_t size = sizeof value;
    ASSERT_EQ(::getsockopt(s.raw(), SOL_SOCKET, SO_LINGER, &value, &size), 0);
    EXPECT_EQ(value.l_onoff, 1);
    EXPECT_EQ(value.l_linger, 0);
}

TEST(group_options, a_group_is_joined_once_and_left_once_on_each_interface) {
    const auto lo = interface_index("lo");
    const auto check = [&](const fd& s, const ip::address& group) {
        EXPECT_TRUE(join_group(s.raw(), group, lo)) << ip::to_text(group);
        EXPECT_EQ(join_group(s.raw(), group, lo).error(), std::errc::address_in_use);
        EXPECT_TRUE(leave_group(s.raw(), group, lo));
        EXPECT_EQ(leave_group(s.raw(), group, lo).error(), std::errc::address_not_available);
        EXPECT_FALSE(join_group(s.raw(), group, 4'000'000));
    };
    check(made(ip::family::v4, ip::transport::udp), ip::address::v4(239, 1, 2, 3));
    const auto v6 = made(ip::family::v6, ip::transport::udp);
    if (!v6) {
        GTEST_SKIP() << "no IPv6";
    }
    check(v6, ip::address::v6({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2}));
}

TEST(group_options, groups_of_others_can_be_switched_off_and_on) {
    const auto v4 = made(ip::family::v4, ip::transport::udp);
    EXPECT_TRUE(set_multicast_all(v4.raw(), ip::family::v4, false));
    EXPECT_EQ(number(v4, IPPROTO_IP, IP_MULTICAST_ALL), 0);
    EXPECT_TRUE(set_multicast_all(v4.raw(), ip::family::v4, true));
    EXPECT_EQ(number(v4, IPPROTO_IP, IP_MULTICAST_ALL), 1);
    const auto v6 = made(ip::family::v6, ip::transport::udp);
    if (!v6) {
        GTEST_SKIP() << "no IPv6";
    }
    EXPECT_TRUE(set_multicast_all(v6.raw(), ip::family::v6, false));
    EXPECT_EQ(number(v6, IPPROTO_IPV6, IPV6_MULTICAST_ALL), 0);
}

} // namespace
} // namespace portico::os
