#include "portico/serve/environment.hpp"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

ip::any_endpoint at(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

std::string value_of(const std::vector<variable>& all, std::string_view name) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
    return found == all.end() ? "(unset)" : found->value;
}

TEST(environment, of_an_ipv6_connection_has_bare_addresses) {
    const auto all = variables_of({at("[2001:db8::1]:80"), at("[2001:db8::2]:50000"), 3});
    EXPECT_EQ(value_of(all, "PROTO"), "TCP");
    EXPECT_EQ(value_of(all, "TCPLOCALIP"), "2001:db8::1");
    EXPECT_EQ(value_of(all, "TCPLOCALPORT"), "80");
    EXPECT_EQ(value_of(all, "TCPREMOTEIP"), "2001:db8::2");
    EXPECT_EQ(value_of(all, "TCPREMOTEPORT"), "50000");
    EXPECT_EQ(value_of(all, "TCPREMOTEHOST"), "2001:db8::2");
    EXPECT_EQ(value_of(all, "TCPCONNNUM"), "3");
    EXPECT_EQ(value_of(all, "SERVER_ADDR"), "2001:db8::1");
    EXPECT_EQ(value_of(all, "SERVER_PORT"), "80");
    EXPECT_EQ(value_of(all, "REMOTE_ADDR"), "2001:db8::2");
    EXPECT_EQ(value_of(all, "REMOTE_PORT"), "50000");
    EXPECT_EQ(value_of(all, "REMOTE_HOST"), "2001:db8::2");
}

TEST(environment, a_link_local_peer_has_its_zone) {
    const auto all = variables_of({at("[fe80::1%eth0]:80"), at("[fe80::2%eth0]:50000")});
    EXPECT_EQ(value_of(all, "REMOTE_ADDR"), "fe80::2%eth0");
}

TEST(environment, a_mapped_address_is_told_as_the_ipv4_one) {
    const auto all = variables_of({at("[::ffff:192.0.2.1]:80"), at("[::ffff:192.0.2.2]:50000")});
    for (const auto* name : {"TCPLOCALIP", "SERVER_ADDR"}) {
        EXPECT_EQ(value_of(all, name), "192.0.2.1");
    }
    for (const auto* name : {"TCPREMOTEIP", "TCPREMOTEHOST", "REMOTE_ADDR", "REMOTE_HOST"}) {
        EXPECT_EQ(value_of(all, name), "192.0.2.2");
    }
}

TEST(environment, of_a_unix_connection_tells_paths_and_the_process) {
    const auto all = variables_of(
        {*ip::unix_name::path("/run/x"), ip::unix_name{}, 1, peer_process{1000, 100, 4711}});
    EXPECT_THAT(all,
                ElementsAre(variable{"PROTO", "UNIX"}, variable{"UNIXLOCALPATH", "/run/x"},
                            variable{"UNIXREMOTEEUID", "1000"}, variable{"UNIXREMOTEEGID", "100"},
                            variable{"UNIXREMOTEPID", "4711"}));
}

TEST(environment, an_abstract_name_has_no_zero_byte) {
    const auto name = ip::unix_name::abstract(std::string_view{"a\0b", 3}).value();
    const auto all = variables_of({name, name, 1, {}});
    EXPECT_EQ(value_of(all, "UNIXLOCALPATH"), "@a@b");
    EXPECT_EQ(value_of(all, "UNIXREMOTEPATH"), "@a@b");
}

TEST(environment, a_process_of_another_namespace_has_no_number) {
    const auto all =
        variables_of({*ip::unix_name::path("/run/x"), {}, 1, peer_process{65534, 65534, 0}});
    EXPECT_EQ(value_of(all, "UNIXREMOTEPID"), "(unset)");
    EXPECT_EQ(value_of(all, "UNIXREMOTEEUID"), "65534");
}

TEST(environment, what_tells_of_another_connection_is_not_inherited) {
    const std::vector<std::string> ours{"PATH=/bin",
                                        "TCPREMOTEINFO=root",
                                        "UNIXREMOTEPATH=/x",
                                        "REMOTE_USER=root",
                                        "TCP6REMOTEIP=::1",
                                        "SOCAT_PEERADDR=x",
                                        "NOTIFY_SOCKET=/n",
                                        "LISTEN_FDS=2",
                                        "TCPREMOTEIP=1.2.3.4",
                                        "EMPTY=",
                                        "A=b=c"};
    const auto made = program_environment(inheritable(ours),
                                          variables_of({at("192.0.2.1:80"), at("192.0.2.2:1")}));
    ASSERT_GE(made.size(), 3U);
    EXPECT_EQ(std::vector(made.begin(), made.begin() + 3),
              (std::vector<std::string>{"PATH=/bin", "EMPTY=", "A=b=c"}));
    EXPECT_THAT(made, Contains("TCPREMOTEIP=192.0.2.2"));
    EXPECT_THAT(made, Not(Contains("TCPREMOTEIP=1.2.3.4")));
    EXPECT_EQ(made.size(), 3 + variables_of({at("192.0.2.1:80"), at("192.0.2.2:1")}).size());
}

TEST(environment, all_that_is_set_for_one_connection_misleads_the_next) {
    for (const auto& facts :
         {connection_facts{at("192.0.2.1:80"), at("192.0.2.2:1")},
          connection_facts{*ip::unix_name::path("/x"), *ip::unix_name::path("/y"), 1,
                           peer_process{1, 1, 1}}}) {
        for (const auto& each : variables_of(facts)) {
            EXPECT_TRUE(misleads(each.name)) << each.name;
        }
    }
}

TEST(environment, what_is_no_variable_is_left_out) {
    const std::vector<std::string> odd{"NOVALUE", "=x", "", "A=1"};
    EXPECT_THAT(inheritable(odd), testing::ElementsAre("A=1"));
}

TEST(environment, a_variable_that_is_set_takes_the_place_of_all_of_its_name) {
    std::vector<std::string> all{"A=1", "AB=2", "A=3", "C=4"};
    set_variable(all, {"A", "new"});
    EXPECT_THAT(all, testing::ElementsAre("AB=2", "C=4", "A=new"));
    set_variable(all, {"D", ""});
    EXPECT_THAT(all, testing::ElementsAre("AB=2", "C=4", "A=new", "D="));
}

std::vector<std::string> of_socket(const ip::any_endpoint& local, ip::transport over) {
    return program_environment({}, variables_of_socket(local, over));
}

TEST(environment, a_socket_of_ones_own_has_no_peer) {
    EXPECT_THAT(of_socket(at("[::]:80"), ip::transport::tcp),
                testing::ElementsAre("PROTO=TCP", "TCPLOCALIP=::", "TCPLOCALPORT=80",
                                     "SERVER_ADDR=::", "SERVER_PORT=80"));
    EXPECT_THAT(of_socket(at("192.0.2.1:69"), ip::transport::udp),
                testing::ElementsAre("PROTO=UDP", "UDPLOCALIP=192.0.2.1", "UDPLOCALPORT=69",
                                     "SERVER_ADDR=192.0.2.1", "SERVER_PORT=69"));
    EXPECT_THAT(of_socket(*ip::unix_name::path("/x"), ip::transport::tcp),
                testing::ElementsAre("PROTO=UNIX", "UNIXLOCALPATH=/x"));
    for (const auto over : {ip::transport::tcp, ip::transport::udp}) {
        for (const auto& each : variables_of_socket(at("192.0.2.1:69"), over)) {
            EXPECT_TRUE(misleads(each.name)) << each.name;
        }
    }
}

TEST(environment, of_a_query_tells_where_it_was_sent_and_who_answers) {
    query_facts query;
    query.asked = at("255.255.255.255:67");
    query.peer = at("192.0.2.9:68");
    query.answer_from = ip::parse_address("192.0.2.1").value();
    query.interface = "eth0";
    query.interface_index = 2;
    const auto all = variables_of_query(query);
    EXPECT_EQ(value_of(all, "PROTO"), "UDP");
    EXPECT_EQ(value_of(all, "UDPLOCALIP"), "255.255.255.255");
    EXPECT_EQ(value_of(all, "UDPLOCALPORT"), "67");
    EXPECT_EQ(value_of(all, "UDPREMOTEIP"), "192.0.2.9");
    EXPECT_EQ(value_of(all, "UDPREMOTEPORT"), "68");
    EXPECT_EQ(value_of(all, "SERVER_ADDR"), "192.0.2.1");
    EXPECT_EQ(value_of(all, "REMOTE_ADDR"), "192.0.2.9");
    EXPECT_EQ(value_of(all, "PORTICO_INTERFACE"), "eth0");
    EXPECT_EQ(value_of(all, "PORTICO_INTERFACE_INDEX"), "2");
    for (const auto& each : all) {
        EXPECT_TRUE(misleads(each.name)) << each.name;
    }
}

TEST(environment, of_a_query_without_more_than_addresses_tells_those) {
    const auto all = variables_of_query({at("[2001:db8::1]:53"), at("[2001:db8::2]:5353")});
    EXPECT_EQ(value_of(all, "SERVER_ADDR"), "2001:db8::1");
    EXPECT_EQ(value_of(all, "PORTICO_INTERFACE"), "(unset)");
}

TEST(environment, of_a_query_at_a_unix_socket_tells_paths) {
    EXPECT_THAT(
        variables_of_query({*ip::unix_name::path("/run/x"), *ip::unix_name::path("/run/c")}),
        ElementsAre(variable{"PROTO", "UNIX"}, variable{"UNIXLOCALPATH", "/run/x"},
                    variable{"UNIXREMOTEPATH", "/run/c"}));
}

TEST(environment, other_variables_do_not_mislead) {
    for (const auto* name : {"PATH", "HOME", "TCP", "REMOTE", "JOURNAL_STREAM", "LISTEN"}) {
        EXPECT_FALSE(misleads(name)) << name;
    }
}

} // namespace
} // namespace portico::serve
