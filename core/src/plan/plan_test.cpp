#include "portico/plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portico::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

wish on(std::string_view text) {
    wish made;
    auto read = ip::parse_listen_address(text);
    EXPECT_TRUE(read) << text;
    if (read) {
        made.where = *std::move(read);
    }
    return made;
}

template <class Change>
wish on(std::string_view text, Change change) {
    wish made = on(text);
    change(made);
    return made;
}

ip::address address(std::string_view text) {
    const auto read = ip::parse_address(text);
    EXPECT_TRUE(read) << text;
    return read.value_or(ip::address{});
}

// A host with a loopback and one interface, where everything is allowed.
facts host() {
    facts known;
    known.privileged = true;
    known.interfaces = {"lo", "eth0"};
    known.addresses = {
        {"lo", 1, address("127.0.0.1")},      {"lo", 1, address("::1")},
        {"eth0", 2, address("192.0.2.7")},    {"eth0", 2, address("2001:db8::7")},
        {"eth0", 2, address("fe80::7%eth0")},
    };
    return known;
}

std::vector<std::string> endpoints(const plan& made) {
    std::vector<std::string> all;
    for (const auto& each : made.sockets) {
        all.push_back(ip::to_text(each.at));
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

std::vector<std::string> option_names(const planned_socket& which) {
    std::vector<std::string> all;
    for (const auto& each : which.options()) {
        EXPECT_FALSE(each.reason.empty());
        all.push_back(each.name + "=" + each.value);
    }
    return all;
}

// ---- what each form of wish becomes ----

struct form {
    const char* text;
    std::vector<std::string> sockets;
};

class each_form : public testing::TestWithParam<form> {};

TEST_P(each_form, becomes_these_sockets_in_this_order) {
    auto known = host();
    known.resolved["www.example"] = {address("192.0.2.7"), address("2001:db8::7")};
    const auto made = make_plan({on(GetParam().text)}, known);
    EXPECT_EQ(endpoints(made), GetParam().sockets);
    EXPECT_THAT(remarks(made), IsEmpty());
    for (const auto& each : made.sockets) {
        const auto* where = std::get_if<ip::endpoint>(&each.at);
        EXPECT_EQ(each.v6only, where != nullptr && where->address.is_v6()) << each.reason;
        EXPECT_FALSE(each.reason.empty());
        EXPECT_EQ(each.backlog, 4096);
    }
}

INSTANTIATE_TEST_SUITE_P(
    plan, each_form,
    testing::Values(form{":80", {"[::]:80", "0.0.0.0:80"}}, form{"*:80", {"[::]:80", "0.0.0.0:80"}},
                    form{":http", {"[::]:80", "0.0.0.0:80"}}, form{"0.0.0.0:80", {"0.0.0.0:80"}},
                    form{"[::]:80", {"[::]:80"}}, form{"192.0.2.7:80", {"192.0.2.7:80"}},
                    form{"127.9.9.9:80", {"127.9.9.9:80"}},
                    form{"[fe80::7%eth0]:80", {"[fe80::7%eth0]:80"}},
                    form{"localhost:80", {"[::1]:80", "127.0.0.1:80"}},
                    form{"a.LocalHost:80", {"[::1]:80", "127.0.0.1:80"}},
                    form{"www.example:80", {"[2001:db8::7]:80", "192.0.2.7:80"}},
                    form{"@eth0:80", {"[2001:db8::7]:80", "[fe80::7%eth0]:80", "192.0.2.7:80"}},
                    form{"unix:/run/x.sock", {"unix:/run/x.sock"}}, form{"unix:@x", {"unix:@x"}}));

TEST(plan, options_come_in_the_order_in_which_they_are_set) {
    const auto made = make_plan({on("[2001:db8::7]:80",
                                    [](wish& w) {
                                        w.reuse_port = true;
                                        w.freebind = true;
                                    })},
                                host());
    ASSERT_THAT(made.sockets, SizeIs(1));
    EXPECT_THAT(option_names(made.sockets[0]), ElementsAre("IPV6_V6ONLY=1", "SO_REUSEADDR=1",
                                                           "SO_REUSEPORT=1", "IPV6_FREEBIND=1"));
}

TEST(plan, udp_has_packet_info_and_neither_reuseaddr_nor_a_backlog) {
    const auto made = make_plan({on(":53", [](wish& w) { w.over = ip::transport::udp; })}, host());
    ASSERT_THAT(made.sockets, SizeIs(2));
    EXPECT_THAT(option_names(made.sockets[0]), ElementsAre("IPV6_V6ONLY=1", "IPV6_RECVPKTINFO=1"));
    EXPECT_THAT(option_names(made.sockets[1]), ElementsAre("IP_PKTINFO=1"));
    EXPECT_EQ(made.sockets[0].backlog, 0);
}

TEST(plan, one_family_alone_is_opened_when_only_it_is_asked_for) {
    const auto four = [](wish& w) { w.only = ip::family::v4; };
    const auto six = [](wish& w) { w.only = ip::family::v6; };
    EXPECT_THAT(endpoints(make_plan({on(":80", four)}, host())), ElementsAre("0.0.0.0:80"));
    EXPECT_THAT(endpoints(make_plan({on("localhost:80", six)}, host())), ElementsAre("[::1]:80"));
    EXPECT_THAT(endpoints(make_plan({on("@eth0:80", four)}, host())), ElementsAre("192.0.2.7:80"));
    const auto wrong = make_plan({on("[::]:80", four)}, host());
    EXPECT_THAT(wrong.sockets, IsEmpty());
    EXPECT_THAT(remarks(wrong),
                ElementsAre("fault: '[::]:80' is IPv6, and only IPv4 is asked for"));
}

TEST(plan, a_mapped_address_is_the_ipv4_address) {
    const auto made = make_plan({on("[::ffff:192.0.2.7]:80")}, host());
    EXPECT_THAT(endpoints(made), ElementsAre("192.0.2.7:80"));
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("written as IPv6")));
}

// ---- what is missing ----

TEST(plan, a_missing_family_is_a_note_and_the_other_is_opened) {
    auto known = host();
    known.has_v6 = false;
    const auto made = make_plan({on(":80")}, known);
    EXPECT_THAT(endpoints(made), ElementsAre("0.0.0.0:80"));
    EXPECT_THAT(remarks(made), ElementsAre("note: this host has no IPv6: [::]:80 is left out"));
}

TEST(plan, a_literal_of_a_missing_family_is_still_tried) {
    auto known = host();
    known.has_v6 = false;
    const auto made = make_plan({on("[::]:80")}, known);
    EXPECT_THAT(endpoints(made), ElementsAre("[::]:80"));
    EXPECT_THAT(remarks(made), ElementsAre("warning: this host has no IPv6: opening '[::]:80' will "
                                           "fail"));
}

TEST(plan, ipv6_that_is_switched_off_is_noted_once) {
    auto known = host();
    known.v6_disabled = true;
    const auto made = make_plan({on(":80"), on(":81")}, known);
    EXPECT_THAT(made.sockets, SizeIs(4));
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("disable_ipv6")));
}

TEST(plan, a_name_without_an_address_is_a_note_while_something_else_stands) {
    auto known = host();
    known.unresolved["www.example"] = "no such host name";
    const auto both = make_plan({on("www.example:80"), on(":81")}, known);
    EXPECT_THAT(remarks(both),
                ElementsAre("note: the name 'www.example' has no address: no such host name"));
    const auto alone = make_plan({on("www.example:80")}, known);
    EXPECT_THAT(remarks(alone), ElementsAre(HasSubstr("warning: the name")));
}

TEST(plan, an_unknown_interface_is_a_fault_that_names_the_known_ones) {
    const auto made = make_plan({on("@eth9:80"), on("[fe80::1%eth9]:80")}, host());
    EXPECT_THAT(made.sockets, IsEmpty());
    EXPECT_THAT(remarks(made), ElementsAre("fault: there is no interface 'eth9'",
                                           "fault: there is no interface 'eth9'"));
    EXPECT_EQ(made.remarks[0].hint, "the interfaces are: lo, eth0");
}

TEST(plan, a_block_selects_addresses_of_this_host_on_any_interface) {
    EXPECT_THAT(endpoints(make_plan({on("@192.0.2.0/24:80"), on("@127.0.0.0/8:80")}, host())),
                ElementsAre("192.0.2.7:80", "127.0.0.1:80"));
    EXPECT_THAT(endpoints(make_plan({on("@[2001:db8::/32]:80"), on("@[fe80::/10]:80")}, host())),
                ElementsAre("[2001:db8::7]:80", "[fe80::7%eth0]:80"));
    const auto none = make_plan({on("@10.0.0.0/8:80")}, host());
    EXPECT_THAT(endpoints(none), IsEmpty());
    EXPECT_THAT(remarks(none), ElementsAre("warning: this host has no address in 10.0.0.0/8"));
}

TEST(plan, a_deprecated_address_is_left_when_that_is_wished) {
    auto known = host();
    known.addresses[3].deprecated = true;
    const auto leave = [](wish& w) { w.leave_deprecated = true; };
    EXPECT_THAT(endpoints(make_plan({on("@[2001:db8::/32]:80", leave)}, known)), IsEmpty());
    EXPECT_THAT(endpoints(make_plan({on("@[2001:db8::/32]:80")}, known)),
                ElementsAre("[2001:db8::7]:80"));
}

TEST(plan, an_unknown_service_is_a_fault) {
    EXPECT_THAT(remarks(make_plan({on(":nosuch")}, host())),
                ElementsAre("fault: there is no tcp service 'nosuch'"));
}

TEST(plan, addresses_of_an_interface_that_cannot_be_bound_are_left_out_with_a_warning) {
    auto known = host();
    known.addresses[3].tentative = true;
    known.addresses[4].dad_failed = true;
    known.addresses[2].deprecated = true;
    const auto made = make_plan({on("@eth0:80")}, known);
    EXPECT_THAT(endpoints(made), ElementsAre("192.0.2.7:80"));
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("note: 192.0.2.7 of eth0 is deprecated"),
                                           HasSubstr("still being checked for duplicates"),
                                           HasSubstr("another host uses this address")));
    const auto free = make_plan({on("@eth0:80", [](wish& w) { w.freebind = true; })}, known);
    EXPECT_THAT(endpoints(free), ElementsAre("[2001:db8::7]:80", "192.0.2.7:80"));
}

TEST(plan, a_link_local_address_of_a_name_needs_a_zone_and_is_left_out) {
    auto known = host();
    known.resolved["printer"] = {address("fe80::9"), address("192.0.2.7")};
    const auto made = make_plan({on("printer:80")}, known);
    EXPECT_THAT(endpoints(made), ElementsAre("192.0.2.7:80"));
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("means nothing without a zone")));
}

// ---- what will probably fail ----

TEST(plan, an_address_on_no_interface_is_a_warning_unless_freebind_is_asked_for) {
    const auto made = make_plan({on("192.0.2.99:80")}, host());
    EXPECT_THAT(endpoints(made), ElementsAre("192.0.2.99:80"));
    ASSERT_THAT(remarks(made), ElementsAre("warning: 192.0.2.99 is an address of no interface"));
    EXPECT_THAT(made.remarks[0].hint, HasSubstr("--freebind"));
    const auto free = make_plan({on("192.0.2.99:80", [](wish& w) { w.freebind = true; })}, host());
    EXPECT_THAT(remarks(free), IsEmpty());
    EXPECT_TRUE(free.sockets.at(0).freebind);
}

TEST(plan, a_privileged_port_is_one_warning_for_the_wish) {
    auto known = host();
    known.privileged = false;
    EXPECT_THAT(remarks(make_plan({on(":80")}, known)),
                ElementsAre(HasSubstr("80 will be refused")));
    EXPECT_THAT(remarks(make_plan({on(":8080"), on(":0")}, known)), IsEmpty());
    known.first_unprivileged_port = 0;
    EXPECT_THAT(remarks(make_plan({on(":80")}, known)), IsEmpty());
}

TEST(plan, a_backlog_is_cut_to_what_the_kernel_allows) {
    const auto made = make_plan({on(":80", [](wish& w) { w.backlog = 9000; })}, host());
    EXPECT_EQ(made.sockets.at(0).backlog, 4096);
    EXPECT_THAT(remarks(made), ElementsAre("note: a backlog of 9000 is cut to 4096"));
    const auto small = make_plan({on(":80", [](wish& w) { w.backlog = 5; })}, host());
    EXPECT_EQ(small.sockets.at(1).backlog, 5);
}

// ---- several wishes ----

TEST(plan, the_same_endpoint_twice_is_opened_once_for_both) {
    const auto made = make_plan({on(":80"), on("[::]:80")}, host());
    EXPECT_THAT(endpoints(made), ElementsAre("[::]:80", "0.0.0.0:80"));
    EXPECT_THAT(made.sockets[0].also_for, ElementsAre(1U));
    EXPECT_THAT(remarks(made),
                ElementsAre("note: [::]:80 is asked for twice: it is opened once, for ':80'"));
}

TEST(plan, tcp_and_udp_of_one_port_are_two_things) {
    const auto made =
        make_plan({on(":53"), on(":53", [](wish& w) { w.over = ip::transport::udp; })}, host());
    EXPECT_THAT(made.sockets, SizeIs(4));
    EXPECT_THAT(remarks(made), IsEmpty());
}

TEST(plan, a_low_port_that_is_open_needs_no_warning) {
    auto known = host();
    known.privileged = false;
    known.first_unprivileged_port = 1024;
    auto made = make_plan({on(":80"), on(":81")}, known);
    ASSERT_THAT(made.sockets, SizeIs(4));
    ASSERT_THAT(remarks(made), SizeIs(2));
    forget_refuted(made, {true, false, true, true});
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("80 will be refused")));
    forget_refuted(made, {true, true, true, true});
    EXPECT_THAT(remarks(made), IsEmpty());
}

class covered : public testing::TestWithParam<bool> {};

TEST_P(covered, an_address_under_a_wildcard_is_not_opened_whichever_comes_first) {
    std::vector<wish> wishes{on(":80"), on("127.0.0.1:80")};
    const bool turned = GetParam();
    if (turned) {
        std::swap(wishes[0], wishes[1]);
    }
    const auto made = make_plan(wishes, host());
    EXPECT_THAT(endpoints(made), ElementsAre("[::]:80", "0.0.0.0:80"));
    EXPECT_THAT(made.sockets[1].also_for, ElementsAre(turned ? 0U : 1U));
    EXPECT_THAT(remarks(made),
                ElementsAre("note: 127.0.0.1:80 is not opened: 0.0.0.0:80 of ':80' takes it in"));
    // Both wishes count as served.
    for (auto& each : wishes) {
        each.needed = need::required;
    }
    EXPECT_EQ(judge(wishes, made, {false, true}), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(plan, covered, testing::Bool());

TEST(plan, with_reuseport_an_address_stands_beside_its_wildcard) {
    const auto share = [](wish& w) { w.reuse_port = true; };
    const auto made = make_plan({on(":80", share), on("127.0.0.1:80", share)}, host());
    EXPECT_THAT(made.sockets, SizeIs(3));
}

TEST(plan, a_random_port_is_one_group_for_each_wish) {
    const auto made = make_plan({on(":0"), on("localhost:0"), on("127.0.0.1:0")}, host());
    ASSERT_THAT(made.sockets, SizeIs(5));
    EXPECT_EQ(made.sockets[0].port_group, 0U);
    EXPECT_EQ(made.sockets[1].port_group, 0U);
    EXPECT_EQ(made.sockets[2].port_group, 1U);
    EXPECT_EQ(made.sockets[3].port_group, 1U);
    EXPECT_EQ(made.sockets[4].port_group, std::nullopt);
    EXPECT_THAT(remarks(made), IsEmpty());
}

// ---- UNIX ----

TEST(plan, a_mode_is_for_a_file_only) {
    const auto mode = [](wish& w) { w.unix_mode = 0600; };
    const auto made = make_plan({on("unix:/run/x", mode), on("unix:@x", mode)}, host());
    EXPECT_EQ(made.sockets.at(0).unix_mode, 0600U);
    EXPECT_EQ(made.sockets.at(1).unix_mode, std::nullopt);
    EXPECT_FALSE(made.sockets[0].reuse_address);
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("every user of this network namespace")));
}

TEST(plan, an_interface_without_a_port_is_noted_to_be_a_unix_socket) {
    const auto made = make_plan({on("@eth0"), on("unix:@lo"), on("@eth9")}, host());
    EXPECT_THAT(endpoints(made), ElementsAre("unix:@eth0", "unix:@lo", "unix:@eth9"));
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("there is an interface 'eth0'")));
    EXPECT_THAT(made.remarks.at(0).hint, HasSubstr("write @eth0:PORT"));
}

// ---- inherited ----

facts given() {
    auto known = host();
    const auto port = [](std::string_view where, std::uint16_t number) {
        return ip::any_endpoint{ip::endpoint{address(where), number}};
    };
    known.inherited = {
        {3, "web", port("::", 80), ip::transport::tcp, true},
        {4, "web", port("0.0.0.0", 80), ip::transport::tcp, true},
        {5, "dns", port("0.0.0.0", 53), ip::transport::udp, false},
        {6, "bare", port("0.0.0.0", 81), ip::transport::tcp, false},
        {7, "odd", {}, std::nullopt, false},
        {8, "free", port("0.0.0.0", 0), ip::transport::tcp, false},
    };
    return known;
}

TEST(plan, all_inherited_sockets_of_a_name_are_taken_over) {
    const auto made = make_plan({on("sd:web")}, given());
    ASSERT_THAT(made.sockets, SizeIs(2));
    EXPECT_EQ(made.sockets[0].inherited, 3);
    EXPECT_EQ(made.sockets[1].inherited, 4);
    EXPECT_EQ(made.sockets[0].backlog, 0) << "it listens already";
    EXPECT_THAT(made.sockets[0].options(), IsEmpty());
    EXPECT_THAT(remarks(made), IsEmpty());
}

struct wrong_descriptor {
    const char* text;
    ip::transport over;
    const char* fault;
};

class inherited : public testing::TestWithParam<wrong_descriptor> {};

TEST_P(inherited, is_a_fault) {
    const auto made =
        make_plan({on(GetParam().text, [](wish& w) { w.over = GetParam().over; })}, given());
    EXPECT_THAT(made.sockets, IsEmpty());
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr(GetParam().fault)));
    EXPECT_EQ(made.remarks[0].how, remark::weight::fault);
}

INSTANTIATE_TEST_SUITE_P(
    plan, inherited,
    testing::Values(
        wrong_descriptor{"sd:nosuch", ip::transport::tcp, "no inherited socket has the name"},
        wrong_descriptor{"fd:99", ip::transport::tcp, "descriptor 99 was not inherited"},
        wrong_descriptor{"fd:5", ip::transport::tcp, "is a datagram socket, and a stream"},
        wrong_descriptor{"fd:3", ip::transport::udp, "is a stream socket, and a datagram"},
        wrong_descriptor{"fd:7", ip::transport::tcp, "is not a stream or datagram socket"},
        wrong_descriptor{"fd:8", ip::transport::tcp, "is not bound to an address"}));

TEST(plan, an_inherited_stream_that_is_only_bound_is_made_to_listen) {
    const auto made = make_plan({on("fd:6")}, given());
    ASSERT_THAT(made.sockets, SizeIs(1));
    EXPECT_EQ(made.sockets[0].backlog, 4096);
    EXPECT_THAT(remarks(made), ElementsAre(HasSubstr("does not listen yet")));
}

TEST(plan, a_descriptor_with_two_names_is_taken_over_once) {
    const auto made = make_plan({on("fd:3"), on("sd:web")}, given());
    ASSERT_THAT(made.sockets, SizeIs(2));
    EXPECT_THAT(made.sockets[0].also_for, ElementsAre(1U));
}

TEST(plan, an_inherited_datagram_socket_is_told_to_say_where_queries_came_to) {
    const auto made =
        make_plan({on("sd:dns", [](wish& w) { w.over = ip::transport::udp; })}, given());
    ASSERT_THAT(made.sockets, SizeIs(1));
    EXPECT_THAT(option_names(made.sockets[0]), ElementsAre("IP_PKTINFO=1"));
}

// ---- names ----

TEST(plan, localhost_is_never_resolved_and_each_other_name_once) {
    EXPECT_THAT(names_to_resolve({on("localhost:1"), on("a.example:1"), on("x.localhost:1"),
                                  on("a.example:2"), on(":3"), on("notlocalhost:1")}),
                ElementsAre("a.example", "notlocalhost"));
}

// ---- the verdict ----

TEST(judge, one_socket_is_enough_when_nothing_is_required) {
    const std::vector<wish> wishes{on(":80"), on(":81")};
    const auto made = make_plan(wishes, host());
    EXPECT_EQ(judge(wishes, made, {false, false, false, true}), std::nullopt);
    const auto none = judge(wishes, made, {false, false, false, false});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->code, errc::nothing_bound);
}

TEST(judge, a_wish_that_can_wait_is_reason_enough_to_start) {
    const std::vector<wish> wishes{on("@tun9:80", [](wish& w) { w.needed = need::later; })};
    const auto made = make_plan(wishes, host());
    EXPECT_TRUE(made.sockets.empty());
    EXPECT_NE(made.remarks.at(0).how, remark::weight::fault);
    EXPECT_EQ(judge(wishes, made, {}), std::nullopt);
}

TEST(judge, a_required_wish_needs_a_socket_of_its_own) {
    const std::vector<wish> wishes{on(":80"),
                                   on(":81", [](wish& w) { w.needed = need::required; })};
    const auto made = make_plan(wishes, host());
    EXPECT_EQ(judge(wishes, made, {false, false, false, true}), std::nullopt);
    const auto none = judge(wishes, made, {true, true, false, false});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->code, errc::required_not_bound);
    EXPECT_EQ(none->wish, 1U);
    EXPECT_EQ(none->text, "no socket for ':81', and it is required");
}

TEST(judge, both_families_means_both) {
    const std::vector<wish> wishes{on(":80", [](wish& w) { w.needed = need::both_families; })};
    const auto made = make_plan(wishes, host());
    EXPECT_EQ(judge(wishes, made, {true, true}), std::nullopt);
    const auto no_v6 = judge(wishes, made, {false, true});
    ASSERT_TRUE(no_v6);
    EXPECT_EQ(no_v6->text, "no IPv6 socket for ':80', and both families are required");
    const auto no_v4 = judge(wishes, made, {true, false});
    ASSERT_TRUE(no_v4);
    EXPECT_EQ(no_v4->text, "no IPv4 socket for ':80', and both families are required");
}

TEST(judge, both_families_of_a_unix_socket_is_the_socket) {
    const std::vector<wish> wishes{
        on("unix:/run/x", [](wish& w) { w.needed = need::both_families; })};
    EXPECT_EQ(judge(wishes, make_plan(wishes, host()), {true}), std::nullopt);
}

TEST(judge, no_wishes_are_not_a_start) {
    EXPECT_TRUE(judge({}, {}, {}));
}

// ---- for a person ----

TEST(plan, the_text_of_the_plan_is_this) {
    const std::vector<wish> wishes{on(":7020"), on("[::]:80"), on("@eth0:53"), on("localhost:0")};
    auto known = host();
    known.privileged = false;
    EXPECT_EQ(
        to_text(make_plan(wishes, known), wishes),
        R"(1  tcp  [::]:7020          all IPv6 addresses; before IPv4, because if IPV6_V6ONLY cannot be set this socket serves both
        IPV6_V6ONLY = 1    IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
2  tcp  0.0.0.0:7020       all IPv4 addresses
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
3  tcp  [::]:80            all IPv6 addresses, and no IPv4
        IPV6_V6ONLY = 1    IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
4  tcp  [2001:db8::7]:53   an address of interface eth0
        IPV6_V6ONLY = 1    IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
5  tcp  [fe80::7%eth0]:53  an address of interface eth0
        IPV6_V6ONLY = 1    IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
6  tcp  192.0.2.7:53       an address of interface eth0
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        backlog = 4096     connections that may wait for accept
7  tcp  [::1]:*            the IPv6 loopback
        IPV6_V6ONLY = 1    IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        port               a random port, for all sockets of this group
        backlog = 4096     connections that may wait for accept
8  tcp  127.0.0.1:*        the IPv4 loopback
        SO_REUSEADDR = 1   a restart need not wait for old connections in TIME_WAIT
        port               the port of socket 7
        backlog = 4096     connections that may wait for accept
warning: [::]:80: a port below 1024 needs CAP_NET_BIND_SERVICE: 80 will be refused
        take a higher port, let the service manager open the socket (sd:name), or lower the sysctl net.ipv4.ip_unprivileged_port_start
warning: @eth0:53: a port below 1024 needs CAP_NET_BIND_SERVICE: 53 will be refused
        take a higher port, let the service manager open the socket (sd:name), or lower the sysctl net.ipv4.ip_unprivileged_port_start
)");
}

TEST(plan, wishes_can_be_made_of_addresses_alone) {
    const auto wishes = make_wishes(ip::parse_listen_addresses("[::1]:80,unix:/x").value());
    ASSERT_EQ(wishes.size(), 2U);
    EXPECT_EQ(wishes[0].where.text, "[::1]:80");
    EXPECT_EQ(wishes[1].where.text, "unix:/x");
    EXPECT_EQ(wishes[1].over, ip::transport::tcp);
    EXPECT_TRUE(make_wishes({}).empty());
}

TEST(plan, the_text_of_a_unix_socket_is_this) {
    const std::vector<wish> wishes{on("/run/it.sock", [](wish& w) { w.unix_mode = 0660; })};
    EXPECT_EQ(to_text(make_plan(wishes, host()), wishes),
              R"(1  unix unix:/run/it.sock  the socket file as written
        mode = 0660        as asked for, from the moment the file exists
        backlog = 4096     connections that may wait for accept
)");
}

} // namespace
} // namespace portico::plan
