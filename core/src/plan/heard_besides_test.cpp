#include "portico/plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portico::plan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

wish udp(std::string_view text, bool broadcast, const std::vector<std::string>& groups = {}) {
    wish made;
    made.where = ip::parse_listen_address(text).value();
    made.over = ip::transport::udp;
    made.broadcast = broadcast;
    for (const auto& each : groups) {
        made.groups.push_back(ip::parse_group(each).value());
    }
    return made;
}

interface_address one(std::string name, std::uint32_t index, std::string_view address,
                      std::string_view broadcast = {}) {
    interface_address made;
    made.interface = std::move(name);
    made.index = index;
    made.address = ip::parse_address(address).value();
    if (!broadcast.empty()) {
        made.broadcast = ip::parse_address(broadcast).value();
    }
    made.can_multicast = made.interface != "lo";
    return made;
}

facts host() {
    facts known;
    known.privileged = true;
    known.interfaces = {"lo", "eth0", "eth1"};
    known.addresses = {
        one("lo", 1, "127.0.0.1"),
        one("eth0", 2, "192.0.2.7", "192.0.2.255"),
        one("eth0", 2, "192.0.2.8", "192.0.2.255"),
        one("eth0", 2, "fe80::7%eth0"),
        one("eth1", 3, "198.51.100.7", "198.51.100.255"),
    };
    return known;
}

// "192.0.2.255:67 eth0 [239.1.2.3]"
std::vector<std::string> sockets(const plan& made) {
    std::vector<std::string> all;
    for (const auto& each : made.sockets) {
        auto text = ip::to_text(each.at);
        text += each.interface.empty() ? "" : " " + each.interface;
        for (const auto& group : each.groups) {
            text += " [" + ip::to_text(group) + "]";
        }
        all.push_back(std::move(text));
    }
    return all;
}

std::vector<std::string> remarks(const plan& made) {
    std::vector<std::string> all;
    for (const auto& each : made.remarks) {
        all.push_back(std::string{to_text(each.how)} + ": " + each.text);
    }
    return all;
}

TEST(broadcasts, come_to_a_socket_at_all_addresses_by_themselves) {
    const auto made = make_plan({udp(":67", true)}, host());
    EXPECT_THAT(sockets(made), ElementsAre("[::]:67", "0.0.0.0:67"));
    EXPECT_THAT(made.sockets[1].reason, HasSubstr("and what is sent to broadcast addresses"));
    EXPECT_THAT(remarks(made), IsEmpty());
}

TEST(broadcasts, to_the_addresses_of_an_interface_have_sockets_bound_to_it) {
    const auto made = make_plan({udp("@eth0:67", true)}, host());
    EXPECT_THAT(sockets(made),
                ElementsAre("[fe80::7%eth0]:67", "192.0.2.7:67", "192.0.2.255:67 eth0",
                            "255.255.255.255:67 eth0", "192.0.2.8:67"));
    EXPECT_TRUE(made.sockets[2].besides && made.sockets[3].besides);
    EXPECT_FALSE(made.sockets[1].besides);
    EXPECT_TRUE(made.sockets[3].packet_info);
    EXPECT_THAT(to_text(made, {udp("@eth0:67", true)}),
                HasSubstr("SO_BINDTODEVICE = eth0  only what comes in by this interface"));
}

TEST(broadcasts, of_two_interfaces_are_kept_apart) {
    const auto made = make_plan({udp("192.0.2.7:67", true), udp("198.51.100.7:67", true)}, host());
    EXPECT_THAT(sockets(made), ElementsAre("192.0.2.7:67", "192.0.2.255:67 eth0",
                                           "255.255.255.255:67 eth0", "198.51.100.7:67",
                                           "198.51.100.255:67 eth1", "255.255.255.255:67 eth1"));
}

TEST(broadcasts, have_no_socket_where_they_are_not_asked_for) {
    EXPECT_THAT(sockets(make_plan({udp("192.0.2.7:67", false)}, host())),
                ElementsAre("192.0.2.7:67"));
}

TEST(broadcasts, are_not_known_of_an_address_of_no_interface) {
    const auto made = make_plan({udp("203.0.113.1:67", true)}, host());
    EXPECT_THAT(sockets(made), ElementsAre("203.0.113.1:67"));
    EXPECT_THAT(remarks(made), Contains(HasSubstr("is an address of no interface, and so")));
}

TEST(broadcasts, do_not_come_by_a_loopback) {
    const auto made = make_plan({udp("127.0.0.1:67", true)}, host());
    EXPECT_THAT(sockets(made), ElementsAre("127.0.0.1:67"));
    EXPECT_THAT(remarks(made),
                ElementsAre("note: 127.0.0.1 of lo has no broadcast address: no broadcasts are "
                            "heard there"));
}

TEST(broadcasts, under_a_socket_at_all_addresses_are_covered) {
    const auto made = make_plan({udp("192.0.2.7:67", true), udp("0.0.0.0:67", true)}, host());
    EXPECT_THAT(sockets(made), ElementsAre("0.0.0.0:67"));
}

TEST(broadcasts, alone_are_no_start) {
    const std::vector<wish> wishes{udp("192.0.2.7:67", true)};
    const auto made = make_plan(wishes, host());
    EXPECT_TRUE(judge(wishes, made, {false, true, true}));
    EXPECT_FALSE(judge(wishes, made, {true, false, false}));
}

TEST(groups, are_joined_by_the_socket_at_all_addresses_of_their_family) {
    const auto made = make_plan({udp(":547", false, {"ff02::1:2", "239.1.2.3@eth1"})}, host());
    EXPECT_THAT(sockets(made), ElementsAre("[::]:547 [ff02::1:2]", "0.0.0.0:547 [239.1.2.3@eth1]"));
    const auto text = to_text(made, {udp(":547", false)});
    EXPECT_THAT(text, HasSubstr("IPV6_MULTICAST_ALL = 0"));
    EXPECT_THAT(text, HasSubstr("IPV6_JOIN_GROUP = ff02::1:2"));
    EXPECT_THAT(text, HasSubstr("on every interface that can, also on those that come later"));
    EXPECT_THAT(text, HasSubstr("IP_ADD_MEMBERSHIP = 239.1.2.3@eth1"));
    EXPECT_THAT(remarks(made), IsEmpty());
}

TEST(groups, at_the_addresses_of_an_interface_have_sockets_of_their_own) {
    const auto made = make_plan(
        {udp("@eth0:547", false, {"ff02::1:2", "ff05::1:3", "239.1.2.3", "239.9.9.9@eth1"})},
        host());
    EXPECT_THAT(sockets(made),
                ElementsAre("[fe80::7%eth0]:547", "[ff02::1:2%eth0]:547 eth0 [ff02::1:2]",
                            "[ff05::1:3]:547 eth0 [ff05::1:3]", "192.0.2.7:547",
                            "239.1.2.3:547 eth0 [239.1.2.3]", "192.0.2.8:547"));
    EXPECT_THAT(remarks(made),
                ElementsAre("warning: the group 239.9.9.9@eth1 is joined by no socket"));
}

TEST(groups, are_joined_by_a_socket_at_their_own_address) {
    const auto made = make_plan({udp("239.1.2.3:5000", false, {"239.1.2.3", "239.1.2.4"})}, host());
    EXPECT_THAT(sockets(made), ElementsAre("239.1.2.3:5000 [239.1.2.3]"));
    EXPECT_THAT(remarks(made), ElementsAre("warning: the group 239.1.2.4 is joined by no socket"));
}

TEST(groups, of_a_family_without_a_socket_are_told) {
    const auto made = make_plan({udp("0.0.0.0:67", false, {"ff02::1:2"})}, host());
    EXPECT_THAT(remarks(made), ElementsAre("warning: the group ff02::1:2 is joined by no socket"));
}

TEST(groups, that_are_covered_are_joined_by_what_covers_them) {
    const auto made = make_plan(
        {udp("192.0.2.7:67", false, {"239.1.2.3"}), udp("0.0.0.0:67", false, {"239.9.9.9"})},
        host());
    EXPECT_THAT(sockets(made), ElementsAre("0.0.0.0:67 [239.9.9.9] [239.1.2.3@eth0]"));
}

TEST(groups, do_not_go_to_a_loopback_unasked) {
    const auto made = make_plan({udp("127.0.0.1:67", false, {"239.1.2.3"})}, host());
    EXPECT_THAT(sockets(made), ElementsAre("127.0.0.1:67"));
    const auto named = make_plan({udp("127.0.0.1:67", false, {"239.1.2.3@lo"})}, host());
    EXPECT_THAT(sockets(named), Contains("239.1.2.3:67 lo [239.1.2.3]"));
}

TEST(groups, of_an_inherited_socket_are_joined_by_it) {
    auto known = host();
    known.inherited = {
        {5, "dns", ip::endpoint{ip::address::any(ip::family::v6), 53}, ip::transport::udp, false}};
    const auto made = make_plan({udp("sd:dns", false, {"ff02::fb"})}, known);
    EXPECT_THAT(sockets(made), ElementsAre("[::]:53 [ff02::fb]"));
}

TEST(groups, a_random_port_is_one_for_all_sockets_of_a_wish) {
    const auto made = make_plan({udp("@eth0:0", true, {"239.1.2.3"})}, host());
    for (const auto& each : made.sockets) {
        EXPECT_EQ(each.port_group, 0U) << ip::to_text(each.at);
    }
}

TEST(groups, of_a_connection_are_nothing) {
    auto asked = udp("@eth0:67", true, {"239.1.2.3"});
    asked.over = ip::transport::tcp;
    EXPECT_THAT(sockets(make_plan({asked}, host())), Not(Contains(HasSubstr("eth0 "))));
}

} // namespace
} // namespace portico::plan
