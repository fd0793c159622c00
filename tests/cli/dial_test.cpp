// portico dial as its users see it, against programs that nobody here wrote.

#include "portico/os/socket.hpp"
#include "portico/testkit/process.hpp"

#include "nginx_directories.hpp"
#include "private_network_test.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using testkit::process;
using testkit::run_command;

const std::string command = PORTICO_COMMAND;

std::uint16_t port_of(const os::fd& socket) {
    return std::get<ip::endpoint>(os::getsockname(socket.raw()).value()).port;
}

// A peer in this program, for what socat cannot be told to do. Its sockets block.
class peer_here {
public:
    peer_here() {
        const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
        listener_ = os::socket(any, ip::transport::tcp).value();
        EXPECT_TRUE(os::bind(listener_, any) && os::listen(listener_, 8));
        ::fcntl(listener_.raw(), F_SETFL, 0);
    }

    [[nodiscard]] std::string port() const { return std::to_string(port_of(listener_)); }

    [[nodiscard]] os::fd accept() {
        auto got = os::accept4(listener_.raw()).value();
        ::fcntl(got.socket.raw(), F_SETFL, 0);
        return std::move(got.socket);
    }
    void close() { listener_.reset(); }

private:
    os::fd listener_;
};

std::string read_all(const os::fd& from) {
    std::string all;
    std::array<std::byte, 65536> part;
    for (;;) {
        const auto size = os::recv(from.raw(), part);
        if (!size || *size == 0) {
            return all;
        }
        all.append(reinterpret_cast<const char*>(part.data()), *size);
    }
}

void put(const os::fd& to, std::string_view text) {
    EXPECT_EQ(os::send(to.raw(), std::as_bytes(std::span{text})).value_or(0), text.size());
}

class dial : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (!IsSkipped()) {
            testkit::must_run("ip link set lo up");
            directory_ = std::filesystem::temp_directory_path() /
                         ("portico-dial-" + std::to_string(::getpid()));
            std::filesystem::create_directories(directory_);
        }
    }
    void TearDown() override {
        if (!directory_.empty()) {
            std::filesystem::remove_all(directory_);
        }
    }

    [[nodiscard]] std::string file(const std::string& name) const { return directory_ / name; }

private:
    std::filesystem::path directory_;
};

// socat listening on a port of its choice; it forks for each connection.
class socat {
public:
    explicit socat(const std::string& address, const std::string& does,
                   const std::string& listening = R"(listening on .*:(\d+))")
        : program_{{"socat", "-d", "-d", address, does}},
          port_{program_.wait_for_err(listening).value_or("")} {}

    [[nodiscard]] const std::string& port() const { return port_; }

private:
    process program_;
    std::string port_;
};

#define NEEDS(program)                                                                             \
    if (!testkit::find_program(program)) {                                                         \
        GTEST_SKIP() << program << " is not installed";                                            \
    }

// ---- the two ways of a connection ----

TEST_F(dial, the_end_of_stdin_is_a_fin_and_the_answer_is_read_to_its_end) {
    NEEDS("socat");
    const socat server{"TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat; echo done"};
    const auto got = run_command("echo hi | " + command + " dial 127.0.0.1 " + server.port());
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.output, "hi\ndone\n");
}

TEST_F(dial, a_hundred_megabytes_go_both_ways_unchanged_through_pipes) {
    NEEDS("socat");
    const socat server{"TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat"};
    testkit::must_run("head -c 100000000 /dev/urandom > " + file("bytes"));
    const auto got = run_command("cat " + file("bytes") + " | " + command + " dial 127.0.0.1 " +
                                 server.port() + " | cmp - " + file("bytes"));
    EXPECT_EQ(got.status, 0) << got.output;
    EXPECT_EQ(got.output, "");
}

TEST_F(dial, a_regular_file_is_sent_and_a_regular_file_is_written) {
    NEEDS("socat");
    const socat server{"TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat"};
    testkit::must_run("head -c 3000000 /dev/urandom > " + file("in"));
    testkit::must_run(command + " dial 127.0.0.1:" + server.port() + " < " + file("in") + " > " +
                      file("out"));
    testkit::must_run("cmp " + file("in") + ' ' + file("out"));
}

TEST_F(dial, an_empty_stdin_still_gets_the_answer) {
    NEEDS("socat");
    const socat server{"TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat; echo done"};
    const auto verb = command + " dial 127.0.0.1 " + server.port();
    for (const auto* in : {" < /dev/null", " <&-"}) {
        const auto got = run_command(verb + in);
        EXPECT_EQ(got.status, 0) << in;
        EXPECT_EQ(got.output, "done\n") << in;
    }
}

TEST_F(dial, a_reader_that_goes_away_ends_it_without_a_signal) {
    peer_here peer;
    std::thread serving{[&] {
        const auto client = peer.accept();
        const std::string block(65536, 'x');
        while (os::send(client.raw(), std::as_bytes(std::span{block}))) { // until it is gone
        }
    }};
    const auto got = run_command("bash -c '" + command + " dial 127.0.0.1 " + peer.port() +
                                 " < /dev/null | head -c1; echo \" ${PIPESTATUS[0]}\"'");
    serving.join();
    EXPECT_EQ(got.output, "x 0\n");
}

TEST_F(dial, a_closed_stdout_ends_it_and_what_was_lost_is_told) {
    peer_here peer;
    std::thread serving{[&] {
        const auto client = peer.accept();
        put(client, "something");
        read_all(client);
    }};
    const auto got = run_command(command + " dial 127.0.0.1 " + peer.port() + " < /dev/null >&-");
    serving.join();
    EXPECT_EQ(got.status, 111);
    EXPECT_EQ(got.output, "portico: dial: stdout: Bad file descriptor\n");
}

TEST_F(dial, a_full_disk_and_a_directory_are_not_blamed_on_the_network) {
    peer_here peer;
    const auto verb = command + " dial 127.0.0.1 " + peer.port();
    std::thread serving{[&] {
        put(peer.accept(), "something");
        const auto second = peer.accept();
        read_all(second);
    }};
    const auto full = run_command(verb + " < /dev/null > /dev/full");
    const auto directory = run_command(verb + " < " + file(""));
    serving.join();
    EXPECT_EQ(full.status, 111);
    EXPECT_EQ(full.output, "portico: dial: stdout: No space left on device\n");
    EXPECT_EQ(directory.status, 111);
    EXPECT_EQ(directory.output, "portico: dial: stdin: Is a directory\n");
}

TEST_F(dial, a_reset_by_the_peer_is_an_error) {
    peer_here peer;
    process client{{command, "dial", "127.0.0.1", peer.port()}};
    auto server = peer.accept();
    put(server, "last words");
    EXPECT_TRUE(client.wait_for_out("last words"));
    EXPECT_TRUE(os::set_linger_reset(server.raw()));
    server.reset();
    EXPECT_EQ(client.wait(), 111);
    EXPECT_EQ(client.out(), "last words");
    EXPECT_THAT(client.err(), HasSubstr("Connection reset by peer"));
    EXPECT_THAT(client.err(), HasSubstr("127.0.0.1:" + peer.port()));
}

TEST_F(dial, bytes_flow_while_stdin_is_open) {
    peer_here peer;
    process client{{command, "dial", "127.0.0.1", peer.port()}};
    auto server = peer.accept();
    client.write_stdin("one");
    std::array<std::byte, 3> got;
    EXPECT_EQ(::recv(server.raw(), got.data(), got.size(), MSG_WAITALL), 3);
    put(server, "two");
    EXPECT_TRUE(client.wait_for_out("two"));
    client.close_stdin();
    EXPECT_EQ(read_all(server), "");
    put(server, ", three");
    server.reset();
    EXPECT_EQ(client.wait(), 0);
    EXPECT_EQ(client.out(), "two, three");
}

TEST_F(dial, the_flags_of_stdin_and_stdout_are_left_alone) {
    NEEDS("socat");
    const socat server{"TCP-LISTEN:0,fork,bind=127.0.0.1", "SYSTEM:cat"};
    const auto got = run_command("echo hi | (" + command + " dial 127.0.0.1 " + server.port() +
                                 " > /dev/null; grep flags /proc/self/fdinfo/0 | tr -d '\\t')");
    EXPECT_THAT(got.output, StartsWith("flags:0")) << got.output;
    const auto flags = std::stoi(got.output.substr(6), nullptr, 8);
    EXPECT_EQ(flags & O_NONBLOCK, 0);
}

TEST_F(dial, a_silent_peer_is_given_up_after_w) {
    peer_here peer;
    process client{{command, "dial", "-w", "200ms", "127.0.0.1", peer.port()}};
    const auto server = peer.accept();
    EXPECT_EQ(client.wait(), 111);
    EXPECT_EQ(client.err(),
              "portico: dial: 127.0.0.1:" + peer.port() + ": no byte moved for 200 ms (-w)\n");
}

TEST_F(dial, reads_the_greeting_of_a_unix_socket) {
    NEEDS("socat");
    const socat server{"UNIX-LISTEN:" + file("socket") + ",fork", "SYSTEM:echo hello",
                       R"(listening on (\S+))"};
    const auto got = run_command(command + " dial unix:" + file("socket") + " < /dev/null");
    EXPECT_EQ(got.output, "hello\n");
    EXPECT_EQ(got.status, 0);
}

TEST_F(dial, a_unix_socket_has_no_race_to_draw) {
    const auto name = ip::unix_name::path(file("socket")).value();
    const auto here = os::socket(name, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(here, name) && os::listen(here, 8));
    const auto got =
        run_command(command + " dial -z --trace " + file("socket") + " 2>&1 >/dev/null");
    EXPECT_EQ(got.output, "portico: dial: unix:" + file("socket") + ": connected\n");
    const auto none = run_command(command + " dial -z --trace " + file("none"));
    EXPECT_EQ(none.status, 111);
    EXPECT_EQ(none.output,
              "portico: dial: unix:" + file("none") +
                  ": No such file or directory\n    nobody listens at unix:" + file("none") + '\n');
}

TEST_F(dial, the_cause_is_told_of_a_unix_socket_too) {
    std::ofstream{file("plain")} << "text\n";
    const auto plain = run_command(command + " dial unix:" + file("plain"));
    EXPECT_THAT(plain.output,
                HasSubstr("\n    unix:" + file("plain") + " is a file, and not a socket\n"));
    const auto name = ip::unix_name::path(file("stale")).value();
    ASSERT_TRUE(os::bind(os::socket(name, ip::transport::tcp).value(), name));
    const auto stale = run_command(command + " dial unix:" + file("stale"));
    EXPECT_THAT(stale.output, HasSubstr("\n    the file of unix:" + file("stale") +
                                        " was left by a program that has ended\n"));
}

TEST_F(dial, broadcasts_are_not_sent_and_that_is_said) {
    const auto got = run_command("echo x | " + command + " dial --udp 127.255.255.255 9");
    EXPECT_EQ(got.status, 100);
    EXPECT_THAT(got.output, HasSubstr("\n    dial sends to no broadcast address"));
}

TEST_F(dial, netcat_takes_what_it_sends) {
    NEEDS("nc.openbsd");
    process server{{"nc.openbsd", "-l", "-N", "-v", "127.0.0.1", "0"}};
    const auto port = server.wait_for_err(R"(Listening on \S+ (\d+))");
    ASSERT_TRUE(port) << server.err();
    process client{{command, "dial", "127.0.0.1", *port}};
    client.write_stdin("to nc\n");
    EXPECT_TRUE(server.wait_for_out("to nc"));
    server.write_stdin("from nc\n");
    server.close_stdin();
    EXPECT_TRUE(client.wait_for_out("from nc"));
    client.close_stdin();
    EXPECT_EQ(client.wait(), 0) << client.err();
}

TEST_F(dial, nginx_answers_over_both_families) {
    NEEDS("nginx");
    std::ofstream{file("index.html")} << "a page\n";
    std::ofstream{file("nginx.conf")} << "daemon off; master_process off; user root; pid "
                                      << file("pid") << "; error_log stderr notice;\nevents {}\n"
                                      << "http { access_log off;\n"
                                      << nginx_directories(file(""))
                                      << "server { listen 127.0.0.1:7080; listen [::1]:7080; root "
                                      << file("") << "; } }\n";
    process server{{*testkit::find_program("nginx"), "-e", "stderr", "-c", file("nginx.conf")}};
    // The last word before it serves; its sockets listen by then.
    ASSERT_TRUE(server.wait_for_err("start worker process|OS: Linux")) << server.err();
    for (const std::string host : {"127.0.0.1", "::1", "localhost"}) {
        const auto got = run_command("printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | " + command +
                                     " dial " + host + " 7080");
        EXPECT_EQ(got.status, 0) << got.output;
        EXPECT_THAT(got.output, StartsWith("HTTP/1.1 200 OK"));
        EXPECT_THAT(got.output, HasSubstr("\r\n\r\na page\n"));
    }
}

TEST_F(dial, sshd_sends_its_banner) {
    NEEDS("sshd");
    NEEDS("ssh-keygen");
    NEEDS("socat");
    // Where it insists on a directory that an init script would have made; only we see this one.
    testkit::must_run("test -d /run/sshd || { mount -t tmpfs none /run && mkdir /run/sshd; }");
    testkit::must_run("ssh-keygen -q -t ed25519 -N '' -f " + file("key"));
    const socat server{"TCP6-LISTEN:0,fork,bind=[::1]", "SYSTEM:" + *testkit::find_program("sshd") +
                                                            " -i -e -f /dev/null -h " +
                                                            file("key")};
    // socat drops what sshd has said when sshd ends, which it does at the end of its input.
    process client{{command, "dial", "::1", server.port()}};
    EXPECT_TRUE(client.wait_for_out("SSH-2\\.0-.*\r\n")) << client.err();
    client.close_stdin();
    EXPECT_EQ(client.wait(), 0) << client.err();
}

// ---- UDP ----

TEST_F(dial, udp_sends_a_datagram_and_waits_for_answers) {
    NEEDS("socat");
    // socat does not say which UDP port it was given; nobody else is here who could take this one.
    const socat server{"UDP4-RECVFROM:7007,fork,bind=127.0.0.1", "SYSTEM:cat",
                       R"(receiving on .*:(\d+))"};
    ASSERT_EQ(server.port(), "7007");
    const auto got = run_command("printf ping | " + command + " dial -u -w 500ms 127.0.0.1 7007");
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.output, "ping");
}

TEST_F(dial, a_refused_udp_port_is_an_error) {
    const auto got = run_command("echo x | " + command + " dial -u -w 30 127.0.0.1 9");
    EXPECT_EQ(got.status, 111);
    EXPECT_THAT(got.output, HasSubstr("Connection refused"));
}

// Answers each datagram with the same one, on 127.0.0.1 alone.
class udp_peer_here {
public:
    udp_peer_here() {
        const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
        socket_ = os::socket(any, ip::transport::udp).value();
        EXPECT_TRUE(os::bind(socket_, any));
        ::fcntl(socket_.raw(), F_SETFL, 0);
        port_ = std::to_string(port_of(socket_));
    }
    [[nodiscard]] std::string port() const { return port_; }
    void close() { socket_.reset(); }

    void answer_one() {
        std::array<std::byte, 65536> bytes;
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        auto* address = reinterpret_cast<sockaddr*>(&from);
        const auto got = ::recvfrom(socket_.raw(), bytes.data(), bytes.size(), 0, address, &size);
        EXPECT_EQ(
            ::sendto(socket_.raw(), bytes.data(), static_cast<std::size_t>(got), 0, address, size),
            got);
    }

private:
    os::fd socket_;
    std::string port_;
};

TEST_F(dial, a_datagram_that_one_family_refuses_goes_to_the_other) {
    udp_peer_here peer;
    process client{{command, "dial", "-v", "--udp", "localhost", peer.port()}};
    client.write_stdin("one");
    peer.answer_one();
    EXPECT_TRUE(client.wait_for_out("one"));
    client.write_stdin("two");
    peer.answer_one();
    EXPECT_TRUE(client.wait_for_out("onetwo"));
    client.close_stdin();
    EXPECT_EQ(client.wait(), 0);
    EXPECT_THAT(client.err(), HasSubstr("receive [::1]:" + peer.port() +
                                        ": Connection refused; now 127.0.0.1:" + peer.port()));
}

TEST_F(dial, an_input_that_ended_before_the_refusal_is_sent_all_the_same) {
    udp_peer_here peer;
    std::thread serving{[&] { peer.answer_one(); }};
    const auto got =
        run_command("printf hi | " + command + " dial --udp -w 1 localhost " + peer.port());
    serving.join();
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.output, "hi");
}

TEST_F(dial, a_datagram_that_every_address_refuses_names_them) {
    const auto got = run_command("printf hi | " + command + " dial --udp localhost 7099");
    EXPECT_EQ(got.status, 111);
    EXPECT_EQ(got.output, "portico: dial: localhost 7099: nobody is there: [::1]:7099 Connection "
                          "refused; 127.0.0.1:7099 Connection refused\n");
}

TEST_F(dial, a_refusal_after_an_answer_goes_nowhere_else) {
    udp_peer_here peer;
    process client{{command, "dial", "--udp", "localhost", peer.port()}};
    client.write_stdin("one");
    peer.answer_one();
    EXPECT_TRUE(client.wait_for_out("one"));
    peer.close();
    client.write_stdin("two");
    EXPECT_EQ(client.wait(), 111);
    EXPECT_EQ(client.err(), "portico: dial: receive 127.0.0.1:" + peer.port() +
                                ": Connection refused\n    localhost may have an address that "
                                "answers: -4 and -6 choose the family\n");
}

TEST_F(dial, a_probe_over_udp_would_know_nothing) {
    const auto got = run_command(command + " dial -z --udp localhost 7099");
    EXPECT_EQ(got.status, 100);
    EXPECT_THAT(got.output, HasSubstr("send a question that it answers"));
}

TEST_F(dial, a_large_file_goes_by_udp_in_datagrams_that_fit) {
    const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
    const auto server = os::socket(any, ip::transport::udp).value();
    ASSERT_TRUE(os::bind(server, any));
    testkit::must_run("head -c 70000 /dev/zero > " + file("zeros"));
    const auto got = run_command(command + " dial -u -w 100ms 127.0.0.1 " +
                                 std::to_string(port_of(server)) + " < " + file("zeros"));
    EXPECT_EQ(got.status, 0) << got.output;
    std::array<std::byte, 65536> room;
    std::size_t all = 0;
    for (auto size = os::recv(server.raw(), room); size; size = os::recv(server.raw(), room)) {
        all += *size;
    }
    EXPECT_EQ(all, 70000U);
}

// ---- what it says ----

TEST_F(dial, the_users_mistakes_end_with_100_and_a_hint) {
    const auto says = [](const std::string& arguments) {
        const auto got = run_command(command + " dial " + arguments + " < /dev/null");
        EXPECT_EQ(got.status, 100) << arguments << ": " << got.output;
        return got.output;
    };
    EXPECT_THAT(says("fe80::1 80"), HasSubstr("fe80::1%eth0"));
    EXPECT_THAT(says("example.org"), HasSubstr("port"));
    EXPECT_THAT(says("127.0.0.1 99999"), HasSubstr("65535"));
    EXPECT_THAT(says("127.0.0.1 nosuch"), HasSubstr("nosuch"));
    EXPECT_THAT(says("256.1.1.1 80"), HasSubstr("a part of an IPv4 address is over 255"));
    EXPECT_THAT(says("127.1 80"), HasSubstr("four numbers"));
    EXPECT_THAT(says("0x7f.1 80"), HasSubstr("not a number"));
    EXPECT_THAT(says("'bad host' 80"), HasSubstr("a space cannot be in a host name; a host name "
                                                 "has letters"));
    EXPECT_THAT(says("'' 80"), HasSubstr("empty"));
    EXPECT_THAT(says("'[::1' 80"), HasSubstr("without brackets"));
    for (const std::string text : {"http://localhost/", "localhost:80:90"}) {
        EXPECT_THAT(says(text), AllOf(HasSubstr("write it like example.org:80"),
                                      Not(HasSubstr("@eth0")), Not(HasSubstr("fd:3"))));
    }
    EXPECT_THAT(says("-n localhost 80"), HasSubstr("-n"));
    EXPECT_THAT(says("-4 ::1 80"), HasSubstr("IPv6"));
    EXPECT_THAT(says("-4 -6 ::1 80"), Not(IsEmpty()));
    EXPECT_THAT(says("-w soon ::1 80"), HasSubstr("soon"));
    EXPECT_THAT(says("-w 3x ::1 80"), HasSubstr("3x"));
    EXPECT_THAT(says("-w 0 ::1 80"), HasSubstr("no time at all"));
    EXPECT_THAT(says("--connect-timeout 0ms ::1 80"), HasSubstr("no time at all"));
    EXPECT_THAT(says("--from nowhere ::1 80"), HasSubstr("--from"));
    EXPECT_THAT(says("--via ftp://x:1 ::1 80"), HasSubstr("proxy"));
    EXPECT_THAT(says("--dead-after 0 ::1 80"), Not(IsEmpty()));
    EXPECT_THAT(says("--attempt-delay 9ms ::1 80"), HasSubstr("from 10ms to 2s"));
    EXPECT_THAT(says("--attempt-delay 2001ms ::1 80"), HasSubstr("from 10ms to 2s"));
    EXPECT_THAT(says("--happy-eyeballs-timeout-ms 1 ::1 80"), HasSubstr("from 10ms to 2s"));
    EXPECT_THAT(says("::1 80 more"), HasSubstr("here are 3 words"));
    EXPECT_THAT(says(":80"), Not(IsEmpty()));
    EXPECT_THAT(says(""), Not(IsEmpty()));
}

TEST_F(dial, the_limits_of_the_attempt_delay_are_taken) {
    peer_here peer;
    for (const auto* given :
         {"--attempt-delay 10ms", "--attempt-delay 2s", "--happy-eyeballs-timeout-ms 10"}) {
        const auto got = run_command(command + " dial -z " + given + " 127.0.0.1 " + peer.port());
        EXPECT_EQ(got.status, 0) << given << ": " << got.output;
    }
}

TEST_F(dial, a_refusal_names_every_address_and_ends_with_111) {
    const auto got = run_command(command + " dial localhost 9 < /dev/null");
    EXPECT_EQ(got.status, 111);
    EXPECT_THAT(got.output, HasSubstr("[::1]:9 Connection refused"));
    EXPECT_THAT(got.output, HasSubstr("127.0.0.1:9 Connection refused"));
}

TEST_F(dial, quiet_says_nothing) {
    const auto got = run_command(command + " dial -q localhost 9 < /dev/null");
    EXPECT_EQ(got.status, 111);
    EXPECT_EQ(got.output, "");
}

TEST_F(dial, a_probe_says_where_it_connected_and_closes) {
    peer_here peer;
    process client{{command, "dial", "-z", "localhost:" + peer.port()}};
    EXPECT_EQ(client.wait(), 0) << client.err();
    EXPECT_THAT(client.out(), HasSubstr("127.0.0.1:" + peer.port()));
    EXPECT_EQ(read_all(peer.accept()), "");
}

TEST_F(dial, a_probe_with_json_is_one_object_on_stdout) {
    NEEDS("python3");
    peer_here peer;
    const auto got =
        run_command(command + " dial -z --json localhost:" + peer.port() +
                    " | python3 -c 'import json,sys; s=json.load(sys.stdin); print(s[\"ok\"], "
                    "s[\"peer\"], [(a[\"network.type\"], a[\"outcome\"]) for a in "
                    "s[\"attempts\"]])'");
    EXPECT_EQ(got.output,
              "True 127.0.0.1:" + peer.port() + " [('ipv6', 'failed'), ('ipv4', 'won')]\n");
}

TEST_F(dial, json_has_its_numbers_written_out) {
    const auto got = run_command(command + " dial -q -z --json localhost 9");
    EXPECT_THAT(got.output, ContainsRegex("\"duration_ms\":[0-9]+\\.[0-9]+,"));
    EXPECT_THAT(got.output, Not(ContainsRegex("[0-9][eE][-+]?[0-9]")));
}

TEST_F(dial, json_of_a_failure_is_an_object_too) {
    NEEDS("python3");
    const auto got =
        run_command(command + " dial -q -z --json localhost 9 | python3 -c 'import json,sys; "
                              "s=json.load(sys.stdin); print(s[\"ok\"], len(s[\"attempts\"]))'");
    EXPECT_EQ(got.output, "False 2\n");
}

TEST_F(dial, without_a_probe_json_leaves_stdout_to_the_connection) {
    peer_here peer;
    process client{{command, "dial", "--json", "127.0.0.1", peer.port()}};
    {
        const auto server = peer.accept();
        put(server, "bytes");
    }
    client.close_stdin();
    EXPECT_EQ(client.wait(), 0);
    EXPECT_EQ(client.out(), "bytes");
    EXPECT_THAT(client.err(), StartsWith("{"));
}

TEST_F(dial, trace_draws_the_race_on_stderr) {
    peer_here peer;
    process client{{command, "dial", "-z", "--trace", "localhost", peer.port()}};
    EXPECT_EQ(client.wait(), 0);
    EXPECT_THAT(client.err(), HasSubstr("[::1]:" + peer.port()));
    EXPECT_THAT(client.err(), HasSubstr("127.0.0.1:" + peer.port()));
    EXPECT_THAT(client.err(), HasSubstr("refused"));
}

} // namespace
} // namespace portico
