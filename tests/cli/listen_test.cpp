// portico listen as its users see it, against programs that nobody here wrote.

#include "listening.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <memory>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testkit::run_command;

class listen : public command_test {};

// ---- the start ----

TEST_F(listen, tells_each_bound_socket_and_its_port) {
    listening server{{":0", "--echo"}};
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->out(), AllOf(HasSubstr("listening tcp 0.0.0.0:" + server.port() + "\n"),
                                     HasSubstr("listening tcp [::]:" + server.port() + "\n")));
}

TEST_F(listen, without_a_service_lists_the_choices) {
    const auto got = run_command(command + " listen :0");
    EXPECT_EQ(got.status, 100);
    EXPECT_THAT(got.output, AllOf(HasSubstr("--echo"), HasSubstr("--to"), HasSubstr("PROGRAM")));
}

TEST_F(listen, mistakes_are_explained) {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"listen :0 --echo --time", "one service at a time"},
        {"listen :0 --echo --balance least-connections", "--balance: it is for a relay"},
        {"listen :0 --proxy-in ::1 -- cat", "--proxy-in: it is for a relay"},
        {"listen :0 --hello --chargen-limit 9", "--chargen-limit: it is for --chargen"},
        {"listen :0 --echo --broadcast", "--udp"},
        {"listen :0 --udp --to localhost:1 --threads 2", "UDP has none"},
        {"listen :0 --to nowhere", "--to"},
        {"listen :0 --to :80", "--to"},
        {"listen :0 --echo --dead-after 0", "1s to 24d"},
        {"listen unix:x --echo --mode 0999", "'0999' is not a mode"},
        {"listen :0 --pty -- sh", "no such option"},
        {"listen :0 -- /no/such/program", "/no/such/program: No such file"},
        {"listen :0 -- no-such-program", "no-such-program: No such file or directory; it was "
                                         "looked for in the directories of PATH"},
        {"listen :0 -- /etc/passwd", "Permission denied; it is not executable"},
        {"listen :0 -- /tmp", "/tmp: it is a directory"},
        {"listen :0 --echo --max-per /33=1", "no prefix length that clients are counted by"},
    };
    for (const auto& [arguments, said] : wrong) {
        const auto got = run_command(command + " " + arguments);
        EXPECT_EQ(got.status, 100) << arguments;
        EXPECT_THAT(got.output, AllOf(HasSubstr(said), Not(HasSubstr("listening")))) << arguments;
    }
}

TEST_F(listen, a_start_that_fails_tells_every_attempt) {
    listening first{{":0", "--echo"}};
    const auto got = run_command(command + " listen :" + first.port() + " --echo");
    EXPECT_EQ(got.status, 111);
    EXPECT_THAT(got.output, AllOf(HasSubstr("0.0.0.0:" + first.port() + ": bind: Address already"),
                                  HasSubstr("[::]:" + first.port() + ": bind: Address already")));
}

TEST_F(listen, a_unix_socket_is_told_without_a_transport) {
    process server{{command, "listen", file("s"), "--echo"}};
    ASSERT_TRUE(server.wait_for_out("\n"));
    EXPECT_EQ(server.out(), "listening unix:" + file("s") + "\n");
    const auto got = run_command(command + " listen " + file("s") + " --echo");
    EXPECT_EQ(got.status, 111);
    EXPECT_THAT(got.output, HasSubstr("\n  unix:" + file("s") + ": bind: Address already in use"));
}

TEST_F(listen, a_file_that_is_no_socket_is_the_users_mistake) {
    std::ofstream{file("precious")} << "bytes";
    for (const auto& where : {file("precious"), file("")}) {
        const auto got = run_command(command + " listen " + where + " --echo");
        EXPECT_EQ(got.status, 100) << where;
        EXPECT_THAT(got.output, HasSubstr("is not a socket, and is left alone"));
    }
}

TEST_F(listen, an_unnamed_client_is_left_out_of_messages) {
    process server{{command, "listen", file("s"), "--chargen"}};
    ASSERT_TRUE(server.wait_for_out("\n"));
    for (const auto* how : {" -z ", " "}) { // the latter leaves after one byte
        (void)run_command("sh -c '" + command + " dial" + how + file("s") +
                          " </dev/null | head -c1'");
        const auto line = server.wait_for_err("(.*connection ended.*)\n");
        ASSERT_TRUE(line);
        EXPECT_THAT(*line, Not(HasSubstr("unix::")));
    }
}

// ---- real clients ----

struct real_client {
    std::string program;
    std::string arguments; // ADDR and PORT stand for the address and the port
};

class real_clients : public listen, public testing::WithParamInterface<real_client> {};

std::string filled_in(std::string text, const std::string& address, const std::string& port) {
    for (const auto& [name, value] : {std::pair{std::string{"ADDR"}, address}, {"PORT", port}}) {
        for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
            text.replace(at, name.size(), value);
        }
    }
    return text;
}

TEST_P(real_clients, get_their_echo_over_both_families) {
    const auto& client = GetParam();
    NEEDS(client.program);
    listening server{{":0", "--echo"}};
    for (const std::string address : {"127.0.0.1", "::1"}) {
        const bool bracketed = client.program == "socat" && address == "::1";
        const auto got =
            run_command("printf 'hello\\nworld\\n' | " + client.program + " " +
                        filled_in(client.arguments, bracketed ? "[::1]" : address, server.port()));
        EXPECT_EQ(got.output, "hello\nworld\n") << address;
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), AllOf(HasSubstr("network.type=ipv4 network.peer.address=127.0.0.1"),
                                     HasSubstr("network.type=ipv6 network.peer.address=::1"),
                                     HasSubstr("received=12 sent=12")));
}

INSTANTIATE_TEST_SUITE_P(echo, real_clients,
                         testing::Values(real_client{"nc", "-N ADDR PORT"},
                                         real_client{"ncat", "ADDR PORT"},
                                         real_client{"socat", "-t 60 - TCP:ADDR:PORT"}),
                         [](const auto& which) { return which.param.program; });

TEST_F(listen, telnet_gets_its_echo) {
    NEEDS("telnet");
    listening server{{":0", "--echo"}};
    for (const std::string address : {"127.0.0.1", "::1"}) {
        process client{{"telnet", address, server.port()}};
        ASSERT_TRUE(client.wait_for_out("Escape character"));
        client.write_stdin("hello\n");
        EXPECT_TRUE(client.wait_for_out("^hello"));
    }
}

TEST_F(listen, curl_gets_a_page_from_a_script) {
    NEEDS("curl");
    const std::string script = "while read -r line && [ \"${#line}\" -gt 1 ]; do :; done; "
                               "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello %s\\n' $REMOTE_ADDR";
    listening server{{":0", "--", "sh", "-c", script}};
    for (const std::string address : {"127.0.0.1", "[::1]"}) {
        const auto got =
            run_command("curl -sS --noproxy '*' http://" + address + ":" + server.port() + "/");
        EXPECT_EQ(got.status, 0);
        EXPECT_EQ(got.output, address == "[::1]" ? "hello ::1\n" : "hello 127.0.0.1\n");
    }
}

TEST_F(listen, nc_and_socat_get_their_echo_over_udp) {
    NEEDS("nc");
    NEEDS("socat");
    listening server{{":0", "--udp", "--echo"}};
    const std::vector<std::vector<std::string>> clients{
        {"nc", "-u", "127.0.0.1", server.port()},
        {"nc", "-u", "::1", server.port()},
        {"socat", "-", "UDP4:127.0.0.1:" + server.port()},
        {"socat", "-", "UDP6:[::1]:" + server.port()},
    };
    for (const auto& each : clients) {
        process client{each};
        client.write_stdin("hello\n");
        EXPECT_TRUE(client.wait_for_out("hello")) << each.front();
    }
}

TEST_F(listen, the_small_services_answer) {
    NEEDS("nc");
    const auto said = [](const std::string& service) {
        listening server{{":0", service}};
        return run_command("nc -N ::1 " + server.port() + " </dev/null").output;
    };
    EXPECT_THAT(said("--hello"),
                MatchesRegex("hello from portico: you are \\[::1\\]:[0-9]+, this is "
                             "\\[::1\\]:[0-9]+, over IPv6\n"));
    EXPECT_THAT(said("--daytime"), MatchesRegex("[A-Z][a-z]+day, .*-UTC\r\n"));
    EXPECT_EQ(said("--time").size(), 4U);
    listening endless{{":0", "--chargen", "--chargen-limit", "100000"}};
    EXPECT_EQ(run_command("nc -N ::1 " + endless.port() + " </dev/null").output.size(), 100'000U);
    EXPECT_THAT(said("--discard"), IsEmpty());
}

// ---- UDP ----

// A connected UDP socket hears only the address that it asked.
std::string asked_from(const listening& server, std::string_view address) {
    const auto client = connect_to(server.at(address), ip::transport::udp);
    put(client, "hello");
    return take(client);
}

TEST_F(listen, answers_over_udp_leave_from_the_address_that_was_asked) {
    testkit::add_own_address("2001:db8::a");
    testkit::add_own_address("2001:db8::b");
    listening server{{":0", "--udp", "--echo"}};
    for (const auto* address :
         {"127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", "2001:db8::a", "2001:db8::b"}) {
        EXPECT_EQ(asked_from(server, address), "hello") << address;
    }
}

TEST_F(listen, a_query_from_a_service_port_is_dropped_and_counted) {
    listening server{{"127.0.0.1:0", "--udp", "--echo"}};
    const ip::endpoint chargen{ip::parse_address("127.0.0.9").value(), 19};
    auto spoofed = blocking(os::socket(chargen, ip::transport::udp).value());
    ASSERT_TRUE(os::bind(spoofed, chargen));
    ASSERT_TRUE(os::connect(spoofed, server.at("127.0.0.1")));
    put(spoofed, "loop");
    EXPECT_EQ(asked_from(server, "127.0.0.1"), "hello"); // which came behind it
    pollfd waiting{spoofed.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("dropped.service_port=1"));
}

// ---- programs ----

TEST_F(listen, a_program_finds_the_connection_in_its_environment) {
    NEEDS("nc");
    listening server{{":0", "--", "env"}, {.environment = {{"TCPREMOTEINFO", "somebody"}}}};
    for (const std::string address : {"127.0.0.1", "::1"}) {
        const auto got = run_command("nc -N " + address + " " + server.port() + " </dev/null");
        for (const auto& line :
             {"PROTO=TCP\n", "TCPLOCALIP=", "TCPREMOTEIP=", "REMOTE_ADDR=", "SERVER_ADDR="}) {
            const std::string name{line};
            EXPECT_THAT(got.output, HasSubstr(name.back() == '=' ? name + address + "\n" : name));
        }
        EXPECT_THAT(got.output, AllOf(HasSubstr("TCPLOCALPORT=" + server.port() + "\n"),
                                      HasSubstr("TCPCONNNUM="), Not(HasSubstr("somebody"))));
    }
}

TEST_F(listen, a_program_on_a_unix_socket_is_told_of_its_client) {
    const auto name = ip::unix_name::path(file("s")).value();
    process server{{command, "listen", "unix:" + file("s"), "--", "env"}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    const auto answer = read_to_end(connect_to(name)).text;
    EXPECT_THAT(answer,
                AllOf(HasSubstr("PROTO=UNIX\n"), HasSubstr("UNIXLOCALPATH=" + file("s") + "\n"),
                      HasSubstr("UNIXREMOTEPID=" + std::to_string(::getpid()) + "\n")));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(file("s")));
}

TEST_F(listen, how_programs_end_is_logged) {
    listening server{{"[::1]:0", "--", "sh", "-c", "read how; eval \"$how\""}};
    for (const auto* how : {"exit 7\n", "kill -SEGV $$\n"}) {
        const auto client = connect_to(server.at("::1"));
        put(client, how);
        EXPECT_THAT(read_to_end(client).text, IsEmpty());
    }
    EXPECT_TRUE(server->wait_for_err("process.exit.code=7\\b"));
    EXPECT_TRUE(server->wait_for_err("process.exit.code=139\\b"));
    EXPECT_EQ(server.end(), 0);
}

TEST_F(listen, what_a_program_says_on_stderr_is_on_ours) {
    listening server{{"[::1]:0", "--", "sh", "-c", "exec <&-; echo noise >&2; echo answer"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "answer\n");
    EXPECT_TRUE(server->wait_for_err("^noise$"));
}

TEST_F(listen, a_program_that_vanished_is_a_reset_and_the_service_goes_on) {
    const auto program = file("program");
    std::filesystem::copy_file("/bin/cat", program);
    listening server{{"[::1]:0", "--", program}};
    std::filesystem::remove(program);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).ended, std::errc::connection_reset);
    }
    EXPECT_TRUE(server->wait_for_err("error.type=ENOENT"));
}

// ---- limits ----

TEST_F(listen, further_clients_wait_until_one_has_ended) {
    listening server{{"[::1]:0", "--echo", "--max-connections", "2"}};
    std::vector<os::fd> served;
    for (int i = 0; i < 2; ++i) {
        served.push_back(connect_to(server.at("::1")));
        put(served.back(), "x");
        EXPECT_EQ(take(served.back()), "x");
    }
    const auto waits = connect_to(server.at("::1"));
    put(waits, "patience");
    EXPECT_TRUE(server->wait_for_err("full: further clients wait"));
    pollfd waiting{waits.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    served.clear();
    EXPECT_EQ(take(waits), "patience");
}

TEST_F(listen, with_twenty_descriptors_all_clients_are_served_in_turn) {
    listening server{{":0", "--echo"}, {.descriptor_limit = 20}};
    EXPECT_TRUE(server->wait_for_err("fewer connections than --max-connections fit"));
    std::vector<os::fd> clients;
    for (int i = 0; i < 60; ++i) {
        clients.push_back(connect_to(server.at(i % 2 == 0 ? "127.0.0.1" : "::1")));
        put(clients.back(), "x");
    }
    while (!clients.empty()) {
        std::vector<pollfd> all;
        for (const auto& each : clients) {
            all.push_back({each.raw(), POLLIN, 0});
        }
        ASSERT_GT(::poll(all.data(), all.size(), -1), 0);
        for (std::size_t i = all.size(); i-- > 0;) {
            if (all[i].revents != 0) {
                EXPECT_EQ(take(clients[i]), "x");
                clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }
    EXPECT_EQ(server.end(), 0);
}

TEST_F(listen, a_thousand_clients_that_hang_up_on_chargen_do_no_harm) {
    listening server{{":0", "--chargen", "-q"}};
    for (int i = 0; i < 1000; ++i) {
        const auto client = connect_to(server.at(i % 2 == 0 ? "127.0.0.1" : "::1"));
        EXPECT_EQ(take(client).substr(0, 3), " !\"");
    }
    EXPECT_EQ(server.end(), 0); // no SIGPIPE has killed it
    EXPECT_EQ(server->err(), "");
}

TEST_F(listen, nobody_who_reads_its_log_does_no_harm) {
    const auto script = command + " listen '[::1]:0' --echo 2>&1 >" + file("out") +
                        " | head -n 1 >/dev/null & wait";
    process shell{{"sh", "-c", script}};
    std::string line;
    while (line.empty()) { // ends with the test's own limit
        std::ifstream out{file("out")};
        std::getline(out, line);
        if (out.eof()) {
            line.clear();
        }
    }
    const ip::endpoint at{ip::address::loopback(ip::family::v6),
                          static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)))};
    for (int i = 0; i < 20; ++i) { // each of which would be a line of the log
        const auto client = connect_to(at);
        put(client, "x");
        EXPECT_EQ(take(client), "x");
    }
}

TEST_F(listen, a_log_that_nobody_reads_does_not_stop_the_service) {
    // The shell holds the pipe open and does not read it.
    const auto script = "mkfifo '" + file("log") + "' && exec 3<>'" + file("log") + "' && exec " +
                        command + " listen '[::1]:0' --echo 2>'" + file("log") + "'";
    process server{{"sh", "-c", script}};
    const auto port = server.wait_for_out(R"(listening tcp \S+:(\d+)\n)");
    ASSERT_TRUE(port);
    const ip::endpoint at{ip::address::loopback(ip::family::v6),
                          static_cast<std::uint16_t>(std::stoul(*port))};
    for (int i = 0; i < 1000; ++i) { // more lines than a pipe holds
        const auto client = connect_to(at);
        put(client, "x");
        EXPECT_EQ(take(client), "x");
    }
}

// ---- signals ----

TEST_F(listen, term_waits_for_the_last_connection) {
    listening server{{"[::1]:0", "--echo"}};
    auto client = connect_to(server.at("::1"));
    put(client, "1");
    EXPECT_EQ(take(client), "1");
    server->signal(SIGTERM);
    EXPECT_TRUE(server->wait_for_err("stopping when the last connection has ended.*connections=1"));
    const auto late = blocking(os::socket(server.at("::1"), ip::transport::tcp).value());
    const auto refused = os::connect(late, server.at("::1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), std::errc::connection_refused);
    put(client, "2");
    EXPECT_EQ(take(client), "2");
    client.reset();
    EXPECT_EQ(server->wait(), 0);
}

TEST_F(listen, int_and_a_second_term_end_it_at_once) {
    for (const bool interrupt : {true, false}) {
        listening server{{"[::1]:0", "--echo"}};
        const auto client = connect_to(server.at("::1"));
        put(client, "1");
        EXPECT_EQ(take(client), "1");
        if (interrupt) {
            server->signal(SIGINT);
        } else {
            server->signal(SIGTERM);
            EXPECT_TRUE(server->wait_for_err("stopping when"));
            server->signal(SIGTERM);
        }
        EXPECT_EQ(read_to_end(client).ended, std::errc::connection_reset);
        EXPECT_EQ(server->wait(), 0);
    }
}

TEST_F(listen, a_program_is_ended_with_the_service) {
    listening server{{"[::1]:0", "--", "sh", "-c", "echo $$; exec cat"}};
    const auto client = connect_to(server.at("::1"));
    const auto pid = std::stoi(take(client));
    server->signal(SIGINT);
    EXPECT_EQ(server->wait(), 0);
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST_F(listen, hup_is_explained_and_nothing_happens) {
    listening server{{"[::1]:0", "--echo"}};
    server->signal(SIGHUP);
    EXPECT_TRUE(server->wait_for_err("no configuration to reload"));
    const auto client = connect_to(server.at("::1"));
    put(client, "x");
    EXPECT_EQ(take(client), "x");
}

TEST_F(listen, the_end_of_its_terminal_is_its_end) {
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    ASSERT_GE(pid, 0);
    if (pid == 0) {
        ::execl(command.c_str(), "portico", "listen", "[::1]:0", "--echo", nullptr);
        ::_exit(127);
    }
    std::string said;
    std::array<char, 4096> part{};
    while (said.find("listening tcp") == std::string::npos) {
        const auto size = ::read(terminal, part.data(), part.size());
        ASSERT_GT(size, 0) << said;
        said.append(part.data(), static_cast<std::size_t>(size));
    }
    ::close(terminal);
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(listen, hup_is_nothing_to_who_was_started_with_nohup) {
    process server{{"sh", "-c", "trap '' HUP; exec " + command + " listen [::1]:0 --echo"}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    server.signal(SIGHUP);
    server.signal(SIGUSR1); // of two that wait, the lower number is told first
    EXPECT_TRUE(server.wait_for_err("signal=USR1"));
    EXPECT_EQ(server.err().find("HUP"), std::string::npos) << server.err();
}

TEST_F(listen, usr1_and_usr2_end_nothing) {
    listening server{{"[::1]:0", "--echo"}};
    server->signal(SIGUSR1);
    EXPECT_TRUE(server->wait_for_err("its log is stderr.*signal=USR1"));
    server->signal(SIGUSR2);
    EXPECT_TRUE(server->wait_for_err("its log is stderr.*signal=USR2"));
    EXPECT_EQ(server.end(), 0);
}

TEST_F(listen, signals_that_come_while_it_ends_do_not_change_how_it_ends) {
    for (int i = 0; i < 5; ++i) {
        listening server{{"[::1]:0", "--echo"}};
        const pid_t pid = server->pid();
        std::atomic<bool> over = false;
        server->signal(SIGINT);
        std::thread impatient{[&] {
            while (!over) {
                ::kill(pid, SIGTERM);
            }
        }};
        siginfo_t how{};
        EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &how, WEXITED | WNOWAIT), 0);
        over = true;
        impatient.join();
        EXPECT_EQ(server->wait(), 0);
    }
}

// ---- the log ----

TEST_F(listen, a_peer_cannot_write_lines_into_the_log) {
    process server{{command, "listen", "unix:" + file("s"), "--echo"}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    const auto evil = ip::unix_name::abstract("x\nlevel=error msg=\"broken into\"").value();
    auto client = blocking(os::socket(evil, ip::transport::tcp).value());
    ASSERT_TRUE(os::bind(client, evil));
    ASSERT_TRUE(os::connect(client, ip::unix_name::path(file("s")).value()));
    client.reset();
    const auto line = server.wait_for_err("(.*connection ended.*)\n");
    ASSERT_TRUE(line);
    EXPECT_THAT(*line, HasSubstr("broken"));
    EXPECT_FALSE(server.err().find("\nlevel=error") != std::string::npos) << server.err();
}

TEST_F(listen, the_log_is_json_when_asked) {
    NEEDS("python3");
    listening server{{"[::1]:0", "--echo", "--log-format", "json"}};
    connect_to(server.at("::1")).reset();
    ASSERT_TRUE(server->wait_for_err("(.*connection ended.*)\n"));
    EXPECT_EQ(server.end(), 0);
    std::ofstream{file("log")} << server->err();
    const auto got = run_command("python3 -c 'import json,sys\n"
                                 "for line in open(sys.argv[1]):\n"
                                 "    event = json.loads(line)\n"
                                 "    if event[\"msg\"] == \"connection ended\":\n"
                                 "        print(event[\"network.type\"], event[\"received\"])\n' " +
                                 file("log"));
    EXPECT_EQ(got.output, "ipv6 0\n");
}

TEST_F(listen, under_journald_lines_have_a_priority_and_no_time) {
    process server{{"sh", "-c",
                    "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec " + command +
                        " listen '[::1]:0' --echo"}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_EQ(server.err().substr(0, 15), "<6>level=info m");
    process other{{command, "listen", "[::1]:0", "--echo"},
                  {.environment = {{"JOURNAL_STREAM", "1:2"}}}};
    ASSERT_TRUE(other.wait_for_out("listening"));
    other.signal(SIGTERM);
    EXPECT_EQ(other.wait(), 0);
    EXPECT_EQ(other.err().substr(0, 5), "time=");
}

TEST_F(listen, an_option_that_would_do_nothing_is_refused) {
    const std::string udp = command + " listen 127.0.0.1:0 --udp --echo ";
    for (const std::string each :
         {"--nagle", "--dead-after 5s", "--backlog 5", "--when-full refuse", "--max-connections 5",
          "--rate /32=1/1s"}) {
        const auto got = run_command(udp + each + " 2>&1");
        EXPECT_EQ(got.status, 100) << each;
        EXPECT_THAT(got.output, AllOf(HasSubstr(each.substr(0, each.find(' '))),
                                      HasSubstr("about connections, and UDP has none")));
    }
    const auto mode = run_command(command + " listen 127.0.0.1:0 --echo --mode 600 2>&1");
    EXPECT_EQ(mode.status, 100);
    EXPECT_THAT(mode.output, HasSubstr("--mode: it is about the file of a UNIX socket"));
}

TEST_F(listen, too_few_descriptors_are_no_bug) {
    testkit::process_options few;
    few.descriptor_limit = 5;
    process server{{command, "listen", "127.0.0.1:0", "--echo"}, few};
    EXPECT_EQ(server.wait(), 111);
    EXPECT_THAT(server.err(), AllOf(HasSubstr("Too many open files"), HasSubstr("ulimit -n"),
                                    Not(HasSubstr("bug"))));
}

TEST_F(listen, help_of_a_verb_can_be_asked_for_as_one) {
    EXPECT_EQ(run_command(command + " help listen").output,
              run_command(command + " listen --help").output);
    const auto all = run_command(command + " help");
    EXPECT_EQ(all.status, 0);
    EXPECT_EQ(all.output, run_command(command + " --help").output);
    EXPECT_EQ(run_command(command + " help nonsense 2>&1").status, 100);
}

} // namespace
} // namespace portico
