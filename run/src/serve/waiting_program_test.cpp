#include "portico/run/waiting_program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace portico::run {
namespace {

using boost::system::error_code;
using testing::HasSubstr;
using testing::Not;

// Accepts one client from its stdin, says what `answer` is, and ends.
std::string serve_one(const std::string& answer, const std::string& kind = "AF_INET") {
    return "import os, socket, sys\n"
           "listening = socket.socket(socket." +
           kind +
           ", socket.SOCK_STREAM, fileno=0)\n"
           "client, _ = listening.accept()\n"
           "client.sendall((" +
           answer + ").encode())\n";
}

class waiting_program_test : public testing::Test {
protected:
    static program_options python(const std::string& script) {
        program_options how;
        how.path = "/usr/bin/python3";
        how.arguments = {"python3", "-Ic", script};
        how.environment = {"PATH=/usr/bin:/bin", "LISTEN_FDS=7", "NOTIFY_SOCKET=/x"};
        how.grace = std::chrono::seconds{30};
        return how;
    }
    static program_options shell(const std::string& script) {
        auto how = python({});
        how.path = "/bin/sh";
        how.arguments = {"sh", "-c", script};
        return how;
    }

    void open(const ip::any_endpoint& at, ip::transport over) {
        bound_socket made;
        made.descriptor = os::socket(at, over).value();
        EXPECT_TRUE(os::bind(made.descriptor, at));
        if (over == ip::transport::tcp) {
            EXPECT_TRUE(os::listen(made.descriptor, 100));
        }
        made.at = os::getsockname(made.descriptor.raw()).value();
        made.over = over;
        sockets.push_back(std::move(made));
    }
    void open_loopback(ip::transport over) {
        open(ip::endpoint{ip::parse_address("127.0.0.1").value(), 0}, over);
    }
    void serve(program_options how) {
        service = std::make_unique<waiting_program>(
            context.get_executor(), std::move(how), sockets,
            [this](const program_run_end& end) { ends.push_back(end); });
    }
    [[nodiscard]] std::uint16_t port(std::size_t which = 0) const {
        return std::get<ip::endpoint>(sockets[which].at).port;
    }

    template <class Condition>
    void run_until(Condition holds) {
        context.restart(); // it stops when there was nothing to do
        while (!holds()) {
            ASSERT_NE(context.run_one(), 0U) << "nothing is left to wait for";
        }
    }
    void run_until_ends(std::size_t count) {
        run_until([&] { return ends.size() >= count; });
    }

    asio::ip::tcp::socket connect(std::size_t which = 0) {
        asio::ip::tcp::socket client{context};
        client.connect({asio::ip::address_v4::loopback(), port(which)});
        return client;
    }
    template <class Stream>
    std::string read_to_end(Stream& from) {
        std::string text;
        bool done = false;
        asio::async_read(from, asio::dynamic_buffer(text),
                         [&done](error_code, std::size_t) { done = true; });
        run_until([&done] { return done; });
        return text;
    }

    asio::io_context context{1};
    std::vector<bound_socket> sockets;
    std::unique_ptr<waiting_program> service;
    std::vector<program_run_end> ends;
};

TEST_F(waiting_program_test, is_started_by_a_client_and_takes_it) {
    open_loopback(ip::transport::tcp);
    serve(python(serve_one("'hello'")));
    EXPECT_EQ(service->running(), 0U);
    auto client = connect();
    EXPECT_EQ(read_to_end(client), "hello");
    run_until_ends(1);
    EXPECT_EQ(ends[0].number, 1U);
    EXPECT_EQ(ends[0].exit_status, 0);
    EXPECT_FALSE(ends[0].why);
    EXPECT_EQ(ends[0].local, sockets[0].at);
    EXPECT_EQ(ends[0].pause, duration::zero());
    EXPECT_GT(ends[0].lasted, duration::zero());
    EXPECT_EQ(service->counters().programs.succeeded, 1U);
}

TEST_F(waiting_program_test, is_started_again_when_it_has_ended) {
    open_loopback(ip::transport::tcp);
    serve(python(serve_one("str(os.getpid())")));
    auto client = connect();
    const auto first = read_to_end(client);
    run_until_ends(1);
    auto again = connect();
    EXPECT_NE(read_to_end(again), first);
    run_until_ends(2);
    EXPECT_EQ(ends[1].number, 2U);
}

// One at a time: the others wait in the queue, and no run is taken for one in vain.
TEST_F(waiting_program_test, has_the_socket_to_itself) {
    open_loopback(ip::transport::tcp);
    std::vector<asio::ip::tcp::socket> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(connect());
    }
    serve(python(serve_one("'x'")));
    for (auto& each : clients) {
        EXPECT_EQ(read_to_end(each), "x");
        EXPECT_LE(service->running(), 1U);
    }
    run_until_ends(5);
    EXPECT_EQ(service->counters().in_vain, 0U);
    EXPECT_EQ(service->counters().programs.started, 5U);
}

// Somebody has always taken the place of the client that was served.
TEST_F(waiting_program_test, that_has_served_its_client_is_not_held_up_by_the_next_one) {
    open_loopback(ip::transport::tcp);
    serve(python(serve_one("'x'") + "client.close()\n"
                                    "import select\n"
                                    "select.select([listening], [], [])\n"));
    auto client = connect();
    for (std::size_t i = 1; i <= 5; ++i) {
        EXPECT_EQ(read_to_end(client), "x");
        client = connect();
        run_until_ends(i);
        EXPECT_EQ(ends[i - 1].pause, duration::zero()) << i;
    }
    EXPECT_EQ(service->counters().in_vain, 0U);
}

TEST_F(waiting_program_test, that_has_taken_its_datagram_is_not_held_up_by_a_copy_of_it) {
    open_loopback(ip::transport::udp);
    serve(python("import select, socket\n"
                 "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, fileno=0)\n"
                 "text, who = s.recvfrom(100)\n"
                 "s.sendto(text, who)\n"
                 "select.select([s], [], [])\n"));
    asio::ip::udp::socket client{context, {asio::ip::address_v4::loopback(), 0}};
    client.connect({asio::ip::address_v4::loopback(), port()});
    client.send(asio::buffer("query", 5));
    for (std::size_t i = 1; i <= 5; ++i) {
        std::array<char, 20> answer{};
        std::size_t size = 0;
        client.async_receive(asio::buffer(answer),
                             [&](error_code, std::size_t got) { size = got; });
        run_until([&] { return size != 0; });
        client.send(asio::buffer("query", 5));
        run_until_ends(i);
        EXPECT_EQ(ends[i - 1].pause, duration::zero()) << i;
    }
    EXPECT_EQ(service->counters().in_vain, 0U);
}

TEST_F(waiting_program_test, may_serve_many_clients_in_one_run) {
    open_loopback(ip::transport::tcp);
    serve(python("import socket\n"
                 "listening = socket.socket(fileno=0)\n"
                 "for i in range(3):\n"
                 "    client, _ = listening.accept()\n"
                 "    client.sendall(str(i).encode())\n"
                 "    client.close()\n"));
    for (const auto* each : {"0", "1", "2"}) {
        auto client = connect();
        EXPECT_EQ(read_to_end(client), each);
    }
    run_until_ends(1);
    EXPECT_EQ(service->counters().programs.started, 1U);
}

TEST_F(waiting_program_test, is_told_that_it_has_inherited_a_socket) {
    open_loopback(ip::transport::tcp);
    serve(python(serve_one("'%s %s %s %s\\n%s\\n%s\\n' % ("
                           "os.environ.get('LISTEN_FDS'),"
                           "os.environ.get('LISTEN_PID') == str(os.getpid()),"
                           "os.fstat(3).st_ino == os.fstat(0).st_ino == os.fstat(1).st_ino,"
                           "os.get_blocking(0),"
                           "sorted(k for k in os.environ if k not in ('PATH', 'LC_CTYPE')),"
                           "len(os.listdir('/proc/self/fd')))")));
    auto client = connect();
    // The connection, and the directory that is read.
    EXPECT_EQ(read_to_end(client), "1 True True True\n"
                                   "['LISTEN_FDS', 'LISTEN_PID', 'PROTO', 'SERVER_ADDR', "
                                   "'SERVER_PORT', 'TCPLOCALIP', 'TCPLOCALPORT']\n6\n");
    run_until_ends(1);
}

TEST_F(waiting_program_test, takes_datagrams) {
    open_loopback(ip::transport::udp);
    serve(python("import os, socket\n"
                 "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, fileno=0)\n"
                 "text, who = s.recvfrom(100)\n"
                 "s.sendto(os.environ['PROTO'].encode() + b' ' + text, who)\n"));
    asio::ip::udp::socket client{context, {asio::ip::address_v4::loopback(), 0}};
    client.connect({asio::ip::address_v4::loopback(), port()});
    for (std::size_t i = 1; i <= 3; ++i) {
        client.send(asio::buffer("query", 5));
        std::array<char, 20> answer{};
        std::size_t size = 0;
        client.async_receive(asio::buffer(answer),
                             [&](error_code, std::size_t got) { size = got; });
        run_until([&] { return size != 0; });
        EXPECT_EQ(std::string(answer.data(), size), "UDP query");
        run_until_ends(i);
        EXPECT_EQ(ends[i - 1].exit_status, 0);
        EXPECT_EQ(ends[i - 1].over, ip::transport::udp);
    }
    EXPECT_EQ(service->counters().in_vain, 0U);
}

TEST_F(waiting_program_test, takes_clients_of_unix_sockets) {
    std::string name = (std::filesystem::temp_directory_path() / "waiting.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    open(ip::unix_name::path(name + "/s").value(), ip::transport::tcp);
    serve(python(serve_one("os.environ['UNIXLOCALPATH']", "AF_UNIX")));
    asio::local::stream_protocol::socket client{context};
    client.connect({name + "/s"});
    EXPECT_EQ(read_to_end(client), name + "/s");
    run_until_ends(1);
    std::filesystem::remove_all(name);
}

TEST_F(waiting_program_test, runs_once_for_each_socket) {
    open_loopback(ip::transport::tcp);
    open_loopback(ip::transport::tcp);
    serve(python(serve_one("os.environ['TCPLOCALPORT']")));
    auto first = connect(0);
    auto second = connect(1);
    EXPECT_EQ(read_to_end(second), std::to_string(port(1)));
    EXPECT_EQ(read_to_end(first), std::to_string(port(0)));
    run_until_ends(2);
}

// inetd starts it again and again here.
TEST_F(waiting_program_test, that_takes_nothing_is_not_started_in_a_loop) {
    open_loopback(ip::transport::tcp);
    serve(shell("exit 3"));
    auto client = connect();
    run_until_ends(3);
    EXPECT_EQ(ends[0].exit_status, 3);
    EXPECT_EQ(ends[0].pause, std::chrono::milliseconds{100});
    EXPECT_EQ(ends[0].in_vain, 1U);
    EXPECT_EQ(ends[1].pause, std::chrono::milliseconds{200});
    EXPECT_EQ(ends[2].pause, std::chrono::milliseconds{400});
    EXPECT_EQ(ends[2].in_vain, 3U);
    EXPECT_EQ(service->counters().in_vain, 3U);
}

TEST_F(waiting_program_test, that_leaves_its_datagram_is_not_started_in_a_loop) {
    open_loopback(ip::transport::udp);
    serve(shell("exit 0"));
    asio::ip::udp::socket client{context, {asio::ip::address_v4::loopback(), 0}};
    client.send_to(asio::buffer("query", 5), {asio::ip::address_v4::loopback(), port()});
    run_until_ends(2);
    EXPECT_EQ(ends[1].pause, std::chrono::milliseconds{200});
}

TEST_F(waiting_program_test, that_is_missing_is_told_with_a_pause) {
    open_loopback(ip::transport::tcp);
    auto how = shell("");
    how.path = "/no/such/program";
    serve(std::move(how));
    auto client = connect();
    run_until_ends(2);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::no_such_file_or_directory);
    EXPECT_THAT(ends[0].detail, HasSubstr("/no/such/program: execute it"));
    EXPECT_EQ(ends[1].pause, std::chrono::milliseconds{200});
    EXPECT_EQ(service->counters().programs.not_started, 2U);
}

// A program that serves until it is told to end; it says "ready" when a signal finds its trap.
constexpr auto until_told = "import os, signal, socket, sys\n"
                            "signal.signal(signal.SIGTERM, lambda *_: os._exit(9))\n"
                            "listening = socket.socket(fileno=0)\n"
                            "while True:\n"
                            "    client, _ = listening.accept()\n"
                            "    client.sendall(b'ready')\n"
                            "    client.close()\n";

TEST_F(waiting_program_test, is_told_to_end_when_the_service_drains) {
    open_loopback(ip::transport::tcp);
    serve(python(until_told));
    auto client = connect();
    EXPECT_EQ(read_to_end(client), "ready");
    service->drain();
    run_until_ends(1);
    EXPECT_EQ(ends[0].exit_status, 9);
    EXPECT_FALSE(ends[0].why);
    EXPECT_EQ(service->running(), 0U);
    context.restart();
    context.run(); // returns: nothing is waited for any more
}

// It has no trap, and dies of the signal that it was sent.
TEST_F(waiting_program_test, that_was_told_to_end_has_not_crashed) {
    open_loopback(ip::transport::tcp);
    serve(python("import socket\n"
                 "listening = socket.socket(fileno=0)\n"
                 "client, _ = listening.accept()\n"
                 "client.sendall(b'ready')\n"
                 "client.close()\n"
                 "listening.accept()\n"));
    auto client = connect();
    EXPECT_EQ(read_to_end(client), "ready");
    service->drain();
    run_until_ends(1);
    EXPECT_EQ(ends[0].exit_status, 128 + SIGTERM);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::operation_canceled);
    EXPECT_EQ(service->counters().programs.stopped, 1U);
    EXPECT_EQ(service->counters().programs.crashed, 0U);
}

TEST_F(waiting_program_test, that_does_not_end_is_killed) {
    open_loopback(ip::transport::tcp);
    auto how = python("import signal\n"
                      "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" +
                      std::string{until_told}.substr(std::string{until_told}.find("listening")));
    how.arguments[2] = "import socket\n" + how.arguments[2];
    how.grace = std::chrono::milliseconds{1};
    serve(std::move(how));
    auto client = connect();
    EXPECT_EQ(read_to_end(client), "ready");
    service->stop_now();
    run_until_ends(1);
    EXPECT_EQ(ends[0].exit_status, 128 + SIGKILL);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::operation_canceled);
    EXPECT_EQ(service->counters().programs.killed, 1U);
}

TEST_F(waiting_program_test, has_a_time_limit) {
    open_loopback(ip::transport::tcp);
    auto how = shell("exec sleep 1000");
    how.time_limit = std::chrono::milliseconds{1};
    serve(std::move(how));
    auto client = connect();
    run_until_ends(1);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::timed_out);
    EXPECT_EQ(ends[0].exit_status, 128 + SIGTERM);
}

TEST_F(waiting_program_test, goes_on_when_the_service_is_gone) {
    open_loopback(ip::transport::tcp);
    serve(python("import socket\n"
                 "listening = socket.socket(fileno=0)\n"
                 "for i in range(2):\n"
                 "    client, _ = listening.accept()\n"
                 "    client.sendall(b'ready')\n"
                 "    client.close()\n"));
    auto client = connect();
    EXPECT_EQ(read_to_end(client), "ready");
    service.reset();
    sockets[0].descriptor.reset();
    auto next = connect();
    EXPECT_EQ(read_to_end(next), "ready");
    EXPECT_TRUE(ends.empty());
}

} // namespace
} // namespace portico::run
