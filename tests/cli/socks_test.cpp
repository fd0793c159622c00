// portico listen --socks as its users see it, with clients that nobody here wrote.

#include "listening.hpp"

#include "portico/testkit/dns_server.hpp"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/socket.h>

namespace portico {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testkit::run_command;

constexpr auto greeting = "hello from portico";
constexpr auto everything_here = "127.0.0.1:*,[::1]:*,192.0.2.1:*,[2001:db8::1]:*";

// "\5\1\0" and what follows, as bytes.
std::string request_for(const std::string& address, std::uint16_t port, char command = 1) {
    return "\5"s + command + '\0' + address + static_cast<char>(port >> 8) +
           static_cast<char>(port & 0xff);
}
std::string v4_127_0_0_1() {
    return "\1\x7f\0\0\1"s;
}
std::string name(const std::string& text) {
    return "\3"s + static_cast<char>(text.size()) + text;
}

class socks_command : public command_test {
protected:
    void TearDown() override {
        static_cast<void>(run_command("ip link del va"));
        command_test::TearDown();
    }

    // What curl says and how it ended, asking through the server for a greeting.
    static testkit::command_result curl(const std::string& proxy, const std::string& host,
                                        const std::string& port) {
        return run_command("curl -sS --http0.9 -m 50 --proxy '" + proxy + "' http://" + host + ":" +
                           port + "/");
    }
    static testkit::command_result curl(const listening& server, const std::string& host,
                                        const std::string& port, const std::string& how = "") {
        return curl("socks5" + how + "://127.0.0.1:" + server.port(), host, port);
    }

    // Says these bytes, one after the other, and gives all that is answered until the end.
    static reading answers(const listening& server, const std::vector<std::string>& said) {
        const auto client = connect_to(server.at("127.0.0.1"));
        std::string first;
        for (const auto& each : said) {
            put(client, each);
            if (said.size() > 1 && &each == &said.front()) {
                first = take(client); // an answer to the greeting
            }
        }
        auto rest = read_to_end(client);
        rest.text = first + rest.text;
        return rest;
    }
};

// ---- clients ----

TEST_F(socks_command, clients_of_all_kinds_connect_by_both_families_to_both) {
    NEEDS("curl");
    listening target{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    const auto& port = target.port();
    for (const auto& proxy : {"127.0.0.1:" + server.port(), "[::1]:" + server.port()}) {
        for (const auto* each : {"127.0.0.1", "[::1]", "localhost"}) {
            for (const auto* kind : {"socks5://", "socks5h://"}) {
                EXPECT_THAT(curl(kind + proxy, each, port).output, StartsWith(greeting))
                    << kind << proxy << ' ' << each;
            }
            EXPECT_THAT(run_command(command + " dial --via socks5h://" + proxy + ' ' + each + ':' +
                                    port + " </dev/null")
                            .output,
                        StartsWith(greeting));
        }
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(),
                AllOf(HasSubstr("CONNECT [::1]:" + port + "; connected to [::1]:" + port),
                      HasSubstr("CONNECT localhost:" + port + "; connected to ")));
}

TEST_F(socks_command, nc_and_ncat_and_curl_connect) {
    listening target{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    const auto expect_greeting = [&](const std::string& program, const std::string& arguments) {
        if (testkit::find_program(program)) {
            const auto got = run_command(program + ' ' + arguments + " </dev/null");
            EXPECT_THAT(got.output, HasSubstr(greeting)) << program;
        }
    };
    const auto at = "127.0.0.1:" + server.port();
    expect_greeting("nc.openbsd", "-X 5 -x " + at + " ::1 " + target.port());
    expect_greeting("nc.openbsd", "-X 5 -x " + at + " localhost " + target.port());
    expect_greeting("ncat", "--proxy-type socks5 --proxy " + at + " 127.0.0.1 " + target.port());
    expect_greeting("ncat", "--proxy-type socks5 --proxy-dns remote --proxy " + at + " localhost " +
                                target.port());
    for (const auto* how : {"--socks5 ", "--socks5-hostname "}) {
        expect_greeting("curl", "-sS --http0.9 -m 50 " + (how + at) +
                                    " http://localhost:" + target.port() + '/');
    }
}

TEST_F(socks_command, what_comes_behind_the_request_and_each_end_goes_on) {
    const target_here target; // on ::1
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    const auto client = connect_to(server.at("127.0.0.1"));
    const auto where = ip::parse_endpoint(target.name()).value();
    // All at once, before any answer.
    put(client,
        "\5\1\0"s + request_for("\4"s + std::string(15, '\0') + '\1', where.port) + "early words");
    EXPECT_EQ(::shutdown(client.raw(), SHUT_WR), 0);
    const auto far = target.accept();
    const auto from = std::get<ip::endpoint>(os::getpeername(far.raw()).value());
    const auto got = read_to_end(far);
    EXPECT_EQ(got.text, "early words");
    EXPECT_FALSE(got.ended);
    put(far, "and back");
    EXPECT_EQ(::shutdown(far.raw(), SHUT_WR), 0);
    const auto back = read_to_end(client);
    EXPECT_FALSE(back.ended);
    // The reply has the local address of the connection.
    EXPECT_EQ(back.text, "\5\0"s + "\5\0\0\4"s + std::string(15, '\0') + '\1' +
                             static_cast<char>(from.port >> 8) +
                             static_cast<char>(from.port & 0xff) + "and back");
    EXPECT_TRUE(server->wait_for_err(R"(received=36 sent=32 detail="CONNECT \[::1\]:)"));
}

TEST_F(socks_command, a_reset_goes_on_as_a_reset) {
    const target_here target;
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    const auto client = connect_to(server.at("127.0.0.1"));
    const auto where = ip::parse_endpoint(target.name()).value();
    put(client, "\5\1\0"s + request_for(name("localhost"), where.port));
    auto far = target.accept();
    std::string told;
    while (told.size() < 24) {
        told += take(client);
    }
    close_with_reset(far);
    EXPECT_EQ(take(client), "ECONNRESET");
}

TEST_F(socks_command, a_hundred_megabytes_go_through_unchanged) {
    NEEDS("socat");
    process echo{{"socat", "-d", "-d", "TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat"}};
    const auto port = echo.wait_for_err(R"(listening on .*:(\d+))").value_or("0");
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    testkit::must_run("head -c 100000000 /dev/urandom > " + file("bytes"));
    const auto got =
        run_command(command + " dial --via socks5://[::1]:" + server.port() + " 127.0.0.1:" + port +
                    " < " + file("bytes") + " | cmp - " + file("bytes"));
    EXPECT_EQ(got.status, 0) << got.output;
}

// ---- destinations ----

class destinations : public socks_command {
protected:
    void SetUp() override {
        socks_command::SetUp();
        if (IsSkipped()) {
            return;
        }
        there_.emplace();
        testkit::must_run("ip addr add 192.0.2.1/24 dev va");
        testkit::must_run("ip addr add 2001:db8::1/64 dev va nodad");
        there_->must_run("ip addr add 192.0.2.2/24 dev vb");
        there_->must_run("ip addr add 2001:db8::2/64 dev vb nodad");
        testkit::replace_file("/etc/hosts", "127.0.0.1 localhost inside.example\n"
                                            "::1 localhost inside6.example\n"
                                            "192.0.2.1 own.example\n"
                                            "192.0.2.2 outside.example\n"
                                            "2001:db8::2 outside.example\n"
                                            "127.0.0.1 both.example\n"
                                            "192.0.2.2 both.example\n");
        auto program = there_->prefix();
        program.insert(program.end(), {command, "listen", ":0", "--hello", "-q"});
        outside_.emplace(program);
        port_ = outside_->wait_for_out(R"(listening tcp \S+:(\d+)\n)").value_or("0");
    }

    std::optional<testkit::peer_network> there_;
    std::optional<process> outside_; // greets
    std::string port_;
};

TEST_F(destinations, outside_may_be_reached_without_a_rule) {
    NEEDS("curl");
    listening server{{":0", "--socks"}};
    for (const auto* each :
         {"192.0.2.2", "[2001:db8::2]", "[::ffff:192.0.2.2]", "outside.example"}) {
        EXPECT_THAT(curl(server, each, port_, "h").output, StartsWith(greeting)) << each;
    }
    // One of its addresses may not be reached, and the other one is.
    EXPECT_THAT(curl(server, "both.example", port_, "h").output, StartsWith(greeting));
    EXPECT_TRUE(server->wait_for_err(R"(127\.0\.0\.1:\d+ not allowed: loopback; connected to)"));
}

TEST_F(destinations, the_host_itself_may_not_however_it_is_written) {
    NEEDS("curl");
    listening inside{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "--allow-to", "*:*"}};
    for (const auto* each : {"127.0.0.1",
                             "127.9.9.9",
                             "[::1]",
                             "[::ffff:127.0.0.1]",
                             "[64:ff9b::7f00:1]",
                             "[::]",
                             "0.0.0.0",
                             "169.254.169.254",
                             "[::ffff:169.254.169.254]",
                             "[64:ff9b::a9fe:a9fe]",
                             "[fe80::1]",
                             "224.0.0.1",
                             "255.255.255.255",
                             "192.0.2.1",
                             "[2001:db8::1]",
                             "[::ffff:192.0.2.1]",
                             "[2002:7f00:1::]",
                             "[2002:c000:201::]",
                             "localhost",
                             "inside.example",
                             "inside6.example",
                             "own.example",
                             "0x7f.1"}) {
        const auto got = curl(server, each, inside.port(), "h");
        EXPECT_EQ(got.status, 97) << each;
        EXPECT_THAT(got.output, HasSubstr("(2)")) << each;
    }
    EXPECT_THAT(curl(server, "outside.example", port_, "h").output, StartsWith(greeting));
    EXPECT_TRUE(server->wait_for_err("not allowed: loopback; told not allowed"));
    EXPECT_TRUE(server->wait_for_err("not allowed: own_address; told not allowed"));
    EXPECT_TRUE(server->wait_for_err("destinations were not allowed.* not_allowed.loopback="));
}

TEST_F(destinations, the_host_itself_may_be_reached_by_a_rule_that_names_it) {
    NEEDS("curl");
    listening inside{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    for (const auto* each :
         {"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "192.0.2.1", "[2001:db8::1]",
          "[::ffff:192.0.2.1]", "localhost", "inside.example", "own.example"}) {
        EXPECT_THAT(curl(server, each, inside.port(), "h").output, StartsWith(greeting)) << each;
    }
    // Others are not named.
    for (const auto* each : {"127.0.0.2", "192.0.2.2", "outside.example"}) {
        EXPECT_THAT(curl(server, each, port_, "h").output, HasSubstr("(2)")) << each;
    }
}

TEST_F(destinations, addresses_of_the_host_are_followed_as_they_come_and_go) {
    NEEDS("curl");
    listening inside{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks"}};
    testkit::must_run("ip addr add 192.0.2.77/32 dev lo");
    EXPECT_THAT(curl(server, "192.0.2.77", inside.port()).output, HasSubstr("(2)"));
    testkit::must_run("ip addr del 192.0.2.77/32 dev lo");
    there_->must_run("ip addr add 192.0.2.77/24 dev vb");
    EXPECT_THAT(curl(server, "192.0.2.77", port_).output, StartsWith(greeting));
}

TEST_F(destinations, rules_for_names_and_ports_are_heeded) {
    NEEDS("curl");
    listening server{{":0", "--socks", "--allow-to", "*.example:" + port_, "--deny-to",
                      "both.example:*", "--deny-to", "[2001:db8::/32]:*"}};
    EXPECT_THAT(curl(server, "outside.example", port_, "h").output, StartsWith(greeting));
    EXPECT_THAT(curl(server, "outside.example", "9", "h").output, HasSubstr("(2)"));
    EXPECT_THAT(curl(server, "both.example", port_, "h").output, HasSubstr("(2)"));
    EXPECT_THAT(curl(server, "192.0.2.2", port_, "h").output, HasSubstr("(2)"));
    EXPECT_TRUE(server->wait_for_err("not allowed: rule"));
    EXPECT_TRUE(server->wait_for_err("not allowed: not_listed"));
}

TEST_F(destinations, a_client_is_told_why_it_cannot_be_reached) {
    NEEDS("curl");
    listening server{{":0", "--socks", "--connect-timeout", "300ms"}};
    const auto told = [&](const std::string& host, const std::string& port) {
        const auto output = curl(server, host, port, "h").output;
        const auto at = output.find('(', output.find(')'));
        return output.substr(std::min(at, output.size()));
    };
    EXPECT_EQ(told("192.0.2.2", "9"), "(5)\n");       // refused
    EXPECT_EQ(told("outside.example", "9"), "(5)\n"); // each of them
    EXPECT_EQ(told("198.51.100.1", "9"), "(3)\n");    // no route
    const testkit::dns_server names{{}};              // knows none
    testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    EXPECT_EQ(told("nowhere.example", "9"), "(4)\n"); // no such name
    const testkit::packet_drop hole{"tcp sport 99"};
    there_->must_run("ip link set vb down");
    EXPECT_EQ(told("192.0.2.2", "99"), "(6)\n"); // no answer
    EXPECT_TRUE(server->wait_for_err("told connection refused"));
}

TEST_F(destinations, nothing_leaves_when_the_way_out_is_gone) {
    listening server{{":0", "--socks", "--egress-device", "va"}};
    const auto client = connect_to(server.at("127.0.0.1"));
    const auto ask =
        "\5\1\0"s + request_for("\1\xc0\0\2\2"s, static_cast<std::uint16_t>(std::stoul(port_)));
    // The greeter closes, so that a request alone would end: this one is held by a port that
    // listens and says nothing.
    auto silent = there_->prefix();
    silent.insert(silent.end(), {command, "listen", "192.0.2.2:0", "--discard", "-q"});
    process discard{silent};
    const auto port =
        static_cast<std::uint16_t>(std::stoul(discard.wait_for_out(R"(:(\d+)\n)").value_or("0")));
    put(client, "\5\1\0"s + request_for("\1\xc0\0\2\2"s, port));
    std::string told;
    while (told.size() < 12) {
        told += take(client);
    }
    EXPECT_EQ(told.substr(0, 4), "\5\0\5\0"s);
    testkit::must_run("ip link set va down");
    EXPECT_EQ(take(client), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("the way out is gone"));
    const auto later = connect_to(server.at("127.0.0.1"));
    put(later, ask);
    const auto refused = read_to_end(later);
    EXPECT_EQ(refused.text.substr(0, 4), "\5\0\5\3"s);
    EXPECT_FALSE(refused.ended);
}

// ---- users ----

class users : public socks_command {
protected:
    [[nodiscard]] std::string users_file(const std::string& text, const char* mode = "600") {
        const auto made = file("users");
        std::ofstream{made} << text;
        testkit::must_run("chmod "s + mode + ' ' + made);
        return made;
    }
};

TEST_F(users, only_those_with_their_passwords_come_in) {
    NEEDS("curl");
    listening target{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "--allow-to", everything_here, "--socks-users",
                      users_file("ann:sesame\nbob:hush:hush\n")}};
    const auto as = [&](const std::string& who) {
        return curl("socks5h://" + who + "127.0.0.1:" + server.port(), "localhost", target.port());
    };
    EXPECT_THAT(as("ann:sesame@").output, StartsWith(greeting));
    EXPECT_THAT(as("bob:hush%3Ahush@").output, StartsWith(greeting));
    EXPECT_THAT(run_command(command + " dial --via socks5://ann:sesame@127.0.0.1:" + server.port() +
                            " [::1]:" + target.port() + " </dev/null")
                    .output,
                StartsWith(greeting));
    for (const auto* each : {"", "ann:@", "ann:wrong@", "eve:sesame@", "bob:hush@"}) {
        const auto got = as(each);
        EXPECT_EQ(got.status, 97) << each << got.output;
    }
    if (testkit::find_program("ncat")) {
        const auto with = [&](const std::string& who) {
            return run_command("ncat --proxy-type socks5 --proxy-auth " + who +
                               " --proxy 127.0.0.1:" + server.port() + " 127.0.0.1 " +
                               target.port() + " </dev/null")
                .output;
        };
        EXPECT_THAT(with("ann:sesame"), HasSubstr(greeting));
        EXPECT_THAT(with("ann:wrong"), Not(HasSubstr(greeting)));
    }
    EXPECT_EQ(answers(server, {"\5\1\0"s}).text, "\5\xff");
    EXPECT_TRUE(server->wait_for_err("clients were refused.* refused.no_acceptable_method="));
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(),
                AllOf(HasSubstr("user ann; CONNECT localhost"), HasSubstr("wrong_credentials"),
                      Not(HasSubstr("sesame")), Not(HasSubstr("hush"))));
}

TEST_F(users, a_file_that_all_may_read_is_remarked) {
    listening server{{":0", "--socks", "--socks-users", users_file("ann:sesame\n", "644")}};
    EXPECT_TRUE(server->wait_for_err("everybody may read it"));
}

TEST_F(users, a_wrong_file_is_explained_with_all_its_lines) {
    const auto with = [&](const std::string& name) {
        const auto got = run_command(command + " listen :0 --socks --socks-users " + name);
        EXPECT_EQ(got.status, 100) << got.output;
        return got.output;
    };
    const auto said = with(users_file("ann\n# fine\nbob:\nann:sesame\nann:sesame\n"));
    EXPECT_THAT(said, AllOf(HasSubstr("users:1: there is no colon"),
                            HasSubstr("users:3: the password is missing"),
                            HasSubstr("users:5: this name"), Not(HasSubstr("sesame"))));
    EXPECT_THAT(with(file("none")), HasSubstr("No such file"));
    EXPECT_THAT(with(users_file("")), HasSubstr("no user"));
    EXPECT_THAT(with("/"), HasSubstr("it is a directory"));
}

// ---- clients that are wrong ----

TEST_F(socks_command, wrong_requests_are_answered_and_the_answer_arrives) {
    listening server{{":0", "--socks"}};
    const auto hello = "\5\1\0"s;
    const auto no = [](char why) { return "\5\0\5"s + why + "\0\1\0\0\0\0\0\0"s; };
    struct {
        std::vector<std::string> said;
        std::string answer;
        const char* reason;
    } const all[]{
        {{"\4\1\0\x50\x7f\0\0\1x\0"s}, "", "it speaks SOCKS 4"},
        {{"GET / HTTP/1.1\r\n\r\n"s + std::string(30'000, 'x')}, "", "for an HTTP proxy"},
        {{"\5\0"s}, "\5\xff"s, "no_acceptable_method"},
        {{"\5\1\2"s}, "\5\xff"s, "no_acceptable_method"},
        {{hello, "\4\1\0\1"s + std::string(30'000, 'x')}, no(1), "bad_request"},
        {{hello, request_for(v4_127_0_0_1(), 80, 2)}, no(7), "bind: "},
        {{hello, request_for(v4_127_0_0_1(), 80, 9)}, no(7), "unknown_command: "},
        {{hello, "\5\1\0\2xxxx"s}, no(8), "unknown_address_type"},
        {{hello, request_for(v4_127_0_0_1(), 0)}, no(1), "bad_port"},
        {{hello, request_for(name(""), 80)}, no(1), "bad_name"},
        {{hello, request_for(name("a\0b"s), 80)}, no(1), "bad_name"},
        {{hello, request_for(name("unix:/run/x"), 80)}, no(1), "bad_name"},
        {{hello, request_for(name("fe80::1%lo"), 80)}, no(1), "bad_name"},
        {{hello, request_for(name("[::1]"), 80)}, no(1), "bad_name"},
        {{hello, request_for(name("::1"), 80)}, no(2), "not allowed: loopback"},
        {{hello, request_for(name("127.0.0.1"), 80)}, no(2), "not allowed: loopback"},
        {{hello, request_for(name(std::string(255, 'a')), 80)}, no(2), "malformed_name"},
    };
    for (const auto& each : all) {
        const auto got = answers(server, each.said);
        EXPECT_EQ(got.text, each.answer) << each.reason;
        EXPECT_FALSE(got.ended) << each.reason << ": " << got.ended.message();
        EXPECT_TRUE(server->wait_for_err(each.reason)) << each.reason;
    }
    EXPECT_TRUE(server->wait_for_err("clients were refused.* refused.bad_name="));
}

TEST_F(socks_command, requests_may_come_byte_by_byte_and_end_anywhere) {
    listening server{{":0", "--socks"}};
    const auto whole = "\5\1\0"s + request_for(v4_127_0_0_1(), 80);
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const auto client = connect_to(server.at("127.0.0.1"));
        EXPECT_TRUE(os::set_no_delay(client.raw(), true));
        for (std::size_t i = 0; i < size; ++i) {
            put(client, whole.substr(i, 1));
        }
        EXPECT_EQ(::shutdown(client.raw(), SHUT_WR), 0);
        const auto got = read_to_end(client);
        EXPECT_FALSE(got.ended);
        EXPECT_EQ(got.text.size(), (size < 3 ? 0U : 2U) + (size < whole.size() ? 0U : 10U)) << size;
    }
    EXPECT_TRUE(server->wait_for_err("without a word"));
    EXPECT_EQ(server.end(), 0);
}

TEST_F(socks_command, rules_for_clients_and_limits_hold) {
    listening server{{":0", "--socks", "--deny", "127.0.0.9", "--max-per", "/32=1"}};
    const auto from = [&](const char* local) {
        auto made = blocking(os::socket(server.at("127.0.0.1"), ip::transport::tcp).value());
        EXPECT_TRUE(os::bind(made, ip::endpoint{ip::parse_address(local).value(), 0}));
        EXPECT_TRUE(os::connect(made, server.at("127.0.0.1")));
        return made;
    };
    EXPECT_EQ(take(from("127.0.0.9")), "ECONNRESET");
    const auto first = from("127.0.0.1");
    put(first, "\5\1\0"s);
    EXPECT_EQ(take(first), "\5\0"s);
    EXPECT_EQ(take(from("127.0.0.1")), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("too many at once"));
}

TEST_F(socks_command, a_stop_ends_them_wherever_they_are) {
    const target_here target;
    listening server{{":0", "--socks", "--allow-to", everything_here}};
    const auto silent = connect_to(server.at("127.0.0.1"));
    const auto greeted = connect_to(server.at("::1"));
    put(greeted, "\5\1\0"s);
    EXPECT_EQ(take(greeted), "\5\0"s);
    const auto joined = connect_to(server.at("127.0.0.1"));
    put(joined,
        "\5\1\0"s + request_for(name("localhost"), ip::parse_endpoint(target.name()).value().port));
    const auto far = target.accept();
    server->signal(SIGTERM);
    EXPECT_TRUE(server->wait_for_err("stopping when the last connection has ended"));
    server->signal(SIGTERM);
    EXPECT_EQ(server->wait(), 0);
    EXPECT_EQ(read_to_end(silent).ended.value(), ECONNRESET);
    EXPECT_EQ(read_to_end(greeted).ended.value(), ECONNRESET);
    EXPECT_EQ(read_to_end(joined).ended.value(), ECONNRESET);
    EXPECT_EQ(read_to_end(far).ended.value(), ECONNRESET);
}

TEST_F(socks_command, a_thousand_connections_leave_no_descriptor) {
    listening target{{":0", "--hello", "-q"}};
    listening server{{":0", "--socks", "-q", "--allow-to", everything_here}};
    const auto open = [&] {
        const std::filesystem::directory_iterator all{"/proc/" + std::to_string(server->pid()) +
                                                      "/fd"};
        return std::distance(begin(all), end(all));
    };
    const auto ask = [&](const std::string& host, const std::string& port) {
        return answers(
            server, {"\5\1\0"s, request_for(host, static_cast<std::uint16_t>(std::stoul(port)))});
    };
    EXPECT_THAT(ask(v4_127_0_0_1(), target.port()).text, HasSubstr(greeting));
    const auto before = open();
    for (int i = 0; i < 250; ++i) {
        EXPECT_THAT(ask(v4_127_0_0_1(), target.port()).text, HasSubstr(greeting));
        EXPECT_EQ(ask("\1\x7f\0\0\2"s, target.port()).text.size(), 12U); // not allowed
        EXPECT_EQ(ask(v4_127_0_0_1(), "1").text.size(), 12U);            // nobody listens
        connect_to(server.at("127.0.0.1")).reset();
    }
    for (int i = 0; i < 1000 && open() > before; ++i) {
        ::usleep(10'000); // until the last ones have been closed
    }
    EXPECT_LE(open(), before);
    EXPECT_EQ(server.end(), 0);
}

// ---- options ----

TEST_F(socks_command, options_that_do_not_fit_are_explained) {
    const auto wrong = [&](const std::string& options) {
        const auto got = run_command(command + " listen :0 " + options);
        EXPECT_EQ(got.status, 100) << options << got.output;
        return got.output;
    };
    EXPECT_THAT(wrong("--socks --echo"), HasSubstr("one service at a time"));
    EXPECT_THAT(wrong("--echo --allow-to '*:*'"), HasSubstr("it is for a SOCKS server"));
    EXPECT_THAT(wrong("--echo --socks-users x"), HasSubstr("it is for a SOCKS server"));
    EXPECT_THAT(wrong("--socks --proxy-in 10.0.0.0/8"), HasSubstr("--proxy-in: it is for a relay"));
    EXPECT_THAT(wrong("--socks --status unix:/tmp/x"), HasSubstr("--status: it is for a relay"));
    EXPECT_THAT(wrong("--socks --allow-to 10.0.0.0/8"), HasSubstr("--allow-to: '10.0.0.0/8'"));
    EXPECT_THAT(wrong("--socks --deny-to 10.0.0.1/8:80"), HasSubstr("--deny-to: '10.0.0.1/8:80'"));
    EXPECT_THAT(wrong("--socks --udp"), HasSubstr("UDP has none"));
}

} // namespace
} // namespace portico
