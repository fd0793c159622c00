// The testkit's own promises about private networks.

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/testkit/dns_server.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/virtual_link.hpp"

#include "private_network_test.hpp"

#include <cerrno>
#include <optional>
#include <poll.h>
#include <string>
#include <thread>

namespace portico {
namespace {

using private_network = private_network_test;

// How long the other side took to refuse a connection; nullopt when it did anything else.
std::optional<duration> time_to_refusal(const ip::endpoint& to) {
    const auto s = os::socket(to, ip::transport::tcp);
    const auto begun = os::now();
    if (const auto done = os::connect(*s, to); !done && done.error().value() == EINPROGRESS) {
        pollfd ready{s->raw(), POLLOUT, 0};
        ::poll(&ready, 1, -1);
        const auto ended = os::so_error(s->raw());
        return ended || ended.error().value() != ECONNREFUSED ? std::nullopt
                                                              : std::optional{os::now() - begun};
    } else {
        return done || done.error().value() != ECONNREFUSED ? std::nullopt
                                                            : std::optional{os::now() - begun};
    }
}

TEST_F(private_network, has_only_a_loopback) {
    const auto links = testkit::run_command("ip -o link | wc -l");
    EXPECT_TRUE(links.ok());
    // Some kernels make fallback tunnel devices in each namespace; none is up.
    EXPECT_EQ(testkit::run_command("ip -o link show up | grep -vc ': lo:'").output, "0\n");
}

TEST_F(private_network, replaces_a_file_for_this_program_alone) {
    testkit::replace_file("/etc/hosts", "192.0.2.1 somewhere\n");
    EXPECT_EQ(testkit::run_command("getent hosts somewhere | cut -d' ' -f1").output, "192.0.2.1\n");
}

TEST_F(private_network, replaces_a_file_as_often_as_it_is_asked_to) {
    const auto before = testkit::run_command("grep -c ' /etc/hosts ' /proc/self/mountinfo").output;
    for (const std::string last : {"2", "3", "4"}) {
        const auto line = "192.0.2." + last + " somewhere\n";
        testkit::replace_file("/etc/hosts", line);
        EXPECT_EQ(testkit::run_command("cat /etc/hosts").output, line);
    }
    // One in the place of the other, not a pile of them.
    const auto after = testkit::run_command("grep -c ' /etc/hosts ' /proc/self/mountinfo").output;
    EXPECT_LE(std::stoi(after), std::stoi(before) + 1);
}

TEST_F(private_network, says_which_file_it_cannot_replace) {
    try {
        testkit::replace_file("/etc/no-such-file", "");
        FAIL();
    } catch (const std::runtime_error& why) {
        EXPECT_STREQ(why.what(), "cannot replace /etc/no-such-file: No such file or directory");
    }
}

TEST_F(private_network, reaches_a_peer_over_the_cable) {
    const testkit::peer_network peer;
    testkit::must_run("ip addr add 2001:db8::1/64 dev va nodad");
    peer.must_run("ip addr add 2001:db8::2/64 dev vb nodad");
    testkit::must_run("ip route get 2001:db8::2");
    EXPECT_NE(testkit::run_command("ip -br link show va").output.find("UP"), std::string::npos);
    EXPECT_THROW(peer.must_run("ip link show va"), std::runtime_error);
}

TEST_F(private_network, a_black_hole_swallows_packets_and_counts_them) {
    const testkit::packet_drop gone{"ip6 daddr ::1 udp dport 9"};
    EXPECT_EQ(gone.count(), 0U);
    testkit::must_run("bash -c 'echo x > /dev/udp/::1/9; echo x > /dev/udp/::1/9'");
    EXPECT_EQ(gone.count(), 2U);
}

TEST_F(private_network, a_black_hole_ends_with_its_object) {
    { const testkit::packet_drop gone{"ip daddr 127.0.0.1"}; }
    EXPECT_TRUE(time_to_refusal({ip::address::loopback(ip::family::v4), 9}));
}

TEST_F(private_network, the_resolver_of_the_system_asks_the_scripted_server) {
    using testkit::dns_type;
    const testkit::dns_server server{{
        {{"both.test", dns_type::a}, {.addresses = {"192.0.2.1"}}},
        {{"both.test", dns_type::aaaa}, {.addresses = {"2001:db8::1"}}},
    }};
    testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    testkit::replace_file("/etc/nsswitch.conf", "hosts: files dns\n");
    const auto found = testkit::run_command("getent ahosts both.test");
    EXPECT_NE(found.output.find("192.0.2.1 "), std::string::npos) << found.output;
    EXPECT_NE(found.output.find("2001:db8::1 "), std::string::npos) << found.output;
    EXPECT_NE(testkit::run_command("getent ahosts nobody.test").status, 0);
}

TEST_F(private_network, a_virtual_link_slows_down_one_family_alone) {
    const testkit::peer_network peer;
    const testkit::virtual_link link{peer,
                                     {.v6 = {.delay = std::chrono::milliseconds{60}},
                                      .addresses_here = {"192.0.2.1/24", "2001:db8::1/64"},
                                      .addresses_there = {"192.0.2.2/24", "2001:db8::2/64"}}};
    const auto v6 = time_to_refusal({*ip::parse_address("2001:db8::2"), 9});
    const auto v4 = time_to_refusal({*ip::parse_address("192.0.2.2"), 9});
    ASSERT_TRUE(v6 && v4);
    EXPECT_GE(*v6, std::chrono::milliseconds{120});
    EXPECT_LT(*v4, *v6);
    EXPECT_GE(link.counted().carried, 4U);
    EXPECT_EQ(link.counted().overflow, 0U);
}

TEST_F(private_network, a_virtual_link_loses_what_it_was_told_to) {
    const testkit::peer_network peer;
    const testkit::virtual_link link{peer,
                                     {.v4 = {.lost_of_1000 = 1000},
                                      .addresses_here = {"192.0.2.1/24"},
                                      .addresses_there = {"192.0.2.2/24"}}};
    testkit::must_run("bash -c 'for i in 1 2 3; do echo x > /dev/udp/192.0.2.2/9; done'");
    // The cable takes them in its own time.
    while (link.counted().lost < 3) {
        std::this_thread::yield();
    }
    EXPECT_EQ(link.counted().carried, 0U);
}

TEST_F(private_network, a_failing_command_says_which_and_why) {
    try {
        testkit::must_run("ip link show no-such-device");
        FAIL();
    } catch (const std::runtime_error& why) {
        EXPECT_NE(std::string{why.what()}.find("no-such-device"), std::string::npos);
    }
}

} // namespace
} // namespace portico
