// `portico serve`: many services from one file, and reloads that nobody notices.

#include "nginx_directories.hpp"
#include "serving.hpp"

#include "portico/os/fdpass.hpp"

#include "portico/os/clock.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

namespace portico {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

TEST_F(serve_command, serves_every_kind_of_service_over_both_families) {
    write(R"([service.echo]
listen = ":7001"
builtin = "echo"

[service.relay]
listen = ":7002"
to = "localhost:7001"

[service.shout]
listen = "unix:)" +
          file("shout") + R"("
program = ["tr", "a-z", "A-Z"]

[service.time]
listen = ":7003"
udp = true
builtin = "daytime"

[service.proxy]
listen = "localhost:7004"
socks = true
)");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7004")) << server.err();
    for (const std::string host : {"127.0.0.1", "[::1]"}) {
        EXPECT_EQ(echoed(at(host + ":7001"), "hi"), "hi");
        EXPECT_EQ(echoed(at(host + ":7002"), "hi"), "hi");
        const auto asking = connect_to(at(host + ":7003"), ip::transport::udp);
        EXPECT_THAT(ask(asking, "?"), HasSubstr("20"));
        EXPECT_EQ(ask(connect_to(at(host + ":7004")), {"\5\1\0", 3}), (std::string{"\5\0", 2}));
    }
    const auto shout = connect_to(ip::unix_name::path(file("shout")).value());
    put(shout, "aloud");
    EXPECT_TRUE(os::shutdown_send(shout.raw()));
    EXPECT_EQ(read_to_end(shout).text, "ALOUD");
    // Each line says which service it is about.
    EXPECT_TRUE(server.wait_for_err("connection ended\" service=shout .*process.exit.code=0"));
    EXPECT_TRUE(server.wait_for_err("connection ended\" service=relay "));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(file("shout")));
}

TEST_F(serve_command, a_reload_lets_go_on_what_has_not_changed_and_who_is_connected) {
    const std::string same = "[service.same]\nlisten = \":7001\"\nbuiltin = \"echo\"\n";
    write(same + "[service.other]\nlisten = \"localhost:7002\"\nbuiltin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    const auto in_same = connect_to(at("[::1]:7001"));
    const auto in_other = connect_to(at("[::1]:7002"));
    EXPECT_EQ(ask(in_same, "1") + ask(in_other, "1"), "11");
    write(same + "[service.other]\nlisten = \"127.0.0.1:7002\"\nbuiltin = \"discard\"\n" +
          "[service.new]\nlisten = \"localhost:7003\"\nbuiltin = \"echo\"\n");
    ASSERT_TRUE(reload(server, 1));
    EXPECT_TRUE(server.wait_for_err(
        "msg=reloaded reloads=1 services.unchanged=1 services.started=2 services.stopped=1"));
    EXPECT_EQ(ask(in_same, "2") + ask(in_other, "2"), "22") << "as they were";
    EXPECT_EQ(echoed(at("[::1]:7003"), "new"), "new");
    // The new one of that name drops what comes, at the address that it still has.
    const auto again = connect_to(at("127.0.0.1:7002"));
    put(again, "nothing comes back");
    EXPECT_TRUE(os::shutdown_send(again.raw()));
    EXPECT_EQ(read_to_end(again).text, "");
    server.signal(SIGTERM);
    ASSERT_TRUE(server.wait_for_err("stopping when the last connection has ended"));
    EXPECT_EQ(ask(in_same, "3") + ask(in_other, "3"), "33") << "a drain waits for both";
    EXPECT_TRUE(os::shutdown_send(in_same.raw()));
    EXPECT_TRUE(os::shutdown_send(in_other.raw()));
    EXPECT_EQ(server.wait(), 0);
}

// Also of services that go on as they were, and of a relay, whose threads tell of no end that
// nobody wants to hear of.
TEST_F(serve_command, a_reload_changes_what_is_logged_and_how) {
    const std::string services =
        "[service.echo]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n"
        "[service.relay]\nlisten = '127.0.0.1:7002'\nto = '127.0.0.1:7001'\n";
    write("[log]\nlevel = 'warning'\n" + services);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    const auto stays = connect_to(at("127.0.0.1:7002"));
    EXPECT_EQ(ask(stays, "1"), "1");
    EXPECT_EQ(echoed(at("127.0.0.1:7002"), "silence"), "silence");
    write("[log]\nlevel = 'info'\n" + services);
    ASSERT_TRUE(reload(server, 1));
    EXPECT_THAT(server.err(), Not(HasSubstr("connection ended")));
    while (server.err().find("connection ended\" service=relay") == std::string::npos) {
        // The old one takes who is half-way in for a tenth of a second.
        ASSERT_EQ(echoed(at("127.0.0.1:7002"), "hi"), "hi");
        ::usleep(10'000);
    }
    EXPECT_TRUE(server.wait_for_err("connection ended\" service=echo"));
    write("[log]\nlevel = 'debug'\nformat = 'json'\n" + services);
    ASSERT_TRUE(reload(server, 2));
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    EXPECT_TRUE(server.wait_for_err("\"msg\":\"connection began\",\"service\":\"echo\""));
    // What fails leaves the log as it was, too.
    write("[log]\nlevel = 'error'\n" + services +
          "[service.far]\nlisten = '192.0.2.77:7003'\nbuiltin = 'echo'\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("\"msg\":\"not reloaded: everything goes on as it was\""));
    const auto so_far = server.err().size();
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "more"), "more");
    EXPECT_TRUE(server.wait_for_err("\"connection ended\".*\"received\":4,"));
    EXPECT_THAT(server.err().substr(so_far), HasSubstr("connection began"));
    EXPECT_EQ(ask(stays, "2"), "2");
}

TEST_F(serve_command, what_a_reload_cannot_change_is_told) {
    const std::string service = "[service.a]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n";
    write("[serve]\npid-file = '" + file("pid") + "'\n" + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    const auto next = "[log]\noutput = 'syslog'\n[serve]\npid-file = '" + file("other") + "'\n";
    write(file("next.toml"), next + service);
    EXPECT_THAT(finish({config_, "--diff", file("next.toml")}).out,
                HasSubstr("needs a restart: log.output, serve.pid-file\n"));
    for (const int i : {1, 2}) { // as long as it is so
        write(next + service);
        ASSERT_TRUE(reload(server, i));
        ASSERT_TRUE(server.wait_for_err("reloads=" + std::to_string(i) +
                                        " [^\n]*\n[^\n]*needs a restart\" "
                                        "keys=\"log.output, serve.pid-file\""))
            << server.err();
    }
    write("[serve]\npid-file = '" + file("pid") + "'\n" + service);
    ASSERT_TRUE(reload(server, 3));
    EXPECT_TRUE(server.wait_for_err("reloads=3"));
    EXPECT_FALSE(std::filesystem::exists(file("other")));
}

TEST_F(serve_command, a_service_that_is_gone_from_the_file_ends) {
    const std::string one = "[service.one]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n";
    write(one + "[service.two]\nlisten = [\"localhost:7002\", \"unix:" + file("two") +
          "\"]\nbuiltin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix")) << server.err();
    write(one);
    ASSERT_TRUE(reload(server, 1));
    // It takes who is half-way in for a tenth of a second, and then nobody.
    const auto where = at("[::1]:7002");
    for (bool refused = false; !refused;) {
        const auto client = blocking(os::socket(where, ip::transport::tcp).value());
        const auto done = os::connect(client, where);
        refused = !done && done.error() == std::errc::connection_refused;
    }
    EXPECT_FALSE(std::filesystem::exists(file("two")));
    EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
}

TEST_F(serve_command, any_port_and_a_socket_file_stay_what_they_are) {
    const auto text = [this](int limit) {
        return "[service.any]\nlisten = [\":0\", \"unix:" + file("s") +
               "\"]\nbuiltin = \"echo\"\nmax-connections = " + std::to_string(limit) + "\n";
    };
    write(text(10));
    auto server = serve();
    const auto port = server.wait_for_out(R"(listening tcp 0\.0\.0\.0:(\d+))");
    ASSERT_TRUE(port) << server.err();
    ASSERT_TRUE(server.wait_for_out("listening unix"));
    struct stat before {};
    ASSERT_EQ(::stat(file("s").c_str(), &before), 0);
    write(text(20));
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(echoed(at("127.0.0.1:" + *port), "v4"), "v4");
    EXPECT_EQ(echoed(at("[::1]:" + *port), "v6"), "v6");
    struct stat after {};
    ASSERT_EQ(::stat(file("s").c_str(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
    EXPECT_EQ(ask(connect_to(ip::unix_name::path(file("s")).value()), "file"), "file");
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(file("s")));
}

TEST_F(serve_command, a_wrong_file_changes_nothing_and_every_error_is_told) {
    write("[service.a]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening")) << server.err();
    write("[service.a]\nlisten = \"localhost:7001\"\nbuiltin = \"ecco\"\nmax-conections = 3\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("not reloaded: everything goes on as it was\" errors=2"));
    EXPECT_THAT(server.err(), AllOf(HasSubstr("config.line=3"), HasSubstr("config.line=4"),
                                    HasSubstr("max-connections")));
    EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
    write("[service.a]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n");
    EXPECT_TRUE(reload(server, 1));
}

TEST_F(serve_command, files_that_are_broken_in_many_ways_change_nothing) {
    const std::string good = "[service.a]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n";
    const std::string program = "[service.a]\nlisten = \"localhost:7001\"\nprogram = [\"cat\"]\n";
    struct broken {
        std::string text;
        std::string said;
    };
    const std::vector<broken> all{
        {"", "there is no service in it"},
        {std::string{"\0\1\377", 3}, "this is not UTF-8"},
        {"[service.a", "in a table header"},
        {good.substr(0, good.size() / 2),
         "a quote or a bracket may be left open"}, // it is being written
        {good + "listen = \":7002\"\n", "cannot redefine existing string 'listen'"},
        {"[servce.a]\nlisten = \":7001\"\n", "did you mean 'service'?"},
        {good + "max-conections = 3\n", "did you mean 'max-connections'?"},
        {"[service.a]\nlisten = 7001\nbuiltin = \"echo\"\n", "takes a text or a list of texts"},
        {"[service.a]\nbuiltin = \"echo\"\n", "does not say where it listens"},
        {"[service.a]\nlisten = \":7001\"\n", "does not say what answers its clients"},
        {good + "program = [\"cat\"]\n", "a service is one thing"},
        {"[service.a]\nlisten = \"[fe80::1]:53\"\nbuiltin = \"echo\"\n", "needs a zone"},
        {good + "allow = [\"10.0.0.0/33\"]\n", "the prefix length is over 32"},
        {good + "max-connections = -1\n", "goes from 1 to 1000000"},
        {program + "time-limit = \"5 parsecs\"\n", "unknown unit ' parsecs'"},
        {program + "user = \"no-such-user\"\n", "there is no user 'no-such-user'"},
        {program + "env-file = \"/no/such/file\"\n", "/no/such/file: No such file"},
        {program + "cwd = \"/no/such/place\"\n", "/no/such/place: No such file"},
        {"[service.a]\nlisten = \":7001\"\nprogram = [\"/no/such/x\"]\n", "/no/such/x: No such"},
    };
    write(good);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening")) << server.err();
    const auto client = connect_to(at("127.0.0.1:7001"));
    std::size_t seen = 0; // of what it says
    for (const auto& each : all) {
        write(each.text);
        const auto checked = finish({config_, "--check"});
        EXPECT_EQ(checked.status, 100) << each.said;
        EXPECT_THAT(checked.err, HasSubstr(each.said));
        server.signal(SIGHUP);
        const std::string refused = "not reloaded: everything goes on as it was";
        while (server.err().find(refused, seen) == std::string::npos) {
            ASSERT_EQ(ask(client, "still"), "still") << each.said;
        }
        const auto said = server.err().substr(seen);
        seen += said.size();
        EXPECT_THAT(said, HasSubstr(each.said));
    }
    std::filesystem::remove(config_);
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("this cannot be read: No such file"));
    EXPECT_EQ(ask(client, "still"), "still");
    EXPECT_EQ(echoed(at("[::1]:7001"), "new"), "new");
    write(good + "max-connections = 3\n");
    EXPECT_TRUE(reload(server, 1));
}

TEST_F(serve_command, a_port_that_somebody_has_changes_nothing) {
    const ip::any_endpoint taken = at("127.0.0.1:7005");
    const auto other = os::socket(taken, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(other, taken) && os::listen(other, 1));
    const std::string one =
        "[service.one]\nlisten = [\"localhost:7001\", \"unix:" + file("s") + "\"]\n";
    write(one + "builtin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix")) << server.err();
    write(one + "builtin = \"discard\"\nrequired = true\n[service.two]\nlisten = "
                "\"127.0.0.1:7005\"\nbuiltin = \"echo\"\nrequired = true\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("not reloaded: everything goes on as it was"));
    EXPECT_THAT(server.err(), HasSubstr("127.0.0.1:7005"));
    EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
    EXPECT_TRUE(std::filesystem::exists(file("s")));
    EXPECT_EQ(ask(connect_to(ip::unix_name::path(file("s")).value()), "file"), "file");
}

TEST_F(serve_command, two_services_cannot_have_one_socket) {
    write("[service.one]\nlisten = \"127.0.0.1:7001\"\nbuiltin = \"echo\"\n"
          "[service.two]\nlisten = \":7001\"\nbuiltin = \"echo\"\n");
    const auto start = finish({config_});
    EXPECT_EQ(start.status, 100);
    EXPECT_THAT(start.err, AllOf(HasSubstr("one"), HasSubstr("two"), HasSubstr("already")));
    EXPECT_EQ(start.out, "");
    const auto check = finish({config_, "--check"});
    EXPECT_EQ(check.status, 100);
    EXPECT_THAT(check.err, AllOf(HasSubstr("one"), HasSubstr("two")));
}

TEST_F(serve_command, check_tells_the_plan_and_opens_nothing) {
    write("[service.web]\nlisten = \":7001\"\nto = [\"a.example:80\", \"b.example:80\"]\n");
    const auto got = finish({config_, "--check"});
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_THAT(got.out,
                AllOf(HasSubstr("service web: relay to a.example:80 b.example:80"),
                      HasSubstr("[::]:7001"), HasSubstr("IPV6_V6ONLY"), HasSubstr("0.0.0.0:7001")));
    write("[service.web]\nlistn = \":7001\"\n");
    const auto wrong = finish({config_, "--check"});
    EXPECT_EQ(wrong.status, 100);
    EXPECT_THAT(wrong.err, HasSubstr("portico.toml:2:"));
}

TEST_F(serve_command, check_finds_files_that_cannot_be_made) {
    write("[serve]\nstatus = 'unix:" + file("none/s") + "'\npid-file = '" + file("none/p") +
          "'\n[service.a]\nlisten = 'unix:" + file("none/a") + "'\nbuiltin = 'echo'\n");
    const auto got = finish({config_, "--check"});
    EXPECT_EQ(got.status, 100);
    EXPECT_THAT(got.err,
                AllOf(HasSubstr("this cannot start:\n"),
                      ContainsRegex("portico.toml:2:1: service 'serve.status': .*/none/s: there is "
                                    "no directory .*/none\n    make it"),
                      ContainsRegex("portico.toml:3:1: 'pid-file': .*/none/p: there is no"),
                      ContainsRegex("portico.toml:5:1: 'listen': .*/none/a: there is no")));
    const auto start = finish({config_});
    EXPECT_NE(start.status, 0);
    std::filesystem::create_directory(file("none"));
    EXPECT_EQ(finish({config_, "--check"}).status, 0);
    write("[serve]\nstatus = 'unix:/run/no-such-directory/s'\n[service.a]\nlisten = ':7001'\n"
          "builtin = 'echo'\n");
    const auto managed = finish({config_, "--check"});
    EXPECT_EQ(managed.status, 0) << "a manager may make it";
    EXPECT_THAT(managed.err, HasSubstr("there is no directory /run/no-such-directory"));
}

TEST_F(serve_command, diff_tells_what_a_reload_would_do) {
    write("[service.a]\nlisten = \"127.0.0.1:7001\"\nbuiltin = \"echo\"\n"
          "[service.b]\nlisten = \"127.0.0.1:7002\"\nbuiltin = \"echo\"\n"
          "[service.c]\nlisten = \"127.0.0.1:7003\"\nbuiltin = \"echo\"\n");
    write(file("next.toml"), "[service.a]\nlisten = \"127.0.0.1:7001\"\nbuiltin = \"echo\"\n"
                             "[service.b]\nlisten = \"127.0.0.1:7002\"\nbuiltin = \"discard\"\n"
                             "[service.d]\nlisten = \"127.0.0.1:7004\"\nbuiltin = \"echo\"\n");
    const auto got = finish({config_, "--diff", file("next.toml")});
    EXPECT_EQ(got.status, 0) << got.err;
    EXPECT_EQ(got.out, "keep  tcp 127.0.0.1:7001  for 127.0.0.1:7001\n"
                       "keep  tcp 127.0.0.1:7002  for 127.0.0.1:7002\n"
                       "open  tcp 127.0.0.1:7004  for 127.0.0.1:7004\n"
                       "close tcp 127.0.0.1:7003  for 127.0.0.1:7003\n"
                       "go on  service a\n"
                       "change service b\n"
                       "start  service d\n"
                       "stop   service c\n");
}

TEST_F(serve_command, an_inherited_socket_survives_reloads_that_forget_it) {
    const ip::any_endpoint any{ip::endpoint{ip::address::loopback(ip::family::v6), 0}};
    const auto given = os::socket(any, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(given, any) && os::listen(given, 16));
    const auto where = os::getsockname(given.raw()).value();
    const std::string one = "[service.one]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n";
    const std::string two = "[service.two]\nlisten = \"fd:3\"\nbuiltin = \"echo\"\n";
    write(one + two);
    testkit::process_options how;
    how.inherit = {given.raw()};
    auto server = serve(how);
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:7001")) << server.err();
    EXPECT_EQ(echoed(where, "first"), "first");
    write(one + two + "max-connections = 5\n");
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(echoed(where, "kept"), "kept");
    write(one);
    ASSERT_TRUE(reload(server, 2));
    // Soon nobody accepts any more, and a client waits in the queue.
    os::fd waiting;
    for (bool answered = true; answered;) {
        waiting = connect_to(where);
        put(waiting, "waits");
        pollfd answer{waiting.raw(), POLLIN, 0};
        answered = ::poll(&answer, 1, 300) != 0;
    }
    write(one + two);
    ASSERT_TRUE(reload(server, 3));
    EXPECT_EQ(take(waiting), "waits");
    EXPECT_EQ(echoed(where, "again"), "again");
}

// ---- listeners that follow the network ----

TEST_F(serve_command, an_interface_that_comes_later_is_listened_on_and_goes_again) {
    write("[service.one]\nlisten = [\"localhost:7001\", \"@late0:7001\"]\nbuiltin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    const auto old = connect_to(at("[::1]:7001"));
    EXPECT_EQ(ask(old, "1"), "1");
    testkit::must_run("ip link add late0 type veth peer name late1");
    testkit::must_run("ip link set late1 up");
    testkit::must_run("ip link set late0 up");
    testkit::must_run("ip addr add 192.0.2.7/24 dev late0");
    testkit::must_run("ip addr add 2001:db8::7/64 dev late0");
    // IPv6 only when nobody else has been found to have it.
    ASSERT_TRUE(server.wait_for_err("listening there, too\" .*=192.0.2.7:7001")) << server.err();
    ASSERT_TRUE(server.wait_for_err(R"(listening there, too" .*=\[2001:db8::7\]:7001)"));
    EXPECT_EQ(echoed(at("192.0.2.7:7001"), "v4"), "v4");
    EXPECT_EQ(echoed(at("[2001:db8::7]:7001"), "v6"), "v6");
    const auto there = connect_to(at("[2001:db8::7]:7001"));
    EXPECT_EQ(ask(there, "x"), "x");
    // Deprecated (RFC 4862 section 5.5.4): who is connected stays, and nobody comes any more.
    testkit::must_run("ip addr change 2001:db8::7/64 dev late0 preferred_lft 0 valid_lft 3600");
    ASSERT_TRUE(server.wait_for_err(R"(gone or going.*=\[2001:db8::7\]:7001)")) << server.err();
    EXPECT_EQ(ask(there, "still"), "still");
    testkit::must_run("ip link del late0");
    ASSERT_TRUE(server.wait_for_err("gone or going.*=192.0.2.7:7001")) << server.err();
    EXPECT_EQ(ask(old, "2"), "2") << "what did not change was not touched";
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
}

TEST_F(serve_command, addresses_of_a_block_are_followed) {
    write("[service.one]\nlisten = \"@198.51.100.0/24:7001\"\nbuiltin = \"echo\"\n");
    auto server = serve(); // nothing to listen on yet
    ASSERT_TRUE(server.wait_for_err("has no address in 198.51.100.0/24")) << server.err();
    testkit::must_run("ip addr add 192.0.2.9/32 dev lo");
    testkit::must_run("ip addr add 198.51.100.9/32 dev lo");
    ASSERT_TRUE(server.wait_for_err("listening there, too\" .*=198.51.100.9:7001"));
    EXPECT_EQ(echoed(at("198.51.100.9:7001"), "hi"), "hi");
    testkit::must_run("ip addr del 198.51.100.9/32 dev lo");
    testkit::must_run("ip addr del 192.0.2.9/32 dev lo");
    EXPECT_TRUE(server.wait_for_err("gone or going.*=198.51.100.9:7001"));
    EXPECT_THAT(server.err(), Not(HasSubstr("192.0.2.9")));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(serve_command, a_start_waits_for_a_required_address_that_is_still_checked) {
    write("[service.one]\nlisten = \"@wait0:7001\"\nrequired = true\nbuiltin = \"echo\"\n"
          "family = \"ipv6\"\n");
    testkit::must_run("ip link add wait0 type veth peer name wait1");
    testkit::must_run("sysctl -qw net.ipv6.conf.wait0.addr_gen_mode=1"); // no link-local one
    testkit::must_run("ip link set wait1 up");
    testkit::must_run("ip link set wait0 up");
    testkit::must_run("ip addr add 2001:db8::9/64 dev wait0");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out(R"(listening tcp \[2001:db8::9\]:7001)")) << server.err();
    EXPECT_EQ(echoed(at("[2001:db8::9]:7001"), "hi"), "hi");
    testkit::must_run("ip link del wait0");
}

// Clients that never stop, in so many threads, over both families.
class load {
public:
    load(std::vector<ip::any_endpoint> where, int threads) {
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([this, to = where[static_cast<std::size_t>(i) % where.size()]] {
                while (!stop_) {
                    once(to);
                }
            });
        }
    }
    ~load() { stop(); }
    void stop() {
        stop_ = true;
        threads_.clear();
    }
    [[nodiscard]] std::uint64_t done() const { return done_; }
    [[nodiscard]] std::uint64_t failed() const { return failed_; }
    [[nodiscard]] std::string first_failure() const { return first_failure_; }

private:
    void once(const ip::any_endpoint& to) {
        auto socket = os::socket(to, ip::transport::tcp).value();
        static_cast<void>(::fcntl(socket.raw(), F_SETFL, 0));
        if (const auto connected = os::connect(socket, to); !connected) {
            return fail(to, connected.error().message());
        }
        if (const auto got = ask(socket, "ping"); got != "ping") {
            return fail(to, got.empty() ? "an end" : got);
        }
        static_cast<void>(os::set_linger_reset(socket.raw())); // no TIME_WAIT
        ++done_;
    }
    void fail(const ip::any_endpoint& to, const std::string& why) {
        if (failed_++ == 0) {
            first_failure_ = ip::to_text(to) + ": " + why;
        }
    }

    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> done_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::string first_failure_; // read after stop()
    std::vector<std::jthread> threads_;
};

TEST_F(serve_command, two_hundred_reloads_under_load_lose_nobody) {
    const auto text = [](int limit) {
        const auto how = "max-connections = " + std::to_string(limit) + "\n";
        return "[log]\nlevel = \"warning\"\n"
               "[service.origin]\nlisten = \"localhost:7000\"\nbuiltin = \"echo\"\n"
               "[service.echo]\nlisten = \":7001\"\nbuiltin = \"echo\"\n" +
               how + "[service.relay]\nlisten = \":7002\"\nto = \"localhost:7000\"\nthreads = 2\n" +
               how;
    };
    write(text(500));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 0.0.0.0:7002")) << server.err();
    load clients{{at("127.0.0.1:7001"), at("[::1]:7001"), at("127.0.0.1:7002"), at("[::1]:7002")},
                 4};
    for (int i = 1; i <= 200; ++i) {
        write(text(500 + i));
        ASSERT_TRUE(reload(server, i));
    }
    clients.stop();
    EXPECT_EQ(clients.failed(), 0U) << clients.first_failure() << '\n' << server.err();
    EXPECT_GT(clients.done(), 200U);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

// ---- rights ----

// In the namespace of the tests there is one user; the others cannot be become there.
TEST_F(serve_command, a_user_that_it_cannot_become_is_told_before_anything_is_opened) {
    const std::string rest = "\"\n[service.a]\nlisten = \"127.0.0.1:7001\"\nbuiltin = \"echo\"\n";
    write("[serve]\nuser = \"nobody-of-that-name\"\ngroup = \"no-such-group" + rest +
          "max-conections = 3\n");
    for (const std::vector<std::string>& how :
         {std::vector{config_}, {config_, "--check"}, {config_, "--diff", config_}}) {
        const auto unknown = finish(how);
        EXPECT_EQ(unknown.status, 100);
        EXPECT_THAT(
            unknown.err,
            AllOf(HasSubstr("/portico.toml:2:1: 'user': there is no user 'nobody-of-that-name'"),
                  HasSubstr("/portico.toml:3:1: 'group': there is no group 'no-such-group'"),
                  HasSubstr("/portico.toml:7:1: unknown key 'max-conections'")));
    }
    write("[serve]\nbinder = true\ngroup = \"root" + rest);
    EXPECT_THAT(finish({config_}).err,
                HasSubstr("/portico.toml:3:1: 'group' means nothing without 'user'\n"));
    write("[serve]\nbinder = true\nsandbox = \"on" + rest);
    for (const std::vector<std::string>& how : {std::vector{config_}, {config_, "--check"}}) {
        EXPECT_THAT(finish(how).err,
                    HasSubstr("/portico.toml:2:1: 'binder': a binder is of no use to root"));
    }
}

// ---- a manager ----

// Gets what sd_notify(3) says.
class manager_here {
public:
    explicit manager_here(const std::string& path)
        : path_{path}, socket_{blocking(os::socket(name(), ip::transport::udp).value())} {
        EXPECT_TRUE(os::bind(socket_, name()));
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    // The next message that has this in it.
    std::string wait_for(std::string_view what) {
        for (const auto until = os::now() + std::chrono::minutes{1};;) {
            pollfd asked{socket_.raw(), POLLIN, 0};
            if (::poll(&asked, 1, 60'000) != 1 || os::now() > until) {
                return "nothing";
            }
            const auto got = take(socket_);
            if (got.find(what) != std::string::npos) {
                return got;
            }
        }
    }

    // All that has come by now.
    std::string said_so_far() const {
        const auto me = connect_to(name(), ip::transport::udp);
        put(me, "the end");
        std::string all;
        for (std::string got; got != "the end"; all += got + '\n') {
            got = take(socket_);
        }
        return all;
    }

private:
    [[nodiscard]] ip::unix_name name() const { return ip::unix_name::path(path_).value(); }
    std::string path_;
    os::fd socket_;
};

TEST_F(serve_command, a_manager_is_told_of_the_start_a_reload_a_handover_and_the_end) {
    manager_here manager{file("notify")};
    write("[service.a]\nlisten = \"localhost:7001\"\nprogram = [\"env\"]\n");
    testkit::process_options how;
    how.environment = {{"NOTIFY_SOCKET", manager.path()}, {"WATCHDOG_USEC", "400000"}};
    auto server = serve(how);
    EXPECT_THAT(manager.wait_for("READY=1"), HasSubstr("STATUS=1 service"));
    EXPECT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001"));
    EXPECT_THAT(manager.wait_for("FDSTORE=1"), HasSubstr("FDNAME=portico"));
    EXPECT_THAT(manager.wait_for("WATCHDOG=1"), HasSubstr("WATCHDOG=1"));
    EXPECT_THAT(read_to_end(connect_to(at("[::1]:7001"))).text,
                AllOf(HasSubstr("TCPREMOTEIP="), Not(HasSubstr("NOTIFY_SOCKET")),
                      Not(HasSubstr("WATCHDOG"))));
    ASSERT_TRUE(reload(server, 1));
    EXPECT_THAT(manager.wait_for("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
    EXPECT_THAT(manager.wait_for("READY=1"),
                AllOf(HasSubstr("reloaded 1 times"), Not(HasSubstr("failed"))));
    write("[service.a]\nlisten = \"localhost:7001\"\n"); // and nothing that answers
    server.signal(SIGHUP);
    EXPECT_THAT(manager.wait_for("READY=1"), HasSubstr("reloaded 1 times; the last reload failed"));
    write("[service.a]\nlisten = \"192.0.2.77:7001\"\nprogram = [\"env\"]\n"); // not ours
    server.signal(SIGHUP);
    EXPECT_THAT(manager.wait_for("READY=1"), HasSubstr("the last reload failed"));
    write("[service.a]\nlisten = \"localhost:7001\"\nprogram = [\"env\"]\n");
    ASSERT_TRUE(reload(server, 2));
    EXPECT_THAT(manager.wait_for("READY=1"),
                AllOf(HasSubstr("reloaded 2 times"), Not(HasSubstr("failed"))));
    const auto old = connect_to(at("[::1]:7001")); // it is told of who is there until it ends
    server.signal(SIGUSR2);
    const auto next = server.wait_for_out("handed over to (\\d+)\n");
    ASSERT_TRUE(next) << server.err();
    EXPECT_THAT(manager.wait_for("MAINPID="), HasSubstr("MAINPID=" + *next));
    EXPECT_THAT(manager.wait_for("READY=1"), HasSubstr("READY=1"));
    ::kill(std::stoi(*next), SIGTERM);
    EXPECT_THAT(manager.wait_for("STOPPING=1"), HasSubstr("STOPPING=1"));
}

TEST_F(serve_command, a_manager_that_goes_away_is_missed_once) {
    std::optional<manager_here> manager{file("notify")};
    write("[service.a]\nlisten = \"localhost:7001\"\nbuiltin = \"echo\"\n");
    testkit::process_options how;
    how.environment = {{"NOTIFY_SOCKET", manager->path()}, {"WATCHDOG_USEC", "2000"}};
    auto server = serve(how);
    EXPECT_THAT(manager->wait_for("READY=1"), HasSubstr("READY=1"));
    ASSERT_TRUE(server.wait_for_out("listening"));
    manager.reset();
    ASSERT_TRUE(std::filesystem::remove(file("notify")));
    for (int i = 1; i <= 3; ++i) {
        ASSERT_TRUE(reload(server, i));
        EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
    }
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    const auto log = server.err();
    const std::string missed = "the manager cannot be told anything";
    const auto first = log.find(missed);
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(log.find(missed, first + 1), std::string::npos) << log;
}

// As a manager with FileDescriptorStoreMax= passes them on after a crash.
TEST_F(serve_command, sockets_that_the_manager_kept_are_used_again) {
    const ip::any_endpoint any{ip::endpoint{ip::address::any(ip::family::v4), 0}};
    const auto given = os::socket(any, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(given, any) && os::listen(given, 16));
    const auto port =
        std::to_string(std::get<ip::endpoint>(os::getsockname(given.raw()).value()).port);
    const auto waiting = connect_to(at("127.0.0.1:" + port));
    put(waiting, "since before");
    write("[service.a]\nlisten = \"0.0.0.0:" + port + "\"\nbuiltin = \"echo\"\n");
    testkit::process_options how;
    how.inherit = {given.raw()};
    how.environment = {{"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "portico"}};
    // LISTEN_PID has to be its own number.
    process server{{"sh", "-c", "LISTEN_PID=$$ exec " + command + " serve " + config_}, how};
    EXPECT_EQ(take(waiting), "since before") << server.err();
}

// ---- handover ----

TEST_F(handover_command, the_next_process_has_the_sockets_and_the_old_one_its_connections) {
    const std::string rest = "listen = [\":0\", \"unix:" + file("s") + "\"]\nbuiltin = \"echo\"\n";
    write("[service.any]\n" + rest);
    auto server = serve();
    const auto port = server.wait_for_out(R"(listening tcp 0\.0\.0\.0:(\d+))");
    ASSERT_TRUE(port && server.wait_for_out("listening unix")) << server.err();
    const auto old = connect_to(at("[::1]:" + *port));
    EXPECT_EQ(ask(old, "1"), "1");
    // The next one reads the file as it is then.
    write("[service.more]\nlisten = \"localhost:7009\"\nbuiltin = \"echo\"\n[service.any]\n" +
          rest);
    const auto next = hand_over(server, server.pid());
    ASSERT_NE(next, 0);
    EXPECT_EQ(echoed(at("127.0.0.1:" + *port), "v4"), "v4");
    EXPECT_EQ(echoed(at("[::1]:" + *port), "v6"), "v6");
    EXPECT_EQ(ask(connect_to(ip::unix_name::path(file("s")).value()), "file"), "file");
    EXPECT_EQ(echoed(at("[::1]:7009"), "new"), "new");
    EXPECT_EQ(ask(old, "2"), "2") << "by the old one";
    EXPECT_TRUE(os::shutdown_send(old.raw()));
    EXPECT_EQ(server.wait(), 0);
    EXPECT_TRUE(std::filesystem::exists(file("s")));
    ::kill(next, SIGTERM);
    wait_for_end_of(next);
    EXPECT_FALSE(std::filesystem::exists(file("s")));
}

TEST_F(handover_command, a_next_process_that_cannot_start_changes_nothing) {
    const auto serve_own = "[serve]\npid-file = '" + file("pid") + "'\n";
    const auto number = [this] {
        std::ifstream in{file("pid")};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    };
    write(serve_own + "[service.a]\nlisten = [\"localhost:7001\", \"unix:" + file("s") +
          "\"]\nbuiltin = \"echo\"\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    const auto ours = std::to_string(server.pid()) + '\n';
    EXPECT_EQ(number(), ours);
    write(serve_own + "[service.a]\nlisten = [\"localhost:7001\", \"unix:" + file("s") +
          "\"]\nbuiltin = \"ecco\"\n");
    server.signal(SIGUSR2);
    ASSERT_TRUE(server.wait_for_err("not handed over: everything goes on as it was"));
    EXPECT_THAT(server.err(), HasSubstr("ecco")) << "it says what is wrong";
    EXPECT_EQ(number(), ours);
    EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
    // It got further: one of its sockets is somebody else's.
    const auto taken = at("127.0.0.1:7005");
    const auto other = os::socket(taken, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(other, taken) && os::listen(other, 1));
    write(serve_own + "[service.a]\nlisten = [\"localhost:7001\", \"unix:" + file("s") +
          "\"]\nbuiltin = \"echo\"\n[service.b]\nlisten = "
          "\"127.0.0.1:7005\"\nbuiltin = \"echo\"\n");
    server.signal(SIGUSR2);
    ASSERT_TRUE(server.wait_for_err("detail=\"the new process: .*7005")) << server.err();
    EXPECT_EQ(number(), ours);
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    EXPECT_EQ(ask(connect_to(ip::unix_name::path(file("s")).value()), "file"), "file");
    // And then one that can.
    write(serve_own + "[service.a]\nlisten = [\"localhost:7001\", \"unix:" + file("s") +
          "\"]\nbuiltin = \"echo\"\n");
    const auto next = hand_over(server, server.pid());
    EXPECT_EQ(server.wait(), 0);
    EXPECT_EQ(number(), std::to_string(next) + '\n');
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    ::kill(next, SIGTERM);
    wait_for_end_of(next);
}

// Its service has no room for all of them, so the queue is never empty.
TEST_F(handover_command, a_service_that_is_full_is_handed_over) {
    write("[service.a]\nlisten = \"127.0.0.1:7001\"\nmax-connections = 1\n"
          "program = [\"sh\", \"-c\", \"echo $PPID; exec cat\"]\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp")) << server.err();
    const auto here = at("127.0.0.1:7001");
    std::vector<os::fd> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(connect_to(here));
    }
    EXPECT_EQ(take(clients[0]), std::to_string(server.pid()) + '\n');
    const auto next = hand_over(server, server.pid());
    const auto by_next = std::to_string(next) + '\n';
    EXPECT_EQ(take(clients[1]), by_next);
    EXPECT_TRUE(server.wait_for_err(" waiting=2 left=1 ")) << server.err();
    clients[1].reset();
    EXPECT_EQ(take(clients[2]), by_next) << "who waited still is not lost";
    EXPECT_EQ(ask(clients[0], "x"), "x");
    clients.clear();
    EXPECT_EQ(server.wait(), 0);
    ::kill(next, SIGTERM);
    wait_for_end_of(next);
}

// This test is the process before it, and goes on after all.
TEST_F(handover_command, a_next_process_that_is_not_wanted_any_more_ends_in_silence) {
    manager_here manager{file("notify")};
    write("[service.a]\nlisten = \"127.0.0.1:7001\"\nbuiltin = \"echo\"\n");
    auto channel = os::passing_pair().value();
    testkit::process_options how;
    how.inherit = {channel.second.raw()};
    how.environment = {{"NOTIFY_SOCKET", manager.path()}, {"PORTICO_HANDOVER", "3"}};
    auto next = serve(how);
    channel.second.reset();
    const auto hear = [&] {
        wait_for(channel.first);
        return take(channel.first);
    };
    put(channel.first, "end");
    EXPECT_EQ(hear(), "ready") << next.err();
    put(channel.first, "go");
    EXPECT_EQ(hear(), "serving");
    const auto there = connect_to(at("127.0.0.1:7001"));
    EXPECT_EQ(ask(there, "mine"), "mine");
    put(channel.first, "stop");
    channel.first.reset();
    ASSERT_TRUE(next.wait_for_err("the process before us goes on without us")) << next.err();
    EXPECT_EQ(ask(there, "still"), "still") << "it has taken this client, and keeps it";
    EXPECT_TRUE(os::shutdown_send(there.raw()));
    EXPECT_EQ(next.wait(), 111);
    EXPECT_THAT(next.err(), Not(AnyOf(HasSubstr("handed over"), HasSubstr("signal="))));
    EXPECT_EQ(manager.said_so_far(), "the end\n");
}

TEST_F(handover_command, an_inherited_socket_goes_on_by_its_name_and_its_number) {
    const ip::any_endpoint any{ip::endpoint{ip::address::loopback(ip::family::v6), 0}};
    const auto given = os::socket(any, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(given, any) && os::listen(given, 16));
    const auto where = os::getsockname(given.raw()).value();
    write("[service.two]\nlisten = \"fd:3\"\nbuiltin = \"echo\"\n");
    testkit::process_options how;
    how.inherit = {given.raw()};
    auto server = serve(how);
    ASSERT_TRUE(server.wait_for_out("listening tcp")) << server.err();
    const auto old = connect_to(where);
    EXPECT_EQ(ask(old, "first"), "first");
    const auto second = hand_over(server, server.pid());
    const auto third = hand_over(server, second);
    EXPECT_EQ(echoed(where, "third"), "third");
    EXPECT_EQ(ask(old, "first"), "first");
    ::kill(third, SIGTERM);
    wait_for_end_of(third);
}

// nginx' own listening sockets, of both families; and a dual-stack one.
TEST_F(handover_command, sockets_of_a_program_that_knows_nothing_of_it_are_taken) {
    NEEDS("nginx");
    write(file("nginx.conf"),
          "daemon off; master_process off; error_log stderr notice; user root; pid " + file("pid") +
              ";\nevents {}\nhttp { access_log off;\n" + nginx_directories(file("")) +
              "server { listen 7001; listen [::]:7001; return 204; }\n" +
              "server { listen [::]:7002 ipv6only=off; return 204; } }\n");
    process nginx{{"nginx", "-p", file(""), "-c", file("nginx.conf")}};
    const auto answers = [](const ip::any_endpoint& where) {
        const auto client = blocking(os::socket(where, ip::transport::tcp).value());
        return os::connect(client, where) &&
               ask(client, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 204");
    };
    ASSERT_TRUE(nginx.wait_for_err("event method")) << nginx.err(); // it listens by then
    ASSERT_TRUE(answers(at("127.0.0.1:7002")));
    write("[service.a]\nlisten = [\":7001\", \":7002\"]\nbuiltin = \"echo\"\n");
    const auto refused = finish({config_});
    EXPECT_NE(refused.status, 0) << "nginx has the ports";
    process server{{command, "serve", config_, "--take-from", std::to_string(nginx.pid())}};
    ASSERT_TRUE(server.wait_for_out(R"(listening tcp \[::\]:7002)")) << server.err();
    nginx.signal(SIGTERM);
    nginx.wait();
    for (const std::string each :
         {"127.0.0.1:7001", "[::1]:7001", "127.0.0.1:7002", "[::1]:7002"}) {
        EXPECT_EQ(echoed(at(each), each), each);
    }
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    const auto nobody = finish({config_, "--take-from", "4194303"});
    EXPECT_EQ(nobody.status, 111);
    EXPECT_THAT(nobody.err, HasSubstr("process 4194303"));
}

TEST_F(handover_command, two_hundred_handovers_under_load_lose_nobody) {
    write("[log]\nlevel = \"warning\"\n"
          "[service.origin]\nlisten = \"localhost:7000\"\nbuiltin = \"echo\"\n"
          "[service.echo]\nlisten = \":7001\"\nbuiltin = \"echo\"\n"
          "[service.relay]\nlisten = \":7002\"\nto = \"localhost:7000\"\nthreads = 2\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 0.0.0.0:7002")) << server.err();
    load clients{{at("127.0.0.1:7001"), at("[::1]:7001"), at("127.0.0.1:7002"), at("[::1]:7002")},
                 4};
    const auto oldest = connect_to(at("[::1]:7002"));
    EXPECT_EQ(ask(oldest, "first"), "first");
    auto now = server.pid();
    for (int i = 1; i <= 200 && now != 0; ++i) {
        now = hand_over(server, now);
    }
    clients.stop();
    EXPECT_EQ(ask(oldest, "still"), "still") << "in the first of them";
    EXPECT_TRUE(os::shutdown_send(oldest.raw()));
    EXPECT_EQ(clients.failed(), 0U) << clients.first_failure() << '\n' << server.err();
    EXPECT_GT(clients.done(), 200U);
    EXPECT_EQ(server.wait(), 0);
    ::kill(now, SIGTERM);
    wait_for_end_of(now);
}

} // namespace
} // namespace portico
