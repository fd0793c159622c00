#include "portico/os/counters.hpp"

#include <gtest/gtest.h>

namespace portico::os {
namespace {

constexpr auto netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop "
                         "TCPReqQFullDoCookies IPReversePathFilter\n"
                         "TcpExt: 1 22 333 4444 5 6\n"
                         "IpExt: InNoRoutes ListenDrops\n"
                         "IpExt: 5 6\n";
constexpr auto snmp = "Ip: Forwarding OutRsts\n"
                      "Ip: 2 64\n"
                      "Tcp: MaxConn OutRsts InCsumErrors\n"
                      "Tcp: -1 18446744073709551615 0\n";

TEST(tcp_counters, the_numbers_below_their_names_in_their_group) {
    const auto read = parse_tcp_counters(netstat, snmp);
    EXPECT_EQ(read, (tcp_counters{22, 333, 4444, UINT64_MAX, 1, 5, 6}));
}

TEST(tcp_counters, a_counter_that_is_not_there_is_unset_and_the_others_are_read) {
    const auto read = parse_tcp_counters("TcpExt: ListenDrops\nTcpExt: 3\n", "");
    EXPECT_EQ(read, (tcp_counters{std::nullopt, 3, std::nullopt, std::nullopt}));
}

TEST(tcp_counters, lines_that_do_not_fit_together_are_not_believed) {
    const tcp_counters none;
    const auto drops = [](const char* text) { return parse_tcp_counters(text, {}).listen_drops; };
    EXPECT_EQ(drops("TcpExt: ListenDrops\nTcpExt: 7"), 7U);
    EXPECT_EQ(drops("TcpExt: ListenDrops\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops A\nTcpExt: 7\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops\nTcpExt: 7 8\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops\nIpExt: 7\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops\nTcpExt: -7\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops\nTcpExt: 7x\n"), std::nullopt);
    EXPECT_EQ(drops("TcpExt: ListenDrops\nTcpExt: 18446744073709551616\n"), std::nullopt);
    EXPECT_EQ(parse_tcp_counters("\n\n\n", "Tcp:\nTcp:\n"), none);
}

TEST(tcp_counters, a_difference_is_unset_where_it_would_mean_nothing) {
    const tcp_counters before{1, 5, std::nullopt, 7, 1, 2, 3};
    const tcp_counters after{3, 4, 6, 7, 2, 4, 6};
    EXPECT_EQ(difference(before, after), (tcp_counters{2, std::nullopt, std::nullopt, 0, 1, 2, 3}));
}

TEST(tcp_counters, this_kernel_has_all_of_them) {
    const auto read = read_tcp_counters();
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_TRUE(read->listen_overflows && read->listen_drops && read->request_drops &&
                read->resets_sent && read->cookies_sent && read->request_cookies &&
                read->reverse_path);
}

} // namespace
} // namespace portico::os
