// What `portico serve` tells of itself: at a UNIX socket, and at /metrics.

#include "prometheus_text.hpp"
#include "serving.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>

#include <sys/stat.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class serve_status : public serve_command {
protected:
    [[nodiscard]] std::string told(std::string_view line) const {
        const auto socket = connect_to(ip::unix_name::path(file("status")).value());
        put(socket, line);
        return read_to_end(socket).text;
    }
    [[nodiscard]] static std::string over_http(const std::string& question,
                                               const std::string& where = "127.0.0.1:9108") {
        const auto socket = connect_to(at(where));
        put(socket, question);
        return read_to_end(socket).text;
    }
    [[nodiscard]] static std::string page(const std::string& where = "127.0.0.1:9108") {
        const auto text = over_http("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", where);
        EXPECT_THAT(text, StartsWith("HTTP/1.1 200 OK\r\n"));
        return text.substr(std::min(text.find("\r\n\r\n") + 4, text.size()));
    }
    [[nodiscard]] static prometheus_text metrics() { return prometheus_text{page()}; }
    // Counts change a moment after a client has seen the end.
    template <class Condition>
    static void until(Condition holds) {
        for (int i = 0; i < 6000 && !holds(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        EXPECT_TRUE(holds());
    }

    // A service of each kind.
    [[nodiscard]] std::string every_kind() const {
        return R"([serve]
status = "unix:)" +
               file("status") + R"("

[metrics]
listen = "localhost:9108"

[service.echo]
listen = [":7001", "unix:)" +
               file("e\\\"cho") + R"("]
builtin = "echo"
deny = "127.0.0.2"

[service.relay]
listen = ":7002"
to = "localhost:7001"

[service.udp-relay]
listen = "localhost:7005"
udp = true
to = "localhost:7003"

[service.true]
listen = "localhost:7006"
program = ["true"]

[service.time]
listen = ":7003"
udp = true
builtin = "daytime"

[service.proxy]
listen = "localhost:7004"
socks = true
)";
    }
};

TEST_F(serve_status, metrics_of_all_services_are_on_one_page) {
    write(every_kind());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:9108")) << server.err();
    EXPECT_EQ(echoed(at("[::1]:7002"), "hello"), "hello"); // and so through echo
    EXPECT_EQ(take(connect_to(at("127.0.0.1:7006"))), "");
    EXPECT_THAT(ask(connect_to(at("127.0.0.1:7005"), ip::transport::udp), "?"), HasSubstr("20"));
    const auto held = connect_to(at("127.0.0.1:7001"));
    EXPECT_EQ(ask(held, "x"), "x");
    const prometheus_text::labels relay{
        {"service", "relay"}, {"listener", ":7002"}, {"family", "ipv6"}};
    const prometheus_text::labels echo{
        {"service", "echo"}, {"listener", ":7001"}, {"family", "ipv4"}};
    until([&] { return metrics().value("portico_connections_active", relay) == 0; });
    until([&] {
        return metrics().value("portico_programs_ended_total",
                               {{"service", "true"}, {"how", "succeeded"}}) == 1;
    });
    const auto text = metrics();
    EXPECT_EQ(text.value("portico_connections_accepted_total", relay), 1);
    EXPECT_EQ(text.value("portico_received_bytes_total", relay), 5);
    EXPECT_EQ(text.value("portico_sent_bytes_total", relay), 5);
    EXPECT_EQ(text.value("portico_connections_accepted_total", echo), 1);
    EXPECT_EQ(text.value("portico_connections_active", echo), 1);
    EXPECT_EQ(text.value("portico_connections_max", {{"service", "echo"}}), 1000);
    EXPECT_EQ(
        text.value(
            "portico_connections_accepted_total",
            {{"service", "echo"}, {"listener", "unix:" + file("e\"cho")}, {"family", "unix"}}),
        0)
        << page();
    EXPECT_EQ(text.value("portico_programs_started_total", {{"service", "true"}}), 1);
    EXPECT_EQ(text.value("portico_programs_running", {{"service", "true"}}), 0);
    EXPECT_EQ(text.value("portico_queries_answered_total", {{"service", "time"}}), 1);
    EXPECT_EQ(text.value("portico_relay_datagrams_received_total",
                         {{"service", "udp-relay"}, {"from", "clients"}}),
              1);
    EXPECT_EQ(
        text.value("portico_relay_target_chosen_total",
                   {{"service", "relay"}, {"target", "localhost:7001"}, {"transport", "tcp"}}),
        1);
    EXPECT_EQ(text.value("portico_socks_connected_total", {{"service", "proxy"}}), 0);
    EXPECT_EQ(text.value("portico_serve_reloads_total"), 0);
    EXPECT_GT(text.value("portico_descriptors_open"), 10);
    EXPECT_GT(text.value("portico_descriptors_max"), 10);
    EXPECT_GE(text.value("portico_kernel_listen_overflows_total"), 0);
    EXPECT_GT(text.value("portico_up_seconds"), 0);
}

TEST_F(serve_status, who_is_refused_is_counted_by_its_reason) {
    write("[metrics]\nlisten = '127.0.0.1:9108'\n[service.a]\nlisten = '127.0.0.1:7001'\n"
          "builtin = 'echo'\ndeny = '127.0.0.2'\nrate = '/32=1/1h'\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:9108")) << server.err();
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "1"), "1");
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "2"), "ECONNRESET");
    auto from = blocking(os::socket(at("127.0.0.1:7001"), ip::transport::tcp).value());
    ASSERT_TRUE(os::bind(from, at("127.0.0.2:0")));
    ASSERT_TRUE(os::connect(from, at("127.0.0.1:7001")));
    EXPECT_EQ(ask(from, "3"), "ECONNRESET");
    const auto ended = [](const std::string& reason) {
        return metrics().value("portico_connections_ended_total", {{"service", "a"},
                                                                   {"listener", "127.0.0.1:7001"},
                                                                   {"family", "ipv4"},
                                                                   {"reason", reason}});
    };
    until([&] { return ended("both_ended") == 1; });
    EXPECT_EQ(ended("limited"), 1);
    EXPECT_EQ(ended("denied"), 1);
    EXPECT_EQ(ended("full"), 0);
    EXPECT_EQ(ended("failed"), 0);
}

TEST_F(serve_status, promtool_finds_nothing_wrong) {
    NEEDS("promtool");
    write(every_kind());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:9108")) << server.err();
    EXPECT_EQ(echoed(at("[::1]:7002"), "hello"), "hello");
    std::ofstream{file("page")} << page("[::1]:9108");
    const auto said = testkit::run_command("promtool check metrics < " + file("page"));
    EXPECT_EQ(said.status, 0) << said.output;
    EXPECT_EQ(said.output, "");
}

TEST_F(serve_status, only_get_metrics_is_answered_over_http) {
    write(
        "[metrics]\nlisten = '127.0.0.1:9108'\n[service.a]\nlisten = ':7001'\nbuiltin = 'echo'\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:9108")) << server.err();
    EXPECT_THAT(over_http("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(over_http("HEAD /metrics HTTP/1.1\r\n\r\n"),
                AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET\r\n")));
    EXPECT_THAT(over_http("json\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(over_http("GET /metrics HTTP/1.1\r\nA: " + std::string(9000, 'b')),
                StartsWith("HTTP/1.1 431 "));
    EXPECT_THAT(over_http("GET /metrics?a=b HTTP/1.0\n\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    const auto slow = connect_to(at("127.0.0.1:9108"));
    for (const char each : std::string_view{"GET /metrics HTTP/1.1\r\n\r\n"}) {
        put(slow, std::string_view{&each, 1});
    }
    EXPECT_THAT(read_to_end(slow).text, StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(serve_status, clients_that_say_nothing_hold_up_nobody) {
    write("[metrics]\nlisten = '127.0.0.1:9108'\n[service.a]\nlisten = '127.0.0.1:7001'\n"
          "builtin = 'echo'\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:9108")) << server.err();
    std::vector<os::fd> silent;
    for (int i = 0; i < 40; ++i) {
        silent.push_back(connect_to(at("127.0.0.1:9108")));
    }
    EXPECT_THAT(page(), HasSubstr("portico_connections_active{service=\"a\""));
    // That did not take until those had had their time: the last ones are still there.
    put(silent.back(), "GET /metrics HTTP/1.0\r\n\r\n");
    EXPECT_THAT(read_to_end(silent.back()).text, StartsWith("HTTP/1.1 200 OK"));
    EXPECT_EQ(read_to_end(silent.front()).text, "");
}

TEST_F(serve_status, the_socket_has_a_table_and_json) {
    write(every_kind());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:9108")) << server.err();
    struct stat found {};
    ASSERT_EQ(::stat(file("status").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777U, 0600U);
    EXPECT_THAT(told("\n"), AllOf(StartsWith("portico serve: up "), HasSubstr(", 8 services, "),
                                  HasSubstr("\nservice echo: echo, 0 of 1000 connections\n"),
                                  HasSubstr("\nservice relay: relay, "),
                                  HasSubstr("\nservice udp-relay: relay, 0 of 4096 associations\n"),
                                  HasSubstr("\nservice true: program, "),
                                  HasSubstr("\nservice proxy: SOCKS, ")));
    const auto json = boost::json::parse(told("json\n"));
    EXPECT_EQ(json.at_pointer("/services/echo/kind"), "echo");
    EXPECT_EQ(json.at_pointer("/services/relay/targets/0/target"), "localhost:7001");
    EXPECT_EQ(json.at_pointer("/services/true/programs/started"), 0);
    EXPECT_EQ(json.at_pointer("/services/time/queries/received"), 0);
    EXPECT_EQ(json.at_pointer("/services/proxy/socks/connected"), 0);
    EXPECT_EQ(json.at("reloads"), 0);
    EXPECT_GT(prometheus_text{told("metrics\n")}.size(), 100U);
}

TEST_F(serve_status, it_goes_on_through_reloads_and_handovers_and_is_there_to_the_end) {
    const std::string service = "[service.a]\nlisten = 'localhost:7001'\nbuiltin = 'echo'\n";
    const std::string page_at = "[metrics]\nlisten = '127.0.0.1:9108'\n";
    write(page_at + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    const auto held = connect_to(at("127.0.0.1:7001"));
    EXPECT_EQ(ask(held, "x"), "x");
    write(page_at + service + "deny = '192.0.2.1'\n");
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(metrics().value("portico_serve_reloads_total"), 1);
    EXPECT_EQ(metrics().value("portico_serve_leaving_connections"), 1);
    write(page_at + "[service.a]\nlistn = 1\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("not reloaded"));
    EXPECT_EQ(metrics().value("portico_serve_reloads_failed_total"), 1);
    write(page_at + service);
    server.signal(SIGUSR2);
    ASSERT_TRUE(server.wait_for_out("handed over to \\d+\n")) << server.err();
    EXPECT_EQ(metrics().value("portico_serve_handovers_total"), 1);
    // Somewhere else from now on.
    write("[metrics]\nlisten = '127.0.0.1:9109'\n" + service);
    const auto told = server.wait_for_out("handed over to (\\d+)\n");
    ASSERT_TRUE(told);
    const auto next = std::stoi(*told);
    ASSERT_EQ(::kill(next, SIGHUP), 0);
    ASSERT_TRUE(server.wait_for_out("reloaded 1\n(.*\n)*reloaded 1\n")) << server.err();
    EXPECT_THAT(page("127.0.0.1:9109"), HasSubstr("portico_serve_reloads_total 1\n"));
    // The old process lets in who was half-way in, for a tenth of a second.
    os::fd last;
    for (double in_new = 0; in_new != 1;) {
        last = connect_to(at("127.0.0.1:7001"));
        ASSERT_EQ(ask(last, "y"), "y");
        in_new = prometheus_text{page("127.0.0.1:9109")}.value(
            "portico_connections_active",
            {{"service", "a"}, {"listener", "localhost:7001"}, {"family", "ipv4"}});
    }
    ASSERT_EQ(::kill(next, SIGTERM), 0);
    ASSERT_TRUE(server.wait_for_err("stopping when the last.* signal=TERM"));
    EXPECT_THAT(page("127.0.0.1:9109"), HasSubstr("portico_serve_leaving_connections 1\n"));
    EXPECT_TRUE(os::shutdown_send(last.raw()));
    EXPECT_TRUE(os::shutdown_send(held.raw()));
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(serve_status, what_it_cannot_be_is_told_with_its_place) {
    write("[serve]\nstatus = ':80'\ncontrol = 'unix:@x'\n[metrics]\nlisten = [':9108', 'fe80::1']\n"
          "port = 1\n[service.a]\nlisten = ':9108'\nbuiltin = 'echo'\n");
    const auto said = finish({config_});
    EXPECT_EQ(said.status, 100);
    EXPECT_THAT(said.err,
                AllOf(HasSubstr("portico.toml:2:1: 'status': :80: "), HasSubstr("write unix:/path"),
                      HasSubstr("portico.toml:3:1: 'control': unix:@x: everybody"),
                      HasSubstr("portico.toml:5:20: 'listen': 'fe80::1': "),
                      HasSubstr("portico.toml:6:1: unknown key 'port'"),
                      HasSubstr("service 'metrics' listens on ':9108' as well")));
}

} // namespace
} // namespace portico
