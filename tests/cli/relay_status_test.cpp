// portico listen --to ... --status unix:/path, and SRV records as its users see them.

#include "portico/testkit/dns_server.hpp"

#include "listening.hpp"
#include "prometheus_text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>
#include <gmock/gmock.h>

#include <sys/stat.h>
#include <thread>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testkit::run_command;

class relay_status : public command_test {
protected:
    [[nodiscard]] std::string path() const { return file("status"); }

    [[nodiscard]] os::fd client() const {
        const auto name = ip::unix_name::path(path()).value();
        return connect_to(name);
    }
    // What is said to somebody who says this.
    [[nodiscard]] std::string ask(std::string_view text) const {
        const auto socket = client();
        put(socket, text);
        return read_to_end(socket).text;
    }
    [[nodiscard]] prometheus_text metrics() const { return prometheus_text{ask("metrics\n")}; }
    [[nodiscard]] boost::json::value json() const { return boost::json::parse(ask("json\n")); }

    // A connection through the relay, from beginning to end.
    static void use(const listening& server, const target_here& target) {
        const auto from = connect_to(server.at("127.0.0.1"));
        const auto far = target.accept();
        put(from, "question");
        EXPECT_EQ(take(far), "question");
        put(far, "an answer");
        EXPECT_EQ(take(from), "an answer");
        EXPECT_TRUE(os::shutdown_send(from.raw()));
        EXPECT_EQ(take(far), "");
        EXPECT_TRUE(os::shutdown_send(far.raw()));
        EXPECT_EQ(take(from), "");
    }
    // Ends are counted a moment after the client has seen them.
    template <class Condition>
    static void until(Condition holds) {
        for (int i = 0; i < 6000 && !holds(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        EXPECT_TRUE(holds());
    }
};

TEST_F(relay_status, nc_gets_a_table) {
    NEEDS("nc");
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--status", "unix:" + path()}};
    use(server, target);
    until([&] { return ask("\n").find("both_ended 1") != std::string::npos; });
    const auto got = run_command("nc -U " + path() + " </dev/null");
    EXPECT_EQ(got.status, 0);
    EXPECT_THAT(got.output, StartsWith("portico relay: up "));
    EXPECT_THAT(got.output, HasSubstr("0 of 1000 connections"));
    EXPECT_THAT(got.output, HasSubstr("127.0.0.1:0  ipv4         0         1       8 B   9 B"));
    EXPECT_THAT(got.output, HasSubstr(target.name() + "  ipv6    up"));
    EXPECT_THAT(got.output, HasSubstr("ended: both_ended 1\n"));
    EXPECT_THAT(got.output, Not(HasSubstr(" \n")));
    EXPECT_EQ(server.end(), 0);
}

TEST_F(relay_status, curl_gets_what_prometheus_reads) {
    NEEDS("curl");
    const target_here target;
    listening server{{":0", "--to", target.name(), "--status", "unix:" + path()}};
    for (int i = 0; i < 3; ++i) {
        use(server, target);
    }
    const auto open = connect_to(server.at("127.0.0.1"));
    const auto far = target.accept();
    const prometheus_text::labels v4{{"listener", ":0"}, {"family", "ipv4"}};
    const prometheus_text::labels v6{{"listener", ":0"}, {"family", "ipv6"}};
    auto ended = v4;
    ended["reason"] = "both_ended";
    until([&] { return metrics().value("portico_connections_ended_total", ended) == 3; });
    const auto got = run_command("curl -s -f --unix-socket " + path() + " http://x/metrics");
    ASSERT_EQ(got.status, 0) << got.output;
    const prometheus_text text{got.output};
    EXPECT_EQ(text.value("portico_connections_accepted_total", v4), 4);
    EXPECT_EQ(text.value("portico_connections_accepted_total", v6), 0);
    EXPECT_EQ(text.value("portico_connections_active", v4), 1);
    EXPECT_EQ(text.value("portico_received_bytes_total", v4), 24);
    EXPECT_EQ(text.value("portico_sent_bytes_total", v4), 27);
    EXPECT_EQ(text.value("portico_connections_max"), 1000);
    EXPECT_EQ(text.value("portico_accept_shed_total"), 0);
    const prometheus_text::labels to{{"target", target.name()}, {"transport", "tcp"}};
    const prometheus_text::labels over{
        {"target", target.name()}, {"transport", "tcp"}, {"family", "ipv6"}};
    EXPECT_EQ(text.value("portico_relay_target_up", over), 1);
    EXPECT_EQ(text.value("portico_relay_target_connected_total", over), 4);
    EXPECT_EQ(text.value("portico_relay_target_failed_total", over), 0);
    EXPECT_EQ(text.value("portico_relay_target_active", to), 1);
    EXPECT_EQ(text.value("portico_relay_target_chosen_total", to), 4);
    EXPECT_EQ(text.value("portico_relay_target_connect_seconds_count", to), 4);
    EXPECT_GT(text.value("portico_relay_target_connect_seconds_sum", to), 0);
    EXPECT_EQ(text.count("portico_relay_target_connect_seconds_bucket"), 20U);
    const auto head = run_command("curl -s -f -D - --unix-socket " + path() + " http://x/");
    EXPECT_THAT(head.output, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(head.output, HasSubstr("Content-Type: text/plain; version=0.0.4"));
    EXPECT_NE(run_command("curl -s -f -d x --unix-socket " + path() + " http://x/").status, 0);
}

TEST_F(relay_status, the_line_json_gets_json) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--status", path()}};
    use(server, target);
    until([&] { return json().at("active") == 0; });
    const auto got = json();
    EXPECT_EQ(got.at_pointer("/listeners/0/accepted"), 1);
    EXPECT_EQ(got.at_pointer("/listeners/0/family"), "ipv4");
    EXPECT_EQ(got.at_pointer("/listeners/0/received_bytes"), 8);
    EXPECT_EQ(got.at_pointer("/listeners/0/ended/both_ended"), 1);
    EXPECT_EQ(got.at_pointer("/targets/0/target").as_string(), target.name());
    EXPECT_EQ(got.at_pointer("/targets/0/families/0/state"), "up");
    EXPECT_EQ(got.at_pointer("/targets/0/families/0/connected"), 1);
    EXPECT_EQ(got.at_pointer("/targets/0/connect_seconds/count"), 1);
    EXPECT_EQ(got.at("trouble"), "");
}

TEST_F(relay_status, what_a_target_suffers_from_is_told) {
    target_here gone;
    const auto dead = gone.name();
    gone.close();
    listening server{{"127.0.0.1:0", "-q", "--to", dead, "--to", "unix:" + file("nobody"), "--to",
                      "no-such-host.invalid:80", "--status", path()}};
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(take(connect_to(server.at("127.0.0.1"))), "ECONNRESET");
    }
    const auto table = ask("\n");
    EXPECT_THAT(table, AllOf(HasSubstr(dead + " over ipv6: Connection refused"),
                             HasSubstr("over unix: No such file or directory"),
                             HasSubstr("no address"), HasSubstr("ended: no_target 3"),
                             HasSubstr("trouble: no-such-host.invalid:80: ")));
    const auto text = metrics();
    EXPECT_EQ(text.value("portico_relay_target_up",
                         {{"target", dead}, {"transport", "tcp"}, {"family", "ipv6"}}),
              0);
    EXPECT_EQ(text.value("portico_relay_target_addresses",
                         {{"target", "no-such-host.invalid:80"}, {"transport", "tcp"}}),
              0);
    EXPECT_EQ(text.value("portico_relay_target_failures",
                         {{"target", dead}, {"transport", "tcp"}, {"family", "ipv6"}}),
              3);
}

TEST_F(relay_status, names_with_odd_characters_are_escaped_and_twins_numbered) {
    const target_here target;
    const auto odd = "unix:" + file("a\"b\\c d");
    process server{{command, "listen", odd, "127.0.0.1:0", "127.0.0.1:0", "--to",
                    target.name() + "," + target.name(), "--status", path()}};
    ASSERT_TRUE(server.wait_for_out("(listening tcp 127.*\n){2}"));
    const auto text = metrics();
    const std::string name = "portico_connections_accepted_total";
    EXPECT_EQ(text.value(name, {{"listener", odd}, {"family", "unix"}}), 0) << ask("metrics\n");
    EXPECT_EQ(text.value(name, {{"listener", "127.0.0.1:0"}, {"family", "ipv4"}}), 0);
    EXPECT_EQ(text.value(name, {{"listener", "127.0.0.1:0#2"}, {"family", "ipv4"}}), 0);
    EXPECT_EQ(text.value("portico_relay_target_active",
                         {{"target", target.name() + "#2"}, {"transport", "tcp"}}),
              0);
    EXPECT_EQ(json().at_pointer("/listeners/0/listener").as_string(), odd);
}

TEST_F(relay_status, a_relay_of_datagrams_tells_of_them) {
    listening target{{"[::1]:0", "--udp", "--echo", "-q"}};
    const auto name = "[::1]:" + target.port();
    listening server{{"127.0.0.1:0", "--udp", "--to", name, "--status", path()}};
    const auto from = connect_to(server.at("127.0.0.1"), ip::transport::udp);
    for (const std::string each : {"one", "three"}) {
        put(from, each);
        EXPECT_EQ(take(from), each);
    }
    const auto text = metrics();
    EXPECT_EQ(text.value("portico_relay_datagrams_received_total", {{"from", "clients"}}), 2);
    EXPECT_EQ(text.value("portico_relay_datagrams_sent_bytes_total", {{"from", "targets"}}), 8);
    EXPECT_EQ(text.value("portico_relay_associations_active"), 1);
    const prometheus_text::labels to{{"target", name}, {"transport", "udp"}};
    EXPECT_EQ(text.value("portico_relay_target_chosen_total", to), 1);
    EXPECT_EQ(text.count("portico_relay_target_connect_seconds_bucket"), 0U);
    EXPECT_EQ(json().at_pointer("/datagrams/from_clients/received"), 2);
    EXPECT_EQ(json().at_pointer("/targets/0/transport"), "udp");
    EXPECT_THAT(ask("\n"), AllOf(HasSubstr("1 of 4096 associations"),
                                 HasSubstr("from clients         2    8 B     2    8 B        0"),
                                 HasSubstr(name + " (udp)  ipv6")));
}

// ---- who asks ----

TEST_F(relay_status, a_question_may_come_in_pieces_or_be_nonsense) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--status", path()}};
    const auto slow = client();
    for (const char each : std::string_view{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}) {
        put(slow, std::string_view{&each, 1});
    }
    EXPECT_THAT(read_to_end(slow).text, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask("GET /metrics\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("PUT / HTTP/1.1\r\n\r\n"), HasSubstr("405"));
    EXPECT_THAT(ask("json\r\n"), StartsWith("{"));
    EXPECT_THAT(ask("what?\n"), StartsWith("portico relay"));
    EXPECT_THAT(ask(std::string_view{"\0\xff\n", 3}), StartsWith("portico relay"));
    EXPECT_THAT(ask(std::string(100'000, 'x')), StartsWith("portico relay"));
    const auto silent = client();
    EXPECT_THAT(read_to_end(silent).text, StartsWith("portico relay"));
    const auto ended = client();
    put(ended, "json");
    ASSERT_TRUE(os::shutdown_send(ended.raw()));
    EXPECT_THAT(read_to_end(ended).text, StartsWith("{"));
}

// An answer of megabytes that nobody reads, sixteen times.
TEST_F(relay_status, those_who_do_not_read_hold_up_nobody_for_long) {
    const target_here target;
    std::vector<std::string> arguments{"127.0.0.1:0", "-q", "--status", path()};
    for (int i = 0; i < 300; ++i) {
        arguments.insert(arguments.end(), {"--to", target.name()});
    }
    listening server{arguments};
    std::vector<os::fd> stuck;
    for (int i = 0; i < 16; ++i) {
        stuck.push_back(client());
        put(stuck.back(), "metrics\n");
    }
    const auto patient = client();
    put(patient, "json\n");
    use(server, target); // meanwhile
    EXPECT_EQ(boost::json::parse(read_to_end(patient).text).at("targets").as_array().size(), 300U);
    EXPECT_EQ(metrics().count("portico_relay_target_active"), 300U);
}

TEST_F(relay_status, it_answers_while_the_last_connections_go_on) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--status", path()}};
    auto from = connect_to(server.at("127.0.0.1"));
    auto far = target.accept();
    server->signal(SIGTERM);
    ASSERT_TRUE(server->wait_for_err("stopping"));
    EXPECT_EQ(json().at("active"), 1);
    from.reset();
    far.reset();
    EXPECT_EQ(server->wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(path())) << "it takes its file away";
}

// ---- where ----

TEST_F(relay_status, only_its_owner_may_ask_and_a_stale_file_is_replaced) {
    const target_here target;
    {
        listening killed{{"127.0.0.1:0", "--to", target.name(), "--status", path()}};
        struct stat found {};
        ASSERT_EQ(::stat(path().c_str(), &found), 0);
        EXPECT_EQ(found.st_mode & 0777U, 0600U);
        killed->signal(SIGKILL);
        EXPECT_EQ(killed->wait(), 128 + SIGKILL);
    }
    ASSERT_TRUE(std::filesystem::exists(path()));
    listening server{{"127.0.0.1:0", "--to", target.name(), "--status", path()}};
    EXPECT_THAT(ask("\n"), StartsWith("portico relay"));
    const auto second =
        run_command(command + " listen 127.0.0.1:0 --to " + target.name() + " --status " + path());
    EXPECT_EQ(second.status, 111) << second.output;
    EXPECT_THAT(second.output, AllOf(HasSubstr("--status"), HasSubstr("another process has")));
    EXPECT_THAT(ask("\n"), StartsWith("portico relay"));
}

TEST_F(relay_status, what_cannot_be_a_status_socket_is_refused_with_a_hint) {
    const auto said = [](const std::string& arguments) {
        const auto got = run_command(command + " listen 127.0.0.1:0 " + arguments);
        EXPECT_EQ(got.status, 100) << got.output;
        return got.output;
    };
    EXPECT_THAT(said("--to [::1]:1 --status :80"), HasSubstr("write unix:/path"));
    EXPECT_THAT(said("--to [::1]:1 --status unix:@x"), HasSubstr("everybody on this host"));
    EXPECT_THAT(said("--to [::1]:1 --status unix:"), HasSubstr("^"));
    EXPECT_THAT(said("--echo --status " + path()), HasSubstr("--status: it is for a relay"));
}

// ---- SRV records ----

using testkit::dns_type;

const std::pair<std::string, dns_type> service{"_x._tcp.service.test", dns_type::srv};

class relay_srv : public relay_status {
protected:
    void SetUp() override {
        relay_status::SetUp();
        if (!IsSkipped()) {
            testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        }
    }
    static std::uint16_t port_of(const target_here& which) {
        return ip::parse_endpoint(which.name()).value().port;
    }
    static std::string name_of(const std::string& host, const target_here& which) {
        return host + ":" + std::to_string(port_of(which));
    }
};

TEST_F(relay_srv, its_targets_are_those_of_the_records_and_each_has_its_own_counts) {
    const target_here a;
    const target_here b;
    testkit::dns_server names{
        {{{"a.test", dns_type::aaaa}, {.addresses = {"::1"}}},
         {{"b.test", dns_type::aaaa}, {.addresses = {"::1"}}},
         {service, {.services = {{1, 1, port_of(a), "a.test"}}, .lifetime = 1}}}};
    listening server{{"127.0.0.1:0", "--to", "srv:" + service.first, "--status", path()}};
    for (int i = 0; i < 3; ++i) {
        use(server, a);
    }
    const auto count = [&](const std::string& name) {
        return metrics().value("portico_relay_target_connect_seconds_count",
                               {{"target", name}, {"transport", "tcp"}});
    };
    EXPECT_EQ(count(name_of("a.test", a)), 3);
    names.say(service, {.services = {{1, 1, port_of(b), "b.test"}}, .lifetime = 1});
    until([&] { return count(name_of("b.test", b)) == 0; }); // it has no place before
    use(server, b);
    EXPECT_EQ(count(name_of("b.test", b)), 1) << "not those of the one before";
    EXPECT_EQ(metrics().count("portico_relay_target_active"), 1U) << "the other one is gone";
}

TEST_F(relay_srv, datagrams_go_to_those_of_udp) {
    listening target{{"[::1]:0", "--udp", "--echo", "-q"}};
    const auto port = static_cast<std::uint16_t>(std::stoul(target.port()));
    const testkit::dns_server names{
        {{{"a.test", dns_type::aaaa}, {.addresses = {"::1"}}},
         {{"_x._udp.service.test", dns_type::srv}, {.services = {{1, 1, port, "a.test"}}}}}};
    listening server{{"127.0.0.1:0", "--udp", "--to", "srv:_x._udp.service.test"}};
    const auto from = connect_to(server.at("127.0.0.1"), ip::transport::udp);
    put(from, "hello");
    EXPECT_EQ(take(from), "hello");
}

TEST_F(relay_srv, a_name_that_is_not_there_is_told_and_no_reason_to_end) {
    const testkit::dns_server names{{}};
    listening server{{"127.0.0.1:0", "--to", "srv:" + service.first, "--status", path()}};
    EXPECT_TRUE(server->wait_for_err("a target cannot be found.*srv:_x._tcp.service.test: "));
    EXPECT_EQ(take(connect_to(server.at("127.0.0.1"))), "ECONNRESET");
    EXPECT_THAT(ask("\n"), HasSubstr("trouble: srv:_x._tcp.service.test: "));
    EXPECT_EQ(metrics().count("portico_relay_target_active"), 0U);
}

TEST_F(relay_srv, a_slip_in_the_name_is_pointed_at) {
    const auto said = [](const std::string& arguments) {
        const auto got = run_command(command + " " + arguments);
        EXPECT_EQ(got.status, 100) << got.output;
        return got.output;
    };
    const std::string listen = "listen 127.0.0.1:0 --to ";
    EXPECT_THAT(said(listen + "srv:imap.example.org"),
                AllOf(HasSubstr("begins with '_'"), HasSubstr("\n      ^~~~\n"),
                      HasSubstr("write it like _imap._tcp.example.org")));
    EXPECT_THAT(said(listen + "srv:_imap._tcp.example.org:143"),
                HasSubstr("the records say which port"));
    EXPECT_THAT(said(listen + "srv:_imap._udp.example.org"), HasSubstr("over udp"));
    EXPECT_THAT(said("dial srv:_imap._tcp.example.org"), HasSubstr("give HOST:PORT"));
}

} // namespace
} // namespace portico
