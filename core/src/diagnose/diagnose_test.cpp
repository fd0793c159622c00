#include "portico/diagnose/diagnose.hpp"

#include <gtest/gtest.h>
#include <set>

namespace portico::diagnose {
namespace {

ip::endpoint at(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

socket listening(std::string_view where, std::uint64_t inode = 7) {
    socket made;
    made.state = socket_state::listening;
    made.local = at(where);
    made.v6 = at(where).address.is_v6();
    made.inode = inode;
    made.most = 128;
    if (made.v6) {
        made.v6only = false;
    }
    return made;
}

socket connection(std::string_view local, std::string_view peer,
                  socket_state state = socket_state::established) {
    socket made;
    made.state = state;
    made.local = at(local);
    made.peer = at(peer);
    made.v6 = at(local).address.is_v6();
    made.inode = state == socket_state::time_wait ? 0 : 9;
    return made;
}

facts host(std::vector<socket> sockets = {}) {
    facts made;
    made.host.interfaces = {"lo", "eth0"};
    made.host.addresses = {{"lo", 1, ip::address::loopback(ip::family::v4)},
                           {"lo", 1, ip::address::loopback(ip::family::v6)},
                           {"eth0", 2, at("192.0.2.1:0").address}};
    made.sockets = std::move(sockets);
    return made;
}

diagnosis ask(act what, std::vector<std::string> places, const facts& known,
              bool reuse_port = false) {
    question asked;
    asked.what = what;
    asked.text = places.front();
    for (const auto& each : places) {
        asked.places.emplace_back(at(each));
    }
    asked.reuse_port = reuse_port;
    return diagnose(asked, known);
}

TEST(causes, have_names_and_exit_codes_of_their_own_and_none_of_the_common_ones) {
    std::set<std::string_view> names;
    std::set<int> codes;
    for (const auto each : all_causes()) {
        EXPECT_TRUE(names.insert(name_of(each)).second) << name_of(each);
        EXPECT_TRUE(codes.insert(exit_code(each)).second) << name_of(each);
        EXPECT_LT(exit_code(each), 100);
    }
    EXPECT_EQ(exit_code(cause::none), 0);
    EXPECT_EQ(exit_code(cause::in_use), 10); // scripts know them
    EXPECT_EQ(exit_code(cause::no_permission), 27);
    EXPECT_EQ(exit_code(cause::nobody_listens), 40);
    EXPECT_EQ(exit_code(cause::no_answer), 54);
    EXPECT_EQ(names.size(), 35U);
}

TEST(diagnose, of_a_free_port_finds_nothing_and_says_what_it_is_not) {
    const auto made = ask(act::bind, {"0.0.0.0:8080"}, host());
    EXPECT_EQ(made.answer(), cause::none);
    EXPECT_FALSE(made.excluded.empty());
}

TEST(diagnose, an_ipv4_mapped_listener_is_one_of_ipv4) {
    const auto known = host({listening("[::ffff:127.0.0.1]:8080")});
    EXPECT_EQ(ask(act::bind, {"127.0.0.1:8080"}, known).answer(), cause::in_use);
    EXPECT_EQ(ask(act::bind, {"192.0.2.1:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::connect, {"127.0.0.1:8080"}, known).answer(), cause::none);
}

TEST(diagnose, an_ipv6_wildcard_whose_v6only_is_not_known_is_likely_in_the_way) {
    auto known = host({listening("[::]:8080")});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, known).findings.front().sure, sureness::certain);
    known.sockets.front().v6only.reset();
    const auto made = ask(act::bind, {"0.0.0.0:8080"}, known);
    EXPECT_EQ(made.answer(), cause::v6_wildcard_takes_v4);
    EXPECT_EQ(made.findings.front().sure, sureness::likely);
    known.sockets.front().v6only = true;
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, known).answer(), cause::none);
}

TEST(diagnose, reuseport_without_the_flags_is_a_guess) {
    auto known = host({listening("0.0.0.0:8080")});
    known.uid = known.sockets.front().uid = 5;
    auto made = ask(act::bind, {"0.0.0.0:8080"}, known, true);
    EXPECT_EQ(made.answer(), cause::reuse_port_missing);
    EXPECT_EQ(made.findings.front().sure, sureness::possible);
    known.uid = 6;
    made = ask(act::bind, {"0.0.0.0:8080"}, known, true);
    EXPECT_EQ(made.answer(), cause::reuse_port_other_user);
    EXPECT_EQ(made.findings.front().sure, sureness::likely);
    known.sockets.front().reuse_port = false;
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, known, true).answer(), cause::reuse_port_missing);
}

TEST(diagnose, a_source_port_is_told_from_a_connection_that_a_server_left) {
    const auto outgoing = host({connection("192.0.2.1:40000", "198.51.100.1:443")});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:40000"}, outgoing).answer(), cause::ephemeral_source_port);
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:40000"}, outgoing).findings.front().sure, sureness::likely);
    const auto begun =
        host({connection("192.0.2.1:40000", "198.51.100.1:443", socket_state::connecting)});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:40000"}, begun).findings.front().sure, sureness::certain);
    const auto left = host({connection("192.0.2.1:8080", "198.51.100.1:40000")});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, left).answer(), cause::connections_left);
    // Both ports of the range: it may be either.
    const auto unsure = host({connection("192.0.2.1:40000", "198.51.100.1:40001")});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:40000"}, unsure).findings.front().sure, sureness::likely);
}

TEST(diagnose, connections_of_a_server_that_listens_are_not_told_besides) {
    const auto known =
        host({listening("0.0.0.0:8080"), connection("192.0.2.1:8080", "198.51.100.1:40000")});
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, known).findings.size(), 1U);
}

TEST(diagnose, the_surest_finding_is_the_answer) {
    auto known = host({connection("127.0.0.1:80", "127.0.0.1:40000", socket_state::time_wait)});
    const auto made = ask(act::bind, {"127.0.0.1:80"}, known);
    ASSERT_EQ(made.findings.size(), 2U);
    EXPECT_EQ(made.findings[0].what, cause::privileged_port);
    EXPECT_EQ(made.findings[1].what, cause::time_wait);
}

TEST(diagnose, a_queue_is_full_when_it_has_more_than_its_backlog) {
    auto known = host({listening("0.0.0.0:8080")});
    known.sockets.front().waiting = 128;
    EXPECT_EQ(ask(act::accept, {"0.0.0.0:8080"}, known).answer(), cause::none);
    known.sockets.front().waiting = 129;
    EXPECT_EQ(ask(act::accept, {"0.0.0.0:8080"}, known).answer(), cause::accept_queue_full);
}

TEST(diagnose, the_fault_of_a_full_queue_is_the_program_s_when_it_is_stopped) {
    auto known = host({listening("0.0.0.0:8080")});
    known.sockets.front().waiting = 129;
    known.sockets.front().holders = {0};
    known.processes.resize(1);
    known.processes[0].pid = 42;
    known.processes[0].state = 'S';
    EXPECT_EQ(ask(act::accept, {"0.0.0.0:8080"}, known).findings[0].sentence.find("stopped"),
              std::string::npos);
    known.processes[0].state = 'T';
    const auto made = ask(act::accept, {"0.0.0.0:8080"}, known);
    EXPECT_NE(made.findings[0].sentence.find("stopped"), std::string::npos);
    EXPECT_EQ(made.findings[0].fixes.front(), "kill -CONT 42");
}

TEST(diagnose, the_exact_listener_is_looked_at_and_not_the_wildcard) {
    auto full = listening("0.0.0.0:8080");
    full.waiting = 200;
    const auto known = host({full, listening("127.0.0.1:8080", 8)});
    EXPECT_EQ(ask(act::connect, {"127.0.0.1:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::connect, {"192.0.2.1:8080"}, known).answer(), cause::accept_queue_full);
}

TEST(diagnose, a_container_and_a_unit_are_ended_by_their_own_commands) {
    auto known = host({listening("0.0.0.0:8080")});
    known.sockets.front().holders = {0};
    known.processes.resize(1);
    auto& who = known.processes[0];
    who.pid = 42;
    const auto fix = [&] {
        return ask(act::bind, {"0.0.0.0:8080"}, known).findings[0].fixes.back();
    };
    EXPECT_EQ(fix(), "kill 42");
    who.unit = "session-1.scope";
    EXPECT_EQ(fix(), "kill 42");
    who.unit = "nginx.service";
    EXPECT_EQ(fix(), "systemctl stop nginx.service");
    who.container = "docker 0123456789ab";
    EXPECT_EQ(fix(), "docker stop 0123456789ab");
    who = {};
    who.pid = 7;
    who.name = "docker-proxy";
    who.unit = "docker.service"; // which is not to be stopped
    EXPECT_NE(fix().find("docker ps --filter publish=8080"), std::string::npos);
    who.pid = 1;
    who.name = "systemd";
    EXPECT_NE(fix().find("systemctl list-sockets"), std::string::npos);
    who.name = "nginx"; // of a container
    EXPECT_NE(fix().find("stop the container"), std::string::npos);
    who = {};
    who.pid = 42;
    who.unit = "a\\x2db.service";
    EXPECT_EQ(fix(), "systemctl stop 'a\\x2db.service'");
    who.of_user = true;
    who.uid = 5;
    EXPECT_EQ(fix(), "systemctl --user stop 'a\\x2db.service'   (as user 5)");
    who.container = "podman 0123456789ab";
    EXPECT_EQ(fix(), "podman stop 0123456789ab");
    who.container = "kubernetes 0123456789ab";
    EXPECT_EQ(fix(), "crictl stop 0123456789ab");
}

TEST(diagnose, others_that_have_the_socket_open_are_told_with_the_way_to_end_it) {
    auto known = host({listening("0.0.0.0:8080")});
    known.sockets.front().holders = {0};
    known.processes.resize(1);
    known.processes[0].pid = 42;
    EXPECT_EQ(ask(act::bind, {"0.0.0.0:8080"}, known).findings[0].fixes.size(), 1U);
    known.sockets.front().more_holders = 2;
    const auto made = ask(act::bind, {"0.0.0.0:8080"}, known).findings[0];
    ASSERT_EQ(made.fixes.size(), 2U);
    EXPECT_NE(made.fixes.back().find("2 other processes that have"), std::string::npos);
    EXPECT_NE(made.evidence.back().find("2 more processes have"), std::string::npos);
}

TEST(diagnose, who_made_a_socket_that_nobody_seen_has_is_the_best_guess) {
    auto known = host({listening("0.0.0.0:8080")});
    const auto answer = [&] { return ask(act::bind, {"0.0.0.0:8080"}, known).findings[0]; };
    EXPECT_NE(answer().fixes.back().find("sudo"), std::string::npos);
    known.sockets.front().unit = "nginx.service";
    EXPECT_NE(answer().sentence.find("(nginx.service, by its control group)"), std::string::npos);
    // Root already asks.
    known.seen_as_root = true;
    EXPECT_NE(answer().sentence.find("the kernel itself"), std::string::npos);
    EXPECT_EQ(answer().fixes.back().find("sudo"), std::string::npos);
}

TEST(explains, is_of_the_errors_that_a_cause_makes) {
    const auto code = [](std::errc which) { return std::make_error_code(which); };
    EXPECT_TRUE(explains(cause::in_use, code(std::errc::address_in_use)));
    EXPECT_FALSE(explains(cause::in_use, code(std::errc::permission_denied)));
    EXPECT_TRUE(explains(cause::privileged_port, code(std::errc::permission_denied)));
    EXPECT_TRUE(explains(cause::nobody_listens, code(std::errc::connection_refused)));
    EXPECT_TRUE(explains(cause::nobody_listens, code(std::errc::no_such_file_or_directory)));
    EXPECT_FALSE(explains(cause::nobody_listens, code(std::errc::timed_out)));
    EXPECT_TRUE(explains(cause::accept_queue_full, code(std::errc::timed_out)));
    for (const auto each : all_causes()) {
        EXPECT_FALSE(explains(each, code(std::errc::too_many_files_open))) << name_of(each);
        EXPECT_FALSE(explains(each, {})) << name_of(each);
    }
}

TEST(diagnose, a_full_queue_comes_before_a_family_or_an_address_that_nobody_serves) {
    auto known = host({listening("127.0.0.1:8080")});
    known.sockets.front().waiting = 129;
    const auto made = ask(act::accept, {"[::]:8080", "0.0.0.0:8080"}, known);
    EXPECT_EQ(made.answer(), cause::accept_queue_full);
    known.sockets.front().waiting = 0;
    EXPECT_EQ(ask(act::accept, {"[::]:8080", "0.0.0.0:8080"}, known).answer(), cause::other_family);
}

TEST(diagnose, a_refusal_is_likely_the_other_host_s_for_a_filter_here_may_refuse_too) {
    auto known = host();
    known.attempts = {{at("198.51.100.2:80"), std::make_error_code(std::errc::connection_refused)}};
    const auto made = ask(act::connect, {"198.51.100.2:80"}, known);
    EXPECT_EQ(made.answer(), cause::refused_there);
    EXPECT_EQ(made.findings[0].sure, sureness::likely);
    EXPECT_NE(made.findings[0].fixes.back().find("nft"), std::string::npos);
}

TEST(diagnose, ports_that_are_reserved_are_none_to_use_up) {
    auto known = host({listening("127.0.0.1:80")});
    known.ephemeral = {40000, 40002};
    known.reserved = {{40002, 40002}};
    known.outgoing = {connection("127.0.0.1:40000", "127.0.0.1:80")};
    EXPECT_EQ(ask(act::connect, {"127.0.0.1:80"}, known).answer(), cause::none);
    known.outgoing.push_back(
        connection("127.0.0.1:40001", "127.0.0.1:80", socket_state::time_wait));
    const auto made = ask(act::connect, {"127.0.0.1:80"}, known);
    EXPECT_EQ(made.answer(), cause::ephemeral_ports_used_up);
    EXPECT_EQ(made.findings[0].sure, sureness::likely); // one is in TIME-WAIT
}

TEST(diagnose, strict_filtering_that_has_dropped_packets_is_possible_without_a_client) {
    auto known = host({listening("0.0.0.0:8080")});
    known.reverse = {{"eth0", true, false}};
    known.drops.reverse_path = 0;
    EXPECT_EQ(ask(act::accept, {"0.0.0.0:8080"}, known).answer(), cause::none);
    known.drops.reverse_path = 3;
    const auto made = ask(act::accept, {"0.0.0.0:8080"}, known);
    EXPECT_EQ(made.answer(), cause::reverse_path);
    EXPECT_EQ(made.findings[0].sure, sureness::possible);
}

TEST(diagnose, an_earlier_rule_may_spare_the_packets_of_a_nat_rule) {
    auto known = host({listening("0.0.0.0:8080")});
    nat_rule spares;
    spares.spares = true;
    spares.passes_over = 1;
    spares.first_port = spares.last_port = 8080;
    nat_rule moves;
    moves.new_port = 9090;
    known.nat = {spares, moves};
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).answer(), cause::none);
    known.nat.front().passes_over = 0;
    auto made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.answer(), cause::nat_rule);
    EXPECT_EQ(made.findings.front().sure, sureness::certain);
    known.nat.front().passes_over = 1;
    known.nat.front().partly_read = true; // whether it does is not known
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.front().sure, sureness::likely);
    known.nat.front().first_port = 8081;
    made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.findings.front().sure, sureness::certain);
}

TEST(diagnose, a_nat_rule_for_one_interface_is_likely) {
    auto known = host({listening("0.0.0.0:8080")});
    nat_rule moves;
    moves.new_port = 9090;
    moves.interface = "eth0";
    known.nat = {moves};
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.front().sure, sureness::likely);
}

nat_rule dropping(std::uint16_t port) {
    nat_rule made;
    made.where = nat_rule::hook::input;
    made.does = nat_rule::deed::drops;
    made.handle = 7;
    made.first_port = made.last_port = port;
    return made;
}

TEST(diagnose, a_filter_for_the_port_is_certain_and_one_for_others_is_none) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(8080)};
    const auto made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.answer(), cause::filter_rule);
    EXPECT_EQ(made.findings.front().sure, sureness::certain);
    EXPECT_EQ(ask(act::connect, {"192.0.2.1:8080"}, known).answer(), cause::filter_rule);
    EXPECT_EQ(ask(act::bind, {"192.0.2.1:8081"}, known).answer(), cause::none);
    known.filters.front().over = ip::transport::udp;
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).answer(), cause::none);
}

TEST(diagnose, a_filter_with_more_conditions_is_possible_if_it_names_the_port_and_for_others) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(8080)};
    known.filters.front().partly_read = true;
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.at(0).sure, sureness::possible);
    EXPECT_EQ(ask(act::connect, {"192.0.2.1:8080"}, known).answer(), cause::none);
    known.filters.front().last_port = 8090;
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).answer(), cause::none);
}

TEST(diagnose, a_policy_behind_a_rule_that_may_accept_is_possible) {
    auto known = host({listening("0.0.0.0:8080")});
    auto accepts = dropping(8080);
    accepts.spares = true;
    accepts.passes_over = 1;
    nat_rule policy = dropping(0);
    policy.handle = 0;
    policy.first_port = policy.last_port = std::nullopt;
    known.filters = {accepts, policy};
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8081"}, known).findings.at(0).sure, sureness::certain);
    known.filters.front().partly_read = true;
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.at(0).sure, sureness::possible);
    known.filters.front().passes_over = 0; // it returns to another chain only
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.at(0).sure, sureness::certain);
}

TEST(diagnose, a_filter_of_an_interface_is_for_what_comes_in_there) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(8080)};
    auto& rule = known.filters.front();
    const auto sure_of = [&](act what) {
        const auto made = ask(what, {"192.0.2.1:8080"}, known);
        return made.findings.empty() ? std::nullopt : std::optional{made.findings[0].sure};
    };
    rule.interface = "lo";
    EXPECT_EQ(sure_of(act::accept), std::nullopt);
    EXPECT_EQ(sure_of(act::connect), sureness::certain);
    rule.other_interface = true;
    EXPECT_EQ(sure_of(act::accept), sureness::certain);
    EXPECT_EQ(sure_of(act::connect), std::nullopt);
    rule.interface = "eth0";
    EXPECT_EQ(sure_of(act::accept), sureness::possible);
    EXPECT_EQ(sure_of(act::connect), sureness::certain);
    rule.other_interface = false;
    EXPECT_EQ(sure_of(act::accept), sureness::possible);
    EXPECT_EQ(sure_of(act::connect), std::nullopt);
}

TEST(diagnose, a_filter_of_answers_keeps_clients_out) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(8080)};
    auto& rule = known.filters.front();
    rule.where = nat_rule::hook::answers;
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).findings.size(), 0U); // of other clients
    rule.first_source_port = rule.last_source_port = 8080;
    rule.first_port = rule.last_port = std::nullopt;
    const auto made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.findings.at(0).sure, sureness::certain);
    EXPECT_NE(made.findings[0].sentence.find("drops the answers from 192.0.2.1:8080"),
              std::string::npos);
    EXPECT_NE(made.findings[0].fixes.at(1).find("tcp sport 8080 accept"), std::string::npos);
    EXPECT_NE(ask(act::accept, {"192.0.2.1:8081"}, known).answer(), cause::filter_rule);
}

TEST(diagnose, a_filter_that_may_be_for_the_client_is_told_as_not_seen) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(0)};
    known.filters.front().first_port = known.filters.front().last_port = std::nullopt;
    known.filters.front().from = at("198.51.100.7:0").address;
    known.filters.front().from_length = 32;
    auto made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.answer(), cause::none);
    ASSERT_EQ(made.unseen.size(), 1U);
    EXPECT_NE(made.unseen[0].find("--from"), std::string::npos);
    known.client = at("198.51.100.8:0").address;
    made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.answer(), cause::none);
    EXPECT_TRUE(made.unseen.empty());
    known.client = known.filters.front().from;
    made = ask(act::accept, {"192.0.2.1:8080"}, known);
    EXPECT_EQ(made.findings.at(0).sure, sureness::certain);
    EXPECT_NE(made.findings[0].fixes.at(1).find("ip saddr 198.51.100.7 tcp dport"),
              std::string::npos);
}

TEST(diagnose, what_may_be_for_some_alone_is_not_opened_to_all) {
    auto known = host({listening("0.0.0.0:8080")});
    known.filters = {dropping(8080)};
    known.filters.front().partly_read = true;
    known.filters.front().table = "inet f";
    known.filters.front().chain = "in";
    const auto fix = [&] {
        return ask(act::accept, {"192.0.2.1:8080"}, known).findings.at(0).fixes.at(1);
    };
    EXPECT_EQ(fix(), "let this client pass: nft insert rule inet f in handle 7 ip saddr CLIENT tcp "
                     "dport 8080 accept");
    known.filters.front().table = "ip filter";
    known.filters.front().by_iptables = true;
    EXPECT_EQ(fix(), "let this client pass: iptables -I in NUMBER -s CLIENT -p tcp --dport 8080 -j "
                     "ACCEPT");
}

TEST(settled, places_are_those_that_are_reached) {
    question asked;
    asked.what = act::connect;
    asked.places = {at("0.0.0.0:80"), at("[::]:80"), at("[::ffff:192.0.2.1]:80")};
    const std::vector<ip::any_endpoint> reached{at("127.0.0.1:80"), at("[::1]:80"),
                                                at("192.0.2.1:80")};
    EXPECT_EQ(settled(asked).places, reached);
    asked.what = act::bind;
    EXPECT_EQ(settled(asked).places, asked.places);
}

TEST(diagnose, an_address_that_no_interface_has_is_here_when_the_route_to_it_is_local) {
    auto known = host();
    known.routes.resize(2);
    known.routes[0].to = at("198.51.100.7:0").address;
    known.routes[0].local = true;
    known.routes[1].to = at("[2001:db8::7]:0").address;
    known.routes[1].local = true;
    EXPECT_EQ(ask(act::bind, {"198.51.100.7:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::bind, {"198.51.100.8:8080"}, known).answer(), cause::address_not_here);
    EXPECT_EQ(ask(act::bind, {"[2001:db8::7]:8080"}, known).answer(), cause::address_not_here);
    EXPECT_TRUE(is_own(known, known.routes[1].to));
    known.routes[0].local = false; // by the default route, say
    EXPECT_EQ(ask(act::bind, {"198.51.100.7:8080"}, known).answer(), cause::address_not_here);
    known.routes[0].broadcast = true;
    EXPECT_EQ(ask(act::bind, {"198.51.100.7:8080"}, known).answer(), cause::none);
}

TEST(diagnose, a_listener_of_an_interface_serves_what_comes_in_there) {
    auto known = host({listening("0.0.0.0:8080")});
    known.sockets.front().interface = "eth0";
    EXPECT_EQ(ask(act::connect, {"192.0.2.1:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::connect, {"127.0.0.1:8080"}, known).answer(), cause::listens_elsewhere);
    EXPECT_EQ(ask(act::accept, {"127.0.0.1:8080"}, known).answer(), cause::listens_elsewhere);
    known.sockets.front().interface = "lo";
    EXPECT_EQ(ask(act::connect, {"192.0.2.1:8080"}, known).answer(), cause::listens_elsewhere);
    EXPECT_EQ(ask(act::connect, {"127.0.0.1:8080"}, known).answer(), cause::none);
    EXPECT_EQ(ask(act::accept, {"192.0.2.1:8080"}, known).answer(), cause::none);
}

TEST(takes_away, looks_at_transport_port_address_and_where_it_goes) {
    diagnose::nat_rule rule;
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80"))); // goes nowhere else
    rule.new_port = 8080;
    EXPECT_TRUE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:8080")));
    rule.over = ip::transport::udp;
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
    rule.over = ip::transport::tcp;
    rule.first_port = 81;
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
    rule.first_port = rule.last_port = 80;
    rule.to = at("192.0.2.0:0").address;
    rule.to_length = 24;
    EXPECT_TRUE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.3.1:80")));
    rule.new_port.reset();
    rule.goes_by_map = true;
    EXPECT_TRUE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
    rule.family = ip::family::v6;
    EXPECT_FALSE(takes_away(rule, ip::transport::tcp, at("192.0.2.1:80")));
}

} // namespace
} // namespace portico::diagnose
