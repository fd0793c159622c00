// Dialling on a real kernel, through real resolving: black holes, refusals, slow and failing
// answers. What is asserted is the story of the race (who, in which order, how far apart at least),
// never how fast it went.

#include "portico/os/clock.hpp"
#include "portico/os/resolve.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/dial.hpp"
#include "portico/testkit/dns_server.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/process.hpp"
#include "portico/testkit/virtual_link.hpp"

#include "private_network_test.hpp"
#include "resolver_built_here.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <thread>

namespace portico {
namespace {

using namespace std::chrono_literals;
using ip::family;
using race::attempt_report;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testkit::dns_answer;
using testkit::dns_type;
using testkit::packet_drop;
using enum race::attempt_report::outcome;

// Two addresses that are this host's own, so that what answers there can be decided at will.
const std::string v6_text = "2001:db8::2";
const std::string v4_text = "192.0.2.2";

ip::address address(std::string_view text) {
    return ip::parse_address(text).value();
}

std::uint16_t port_of(const os::fd& socket) {
    return std::get<ip::endpoint>(os::getsockname(socket.raw()).value()).port;
}

// Names of this process alone: another test's lookups must not be taken for ours.
const std::string own = std::to_string(::getpid()) + ".test";
const std::string both_name = "both" + own;
const std::string mute_name = "mute" + own;
const std::string left_name = "left" + own;

// A listening socket that the test itself need not accept from: the kernel does.
os::fd listen_at(const std::string& where, std::uint16_t port = 0) {
    const ip::endpoint at{address(where), port};
    auto made = os::socket(at, ip::transport::tcp).value();
    if (at.address.is_v6()) {
        EXPECT_TRUE(os::set_v6only(made, true));
    }
    EXPECT_TRUE(os::set_reuse_address(made, true));
    const auto bound = os::bind(made, at);
    EXPECT_TRUE(bound) << where << ": " << bound.error().message();
    EXPECT_TRUE(os::listen(made, 16));
    return made;
}

// The same in another network namespace, where the socket stays.
os::fd listen_there(const testkit::peer_network& peer, const std::string& where,
                    std::uint16_t port = 0) {
    os::fd made;
    std::thread visitor{[&] {
        const os::fd there{::open(peer.path().c_str(), O_RDONLY | O_CLOEXEC)};
        ASSERT_EQ(::setns(there.raw(), CLONE_NEWNET), 0);
        made = listen_at(where, port);
    }};
    visitor.join();
    return made;
}

// A port at which nobody listens, on any address.
std::uint16_t closed_port() {
    const auto taken = listen_at("::");
    return port_of(taken);
}

run::dial_outcome dial(run::dial_request request) {
    run::dial_outcome outcome;
    boost::asio::io_context context;
    bool completed = false;
    run::async_dial(context.get_executor(), std::move(request), [&](run::dial_outcome got) {
        outcome = std::move(got);
        completed = true;
    });
    EXPECT_FALSE(completed) << "it completed within the call";
    context.run();
    EXPECT_TRUE(completed);
    return outcome;
}

run::dial_request request_for(const std::string& host, std::uint16_t port) {
    run::dial_request made;
    made.host = host;
    made.port = std::to_string(port);
    return made;
}

run::dial_outcome dial(const std::string& host, std::uint16_t port) {
    return dial(request_for(host, port));
}

// "won 192.0.2.2", "failed 2001:db8::2", ... in order of start.
std::vector<std::string> course(const race::report& story) {
    std::vector<std::string> made;
    for (const auto& each : story.attempts) {
        const std::string how = each.how == won         ? "won "
                                : each.how == failed    ? "failed "
                                : each.how == abandoned ? "abandoned "
                                                        : "running ";
        made.push_back(how + ip::to_text(each.to.address));
    }
    return made;
}

const race::resolution_report& answer_for(family which, const race::report& story) {
    return *std::find_if(story.resolutions.begin(), story.resolutions.end(),
                         [which](const auto& each) { return each.family == which; });
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Processes of portico-resolve that are asked for this name.
std::vector<int> lookups_of(const std::string& name) {
    std::vector<int> found;
    for (const auto& each : std::filesystem::directory_iterator{"/proc"}) {
        const auto number = each.path().filename().string();
        std::string words;
        std::getline(std::ifstream{each.path() / "cmdline"}, words);
        if (words.starts_with(std::string{"portico-resolve"} + '\0' + name + '\0')) {
            found.push_back(std::stoi(number));
        }
    }
    return found;
}

class dialling : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (IsSkipped()) {
            return;
        }
        use_resolver_built_here();
        testkit::must_run("ip link set lo up");
        testkit::add_own_address(v6_text);
        testkit::must_run("ip addr replace " + v4_text + "/32 dev lo");
        testkit::replace_file("/etc/hosts", "");
        testkit::replace_file("/etc/nsswitch.conf", "hosts: files dns\n");
        testkit::replace_file("/etc/resolv.conf",
                              "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n");
    }

    static testkit::dns_script both_answer(dns_answer v6 = {.addresses = {v6_text}},
                                           dns_answer v4 = {.addresses = {v4_text}}) {
        return {{{both_name, dns_type::aaaa}, std::move(v6)},
                {{both_name, dns_type::a}, std::move(v4)}};
    }

    // The same port on both.
    struct two_listeners {
        os::fd v6 = listen_at(v6_text);
        std::uint16_t port = port_of(v6);
        os::fd v4 = listen_at(v4_text, port);
    };
};

// ---- the cases of the issue: IPv6 broken in every way ----

TEST_F(dialling, prefers_ipv6_when_both_work) {
    const testkit::dns_server names{both_answer()};
    const two_listeners here;
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v6_text));
    EXPECT_EQ(ip::to_text(got.peer), "[" + v6_text + "]:" + std::to_string(here.port));
    EXPECT_NE(::fcntl(got.socket.raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(got.socket.raw(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(dialling, ipv6_in_a_black_hole_costs_one_attempt_delay) {
    const testkit::dns_server names{both_answer()};
    const two_listeners here;
    const packet_drop hole{"ip6 daddr " + v6_text + " tcp dport " + std::to_string(here.port)};
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("abandoned " + v6_text, "won " + v4_text));
    EXPECT_GE(got.story.attempts[1].started - got.story.attempts[0].started, 250ms);
    EXPECT_GE(hole.count(), 1U);
}

TEST_F(dialling, ipv6_refused_is_followed_by_ipv4) {
    const testkit::dns_server names{both_answer()};
    const auto only_v4 = listen_at(v4_text);
    const auto got = dial(both_name, port_of(only_v4));
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("failed " + v6_text, "won " + v4_text));
    EXPECT_EQ(got.story.attempts[0].why->code, std::errc::connection_refused);
    EXPECT_GE(got.story.attempts[1].started, got.story.attempts[0].ended);
}

TEST_F(dialling, slow_ipv6_is_left_to_run_and_wins_over_slower_ipv4) {
    const testkit::peer_network peer;
    const testkit::virtual_link link{peer,
                                     {.v4 = {.delay = 2s},
                                      .v6 = {.delay = 200ms},
                                      .addresses_here = {"198.51.100.1/24", "2001:db8:1::1/64"},
                                      .addresses_there = {"198.51.100.2/24", "2001:db8:1::2/64"}}};
    const testkit::dns_server names{
        both_answer({.addresses = {"2001:db8:1::2"}}, {.addresses = {"198.51.100.2"}})};
    const auto v6 = listen_there(peer, "2001:db8:1::2");
    const auto v4 = listen_there(peer, "198.51.100.2", port_of(v6));
    const auto got = dial(both_name, port_of(v6));
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won 2001:db8:1::2", "abandoned 198.51.100.2"));
    EXPECT_GE(got.story.attempts[1].started - got.story.attempts[0].started, 250ms);
    EXPECT_GE(got.story.attempts[0].ended - got.story.attempts[0].started, 400ms);
}

TEST_F(dialling, slow_ipv6_loses_to_ipv4_that_is_there_first) {
    // Other names: the interfaces of the test before may take a while to go.
    const testkit::peer_network peer{"wa", "wb"};
    const testkit::virtual_link link{peer,
                                     {.v6 = {.delay = 3s},
                                      .here = "wta",
                                      .there = "wtb",
                                      .addresses_here = {"198.51.100.1/24", "2001:db8:1::1/64"},
                                      .addresses_there = {"198.51.100.2/24", "2001:db8:1::2/64"}}};
    const testkit::dns_server names{
        both_answer({.addresses = {"2001:db8:1::2"}}, {.addresses = {"198.51.100.2"}})};
    const auto v6 = listen_there(peer, "2001:db8:1::2");
    const auto v4 = listen_there(peer, "198.51.100.2", port_of(v6));
    const auto got = dial(both_name, port_of(v6));
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("abandoned 2001:db8:1::2", "won 198.51.100.2"));
    EXPECT_GE(got.story.attempts[1].started - got.story.attempts[0].started, 250ms);
}

TEST_F(dialling, a_late_aaaa_is_waited_for_during_the_resolution_delay_alone) {
    const testkit::dns_server names{both_answer({.addresses = {v6_text}, .delay = 20s})};
    const two_listeners here;
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v4_text));
    const auto& a = answer_for(family::v4, got.story);
    ASSERT_TRUE(a.answered);
    EXPECT_GE(got.story.attempts[0].started - *a.answered, 50ms);
    EXPECT_FALSE(answer_for(family::v6, got.story).answered);
    EXPECT_THAT(lookups_of(both_name), IsEmpty());
}

TEST_F(dialling, an_aaaa_within_the_resolution_delay_comes_first) {
    const testkit::dns_server names{both_answer({.addresses = {v6_text}, .delay = 100ms})};
    const two_listeners here;
    auto request = request_for(both_name, here.port);
    request.resolution_delay = 30s;
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v6_text));
    EXPECT_LT(answer_for(family::v4, got.story).answered,
              answer_for(family::v6, got.story).answered);
}

TEST_F(dialling, an_aaaa_that_comes_during_the_race_joins_it) {
    const testkit::dns_server names{both_answer({.addresses = {v6_text}, .delay = 300ms})};
    const two_listeners here;
    const packet_drop hole{"ip daddr " + v4_text + " tcp dport " + std::to_string(here.port)};
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("abandoned " + v4_text, "won " + v6_text));
}

TEST_F(dialling, an_aaaa_that_fails_leaves_ipv4) {
    for (const auto how : {dns_answer::kind::server_failure, dns_answer::kind::refused,
                           dns_answer::kind::no_such_name}) {
        const testkit::dns_server names{both_answer({.how = how})};
        const two_listeners here;
        const auto got = dial(both_name, here.port);
        ASSERT_FALSE(got.why) << got.text;
        ASSERT_THAT(course(got.story), ElementsAre("won " + v4_text));
        EXPECT_TRUE(answer_for(family::v6, got.story).why);
    }
}

TEST_F(dialling, an_aaaa_that_never_comes_leaves_ipv4) {
    const testkit::dns_server names{both_answer({.how = dns_answer::kind::silence})};
    const two_listeners here;
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v4_text));
    EXPECT_THAT(lookups_of(both_name), IsEmpty());
}

TEST_F(dialling, a_late_a_does_not_hold_ipv6_back) {
    const testkit::dns_server names{
        both_answer({.addresses = {v6_text}}, {.how = dns_answer::kind::silence})};
    const two_listeners here;
    const auto got = dial(both_name, here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v6_text));
}

// ---- failing ----

TEST_F(dialling, both_refused_names_every_address_with_its_own_error) {
    const testkit::dns_server names{both_answer()};
    const auto port = closed_port();
    const auto got = dial(both_name, port);
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.why->code, errc::all_attempts_failed);
    EXPECT_FALSE(got.socket);
    ASSERT_THAT(course(got.story), ElementsAre("failed " + v6_text, "failed " + v4_text));
    for (const auto& each : got.story.attempts) {
        EXPECT_EQ(each.why->code, std::errc::connection_refused);
        EXPECT_THAT(got.text, HasSubstr(ip::to_text(each.to) + " Connection refused after "));
    }
}

TEST_F(dialling, both_in_a_black_hole_names_every_address_at_the_timeout) {
    const testkit::dns_server names{both_answer()};
    const two_listeners here;
    const packet_drop hole{"tcp dport " + std::to_string(here.port)};
    auto request = request_for(both_name, here.port);
    request.timeout = 1s;
    const auto got = dial(std::move(request));
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.why->code, std::errc::timed_out);
    EXPECT_GE(got.story.ended - got.story.began, 1s);
    EXPECT_THAT(got.story.attempts, SizeIs(2));
    EXPECT_THAT(got.text, HasSubstr("[" + v6_text + "]:"));
    EXPECT_THAT(got.text, HasSubstr(v4_text + ":"));
}

TEST_F(dialling, a_name_that_does_not_exist_is_the_callers_mistake) {
    const testkit::dns_server names{{}};
    const auto got = dial("nobody.test", 9);
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.why->code, errc::name_not_found);
    EXPECT_EQ(got.why->who, side::caller);
    EXPECT_THAT(got.story.attempts, IsEmpty());
    EXPECT_THAT(got.text, HasSubstr("nobody.test:9: no such host name"));
}

TEST_F(dialling, an_international_name_is_left_to_the_resolver) {
    const testkit::dns_server names{{}};
    const auto got = dial("b\xc3\xbc"
                          "cher.test",
                          9);
    ASSERT_TRUE(got.why);
    EXPECT_NE(got.why->op, operation::parse) << got.text;
}

TEST_F(dialling, a_name_server_that_is_not_there_is_not_the_callers_mistake) {
    const auto got = dial(both_name, 9);
    ASSERT_TRUE(got.why);
    EXPECT_NE(got.why->who, side::caller) << got.text;
    EXPECT_THAT(got.story.attempts, IsEmpty());
}

TEST_F(dialling, a_missing_resolver_program_is_said) {
    ::setenv("PORTICO_RESOLVE", "/nonexistent/resolver", 1);
    const auto got = dial(both_name, 9);
    ASSERT_TRUE(got.why);
    if (got.why->code != os::lookup_errc::program_missing) {
        GTEST_SKIP() << "portico-resolve is installed on this host";
    }
    EXPECT_THAT(got.text, HasSubstr("/nonexistent/resolver"));
}

TEST_F(dialling, a_link_local_address_without_a_zone_is_taught) {
    const auto got = dial("fe80::1", 80);
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.why->who, side::caller);
    EXPECT_THAT(got.text, HasSubstr("fe80::1%eth0"));
}

TEST_F(dialling, requests_that_cannot_work_are_the_callers_mistake) {
    const auto fails = [](const std::string& host, const std::string& port, auto change) {
        run::dial_request request;
        request.host = host;
        request.port = port;
        change(request);
        const auto got = dial(std::move(request));
        return got.why && got.why->who == side::caller && !got.text.empty() ? "yes" : got.text;
    };
    const auto nothing = [](run::dial_request&) {};
    EXPECT_EQ(fails("127.0.0.1", "0", nothing), "yes");
    EXPECT_EQ(fails("127.0.0.1", "65536", nothing), "yes");
    EXPECT_EQ(fails("127.0.0.1", "", nothing), "yes");
    EXPECT_EQ(fails("127.0.0.1", "no-such-service", nothing), "yes");
    EXPECT_EQ(fails("", "80", nothing), "yes");
    EXPECT_EQ(fails("[::1]", "80", nothing), "yes");
    EXPECT_EQ(fails("256.1.1.1", "80", nothing), "yes");
    EXPECT_EQ(fails("bad host", "80", nothing), "yes");
    EXPECT_EQ(fails("b\xc3\xbc cher.example", "80", nothing), "yes");
    EXPECT_EQ(fails("unix:", "", nothing), "yes");
    EXPECT_EQ(fails("unix:/" + std::string(200, 'x'), "", nothing), "yes");
    EXPECT_EQ(fails("::1", "80", [](auto& request) { request.only = family::v4; }), "yes");
    EXPECT_EQ(fails("127.0.0.1", "80", [](auto& request) { request.via = "ftp://x"; }), "yes");
    EXPECT_EQ(fails("::1", "80",
                    [](auto& request) {
                        request.from = ip::endpoint{address("127.0.0.1"), 0};
                    }),
              "yes");
}

// ---- resolving ----

TEST_F(dialling, finds_a_name_that_only_etc_hosts_has) {
    testkit::replace_file("/etc/nsswitch.conf", "hosts: files\n");
    testkit::replace_file("/etc/hosts", v4_text + " listed\n" + v6_text + " listed\n");
    const two_listeners here;
    const auto got = dial("listed", here.port);
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v6_text));
}

TEST_F(dialling, asks_for_one_family_when_only_one_is_wanted) {
    for (const auto which : {family::v4, family::v6}) {
        const testkit::dns_server names{both_answer()};
        const two_listeners here;
        auto request = request_for(both_name, here.port);
        request.only = which;
        const auto got = dial(std::move(request));
        ASSERT_FALSE(got.why) << got.text;
        ASSERT_THAT(course(got.story),
                    ElementsAre("won " + (which == family::v4 ? v4_text : v6_text)));
        const auto type = which == family::v4 ? dns_type::a : dns_type::aaaa;
        EXPECT_THAT(names.asked(), testing::Each(std::pair{both_name, type}));
    }
}

TEST_F(dialling, a_resolver_that_never_answers_is_killed_at_the_timeout) {
    const testkit::dns_server names{{{{mute_name, dns_type::a}, {dns_answer::kind::silence}},
                                     {{mute_name, dns_type::aaaa}, {dns_answer::kind::silence}}}};
    testkit::process command{{PORTICO_COMMAND, "dial", "-w", "1", mute_name, "9"}};
    EXPECT_EQ(command.wait(), 111);
    EXPECT_THAT(command.err(), HasSubstr(mute_name));
    EXPECT_THAT(lookups_of(mute_name), IsEmpty());
}

TEST_F(dialling, lookups_end_when_the_program_that_asked_is_killed) {
    const testkit::dns_server names{{{{left_name, dns_type::a}, {dns_answer::kind::silence}},
                                     {{left_name, dns_type::aaaa}, {dns_answer::kind::silence}}}};
    testkit::process command{{PORTICO_COMMAND, "dial", left_name, "9"}};
    while (names.asked().size() < 2) { // both are in the middle of it
        std::this_thread::yield();
    }
    EXPECT_THAT(lookups_of(left_name), SizeIs(2));
    ASSERT_EQ(::kill(command.pid(), SIGKILL), 0);
    while (!lookups_of(left_name).empty()) {
        std::this_thread::yield();
    }
}

// RFC 8305 section 7.1, with the prefix found as RFC 7050 section 3 says.
TEST_F(dialling, reaches_an_ipv4_address_through_a_nat64) {
    testkit::must_run("ip -6 route replace local 64:ff9b::/96 dev lo");
    const testkit::dns_server names{{{{"ipv4only.arpa", dns_type::aaaa},
                                      {.addresses = {"64:ff9b::c000:aa", "64:ff9b::c000:ab"}}},
                                     {{"ipv4only.arpa", dns_type::a}, {}}}};
    const auto translated = listen_at("::");
    const auto got = dial("203.0.113.5", port_of(translated));
    testkit::must_run("ip -6 route del local 64:ff9b::/96 dev lo");
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won 64:ff9b::cb00:7105"));
}

// ---- options ----

TEST_F(dialling, from_a_local_address_races_its_family_alone) {
    const testkit::dns_server names{both_answer()};
    const two_listeners here;
    auto request = request_for(both_name, here.port);
    request.from = ip::endpoint{address("127.0.0.7"), 0};
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    ASSERT_THAT(course(got.story), ElementsAre("won " + v4_text));
    EXPECT_EQ(std::get<ip::endpoint>(got.local).address, address("127.0.0.7"));
}

TEST_F(dialling, from_a_local_port_leaves_by_it) {
    const two_listeners here;
    auto request = request_for(v6_text, here.port);
    request.from = ip::endpoint{address("::1"), closed_port()};
    const auto from = *request.from;
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    EXPECT_EQ(got.local, ip::any_endpoint{from});
}

TEST_F(dialling, from_an_address_that_is_not_here_says_so) {
    auto request = request_for(v4_text, 9);
    request.from = ip::endpoint{address("203.0.113.77"), 0};
    const auto got = dial(std::move(request));
    ASSERT_TRUE(got.why);
    ASSERT_THAT(got.story.attempts, SizeIs(1));
    EXPECT_EQ(got.story.attempts[0].why->op, operation::bind);
    EXPECT_EQ(got.story.attempts[0].why->code, std::errc::address_not_available);
}

TEST_F(dialling, by_an_interface) {
    const two_listeners here;
    auto request = request_for(v6_text, here.port);
    request.interface = "lo";
    EXPECT_FALSE(dial(request).why);
    request.interface = "nope0";
    const auto got = dial(std::move(request));
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.story.attempts.at(0).why->code, std::errc::no_such_device);
}

int tcp_option(const os::fd& socket, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(socket.raw(), IPPROTO_TCP, name, &value, &size), 0);
    return value;
}

TEST_F(dialling, sets_no_delay_and_dead_after) {
    const two_listeners here;
    auto request = request_for(v6_text, here.port);
    const auto plain = dial(request);
    EXPECT_EQ(tcp_option(plain.socket, TCP_NODELAY), 1);
    EXPECT_EQ(tcp_option(plain.socket, TCP_USER_TIMEOUT), 0);
    request.no_delay = false;
    request.dead_after = 30s;
    const auto careful = dial(std::move(request));
    EXPECT_EQ(tcp_option(careful.socket, TCP_NODELAY), 0);
    EXPECT_EQ(tcp_option(careful.socket, TCP_USER_TIMEOUT), 30'000);
}

TEST_F(dialling, remembers_what_won) {
    testkit::add_own_address("2001:db8::3");
    const testkit::dns_server names{both_answer({.addresses = {v6_text, "2001:db8::3"}}, {})};
    const auto listener = listen_at("::");
    auto request = request_for(both_name, port_of(listener));
    const auto first = dial(request).story.attempts.at(0).to.address;
    request.memory = std::make_shared<race::memory>();
    {
        const packet_drop hole{"ip6 daddr " + ip::to_text(first)};
        const auto got = dial(request);
        ASSERT_FALSE(got.why) << got.text;
        EXPECT_THAT(got.story.attempts, SizeIs(2));
    }
    const auto again = dial(request);
    ASSERT_FALSE(again.why) << again.text;
    EXPECT_THAT(again.story.attempts, SizeIs(1));
    EXPECT_NE(again.story.attempts[0].to.address, first);
}

TEST_F(dialling, a_service_name_is_a_port) {
    auto request = request_for(v4_text, 0);
    request.port = "http";
    const auto got = dial(std::move(request));
    EXPECT_EQ(got.story.attempts.at(0).to.port, 80);
}

TEST_F(dialling, a_unix_socket_by_path_and_by_abstract_name) {
    const auto directory =
        std::filesystem::temp_directory_path() / ("portico-dial-" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    const auto path = (directory / "socket").string();
    for (const auto& name : {ip::unix_name::path(path), ip::unix_name::abstract("portico-dial")}) {
        auto listener = os::socket(*name, ip::transport::tcp).value();
        ASSERT_TRUE(os::bind(listener, *name));
        ASSERT_TRUE(os::listen(listener, 1));
        run::dial_request request;
        request.host = ip::to_text(*name);
        const auto got = dial(request);
        EXPECT_FALSE(got.why) << got.text;
        EXPECT_EQ(got.peer, ip::any_endpoint{*name});
        listener.reset();
        EXPECT_TRUE(dial(std::move(request)).why);
    }
    std::filesystem::remove_all(directory);
}

// ---- UDP ----

TEST_F(dialling, udp_takes_the_first_address_that_can_be_reached) {
    testkit::must_run("ip -6 addr del " + v6_text + "/128 dev lo");
    const testkit::dns_server names{both_answer({.addresses = {"2001:db8:ffff::1"}})};
    auto request = request_for(both_name, 9);
    request.over = ip::transport::udp;
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    EXPECT_EQ(ip::to_text(got.peer), v4_text + ":9");
    int type = 0;
    socklen_t size = sizeof type;
    ::getsockopt(got.socket.raw(), SOL_SOCKET, SO_TYPE, &type, &size);
    EXPECT_EQ(type, SOCK_DGRAM);
}

// ---- cancelling ----

TEST_F(dialling, cancelling_a_race_closes_everything) {
    const two_listeners here;
    const packet_drop hole{"tcp dport " + std::to_string(here.port)};
    const auto before = open_descriptors();
    {
        run::dial_outcome outcome;
        boost::asio::io_context context;
        boost::asio::cancellation_signal stop;
        run::async_dial(context.get_executor(), request_for(v6_text, here.port),
                        boost::asio::bind_cancellation_slot(
                            stop.slot(), [&](run::dial_outcome got) { outcome = std::move(got); }));
        while (hole.count() == 0) { // until an attempt is on its way
            context.poll();
        }
        stop.emit(boost::asio::cancellation_type::total);
        context.run();
        ASSERT_TRUE(outcome.why);
        EXPECT_EQ(outcome.why->code, std::errc::operation_canceled);
        EXPECT_THAT(outcome.story.attempts, SizeIs(1));
        EXPECT_FALSE(outcome.socket);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(dialling, cancelling_while_it_resolves_kills_the_lookups) {
    const testkit::dns_server names{{{{mute_name, dns_type::a}, {dns_answer::kind::silence}},
                                     {{mute_name, dns_type::aaaa}, {dns_answer::kind::silence}}}};
    run::dial_outcome outcome;
    boost::asio::io_context context;
    boost::asio::cancellation_signal stop;
    run::async_dial(context.get_executor(), request_for(mute_name, 9),
                    boost::asio::bind_cancellation_slot(
                        stop.slot(), [&](run::dial_outcome got) { outcome = std::move(got); }));
    while (names.asked().size() < 2) {
        context.poll();
    }
    stop.emit(boost::asio::cancellation_type::total);
    context.run();
    ASSERT_TRUE(outcome.why);
    EXPECT_EQ(outcome.why->code, std::errc::operation_canceled);
    EXPECT_THAT(lookups_of(mute_name), IsEmpty());
}

TEST_F(dialling, the_end_of_the_context_leaves_nothing_behind) {
    const testkit::dns_server names{both_answer({.how = dns_answer::kind::silence})};
    const two_listeners here;
    const packet_drop hole{"tcp dport " + std::to_string(here.port)};
    const auto before = open_descriptors();
    {
        boost::asio::io_context context;
        run::async_dial(context.get_executor(), request_for(both_name, here.port),
                        [](const run::dial_outcome&) { ADD_FAILURE() << "it completed"; });
        while (hole.count() == 0) {
            context.poll();
        }
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_THAT(lookups_of(both_name), IsEmpty());
}

// ---- proxies ----

// A proxy for one connection, which says what a test wants it to say.
class scripted_proxy {
public:
    // An answer to one message of the client.
    struct step {
        std::size_t size;      // 0: up to an empty line
        std::string_view says; // empty: nothing, and then it waits for the client to go
    };

    explicit scripted_proxy(std::vector<step> steps)
        : listener_{listen_at("127.0.0.1")}, port_{port_of(listener_)},
          thread_{[this, steps = std::move(steps)] { serve(steps); }} {}
    scripted_proxy(const scripted_proxy&) = delete;
    scripted_proxy& operator=(const scripted_proxy&) = delete;
    ~scripted_proxy() { join(); }

    [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port_); }

    // What the client said; waits for the end of the conversation.
    const std::string& heard() {
        join();
        return heard_;
    }

private:
    void join() {
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    void serve(const std::vector<step>& steps) {
        pollfd ready{listener_.raw(), POLLIN, 0};
        ::poll(&ready, 1, -1);
        const auto client = std::move(os::accept4(listener_.raw()).value().socket);
        ::fcntl(client.raw(), F_SETFL, 0);
        for (const auto& each : steps) {
            std::string message;
            while (each.size != 0 ? message.size() < each.size : !message.ends_with("\r\n\r\n")) {
                char byte = 0;
                if (::read(client.raw(), &byte, 1) != 1) {
                    break;
                }
                message += byte;
            }
            heard_ += message;
            if (each.says.empty()) {
                char byte = 0;
                while (::read(client.raw(), &byte, 1) == 1) {
                }
            }
            (void)os::send(client.raw(), std::as_bytes(std::span{each.says}));
        }
    }

    os::fd listener_;
    std::uint16_t port_;
    std::string heard_;
    std::thread thread_;
};

std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

constexpr std::string_view socks_granted{"\5\0\0\1\0\0\0\0\0\0", 10};
const std::string socks_granted_early{std::string{socks_granted} + "early"};
constexpr std::string_view socks_no_password{"\5\0", 2};
constexpr std::size_t socks_request = 4 + 1 + std::size("far.test") - 1 + 2;

TEST_F(dialling, socks5_hands_the_name_over_unresolved_and_loses_no_byte) {
    const testkit::dns_server names{{}};
    scripted_proxy proxy{{{3, socks_no_password}, {socks_request, socks_granted_early}}};
    auto request = request_for("far.test", 0x1234);
    request.via = "socks5://" + proxy.place();
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    EXPECT_EQ(proxy.heard(), std::string("\5\1\0\5\1\0\3\x8"
                                         "far.test\x12\x34",
                                         3 + socks_request));
    EXPECT_THAT(names.asked(), IsEmpty());
    // What is not there yet comes by the socket.
    std::string rest = text_of(got.early);
    while (rest.size() < 5) {
        std::array<std::byte, 16> part;
        pollfd ready{got.socket.raw(), POLLIN, 0};
        ::poll(&ready, 1, -1);
        const auto size = os::recv(got.socket.raw(), part);
        ASSERT_TRUE(size && *size > 0);
        rest.append(reinterpret_cast<const char*>(part.data()), *size);
    }
    EXPECT_EQ(rest, "early");
}

TEST_F(dialling, http_connect_hands_the_name_over_unresolved_and_loses_no_byte) {
    const testkit::dns_server names{{}};
    scripted_proxy proxy{{{0, "HTTP/1.1 200 Connected\r\n\r\nearly"}}};
    auto request = request_for("far.test", 443);
    request.via = "http://" + proxy.place();
    const auto got = dial(std::move(request));
    ASSERT_FALSE(got.why) << got.text;
    EXPECT_THAT(proxy.heard(), StartsWith("CONNECT far.test:443 HTTP/1.1\r\n"));
    EXPECT_THAT(names.asked(), IsEmpty());
    EXPECT_EQ(text_of(got.early), "early");
}

TEST_F(dialling, a_proxy_that_refuses_or_talks_nonsense_is_told_apart) {
    const auto through = [](std::string_view answer) {
        scripted_proxy proxy{{{0, answer}}};
        auto request = request_for("far.test", 443);
        request.via = "http://" + proxy.place();
        return dial(std::move(request));
    };
    const auto refused = through("HTTP/1.1 403 Forbidden\r\n\r\n");
    ASSERT_TRUE(refused.why);
    EXPECT_EQ(refused.why->code, errc::proxy_refused);
    EXPECT_THAT(refused.text, HasSubstr("403"));
    EXPECT_FALSE(refused.socket);
    const auto nonsense = through("220 mail.test ESMTP\r\n");
    ASSERT_TRUE(nonsense.why);
    EXPECT_EQ(nonsense.why->code, errc::proxy_protocol);
    const auto gone = through("HTTP/1.1 ");
    ASSERT_TRUE(gone.why);
    EXPECT_FALSE(gone.socket);
}

TEST_F(dialling, a_mute_proxy_has_the_time_that_is_left) {
    scripted_proxy proxy{{{0, ""}}};
    auto request = request_for("far.test", 443);
    request.via = "http://" + proxy.place();
    request.timeout = 300ms;
    const auto begun = os::now();
    const auto got = dial(std::move(request));
    EXPECT_GE(os::now() - begun, 300ms);
    ASSERT_TRUE(got.why);
    EXPECT_EQ(got.why->code, std::errc::timed_out);
}

TEST_F(dialling, a_proxy_that_is_not_there_is_named) {
    const auto port = closed_port();
    auto request = request_for("far.test", 443);
    request.via = "socks5://127.0.0.1:" + std::to_string(port);
    const auto got = dial(std::move(request));
    ASSERT_TRUE(got.why);
    EXPECT_THAT(got.text, HasSubstr("127.0.0.1:" + std::to_string(port)));
    EXPECT_THAT(got.text, HasSubstr("Connection refused"));
}

} // namespace
} // namespace portico
