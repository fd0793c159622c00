// `portico serve` with programs that take their clients themselves (wait = true): what a reload and
// a handover do to those that run.

#include "serving.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::HasSubstr;
using testing::Not;

// What comes; "nothing" after a minute, which only a failing test reaches.
std::string hear(const os::fd& from) {
    pollfd asked{from.raw(), POLLIN, 0};
    return ::poll(&asked, 1, 60'000) == 1 ? take(from) : "nothing";
}

// Greets each client with its number, and says goodbye when it has heard something.
constexpr auto greet = R"(
import os, socket, sys
listening = socket.socket(fileno=0)
while True:
    client, _ = listening.accept()
    client.sendall(b'%d' % os.getpid())
    if client.recv(100):
        client.sendall(b'goodbye')
    client.close()
)";
// Whatever it is told.
constexpr auto never_ends = R"(
import os, signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listening = socket.socket(fileno=0)
while True:
    listening.setblocking(True)
    try:
        client, _ = listening.accept()
    except BlockingIOError:
        continue
    client.sendall(b'program')
    client.close()
)";

class serve_waiting : public handover_command {
protected:
    void write_script(const std::string& text) { write(file("program.py"), text); }
    void serve_with(const std::string& service) {
        write("[serve]\nsandbox = 'off'\n[service.w]\nlisten = '127.0.0.1:7001'\n" + service +
              "[service.x]\nlisten = '127.0.0.1:7002'\nbuiltin = 'echo'\n");
    }
    [[nodiscard]] std::string program(const std::string& more = {}) const {
        return "wait = true\nprogram = ['/usr/bin/python3', '" + file("program.py") + "'" + more +
               "]\n";
    }
    // True: the host is not stuck in another of its services.
    static testing::AssertionResult answers_elsewhere() {
        const auto other = connect_to(at("127.0.0.1:7002"));
        put(other, "hi");
        const auto got = hear(other);
        return got == "hi" ? testing::AssertionSuccess() : testing::AssertionFailure() << got;
    }
    static os::fd client() { return connect_to(at("127.0.0.1:7001")); }
};

// Who still accepts from the socket must not wait there: the program has it block.
TEST_F(serve_waiting, a_service_of_another_kind_becomes_one) {
    write_script(greet);
    for (const std::string before : {"builtin = 'echo'\n", "to = '127.0.0.1:7002'\n"}) {
        serve_with(before);
        auto server = serve();
        ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
        const auto old = client();
        EXPECT_EQ(ask(old, "old"), "old");
        serve_with(program());
        ASSERT_TRUE(reload(server, 1));
        for (int i = 0; i < 3; ++i) {
            const auto one = client();
            EXPECT_THAT(hear(one), testing::MatchesRegex("[0-9]+")) << before;
            EXPECT_EQ(ask(one, "bye"), "goodbye");
            ASSERT_TRUE(answers_elsewhere()) << before;
        }
        EXPECT_EQ(ask(old, "still"), "still");
        server.signal(SIGINT);
        server.wait();
    }
}

TEST_F(serve_waiting, a_program_that_keeps_the_socket_hangs_nobody) {
    write_script(never_ends);
    serve_with(program());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    EXPECT_EQ(hear(client()), "program");
    serve_with("builtin = 'hello'\n");
    ASSERT_TRUE(reload(server, 1));
    for (int i = 0; i < 20; ++i) {
        EXPECT_THAT(hear(client()), testing::AnyOf("program", HasSubstr("ello")));
        ASSERT_TRUE(answers_elsewhere());
    }
    server.signal(SIGINT);
    server.wait();
}

// It waits in accept(2), and must not be told that nobody is there.
TEST_F(serve_waiting, a_program_goes_on_through_changes_of_other_services) {
    write_script(greet);
    serve_with(program());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    const auto greeting = [] {
        const auto one = client();
        auto got = hear(one);
        EXPECT_EQ(ask(one, "bye"), "goodbye");
        return got;
    };
    const auto first = greeting();
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(greeting(), first);
    serve_with(program() + "[service.y]\nlisten = '@lo:7003'\nbuiltin = 'echo'\n");
    ASSERT_TRUE(reload(server, 2));
    EXPECT_EQ(greeting(), first);
    testkit::must_run("ip addr add 10.9.9.9/32 dev lo");
    ASSERT_TRUE(server.wait_for_err("listening there, too")) << server.err();
    EXPECT_EQ(greeting(), first);
    EXPECT_EQ(greeting(), first);
    EXPECT_THAT(server.err(), Not(HasSubstr("program ended")));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(serve_waiting, who_is_being_served_stays_through_a_handover) {
    write_script(greet);
    serve_with(program());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    const auto there = client();
    const auto first = hear(there);
    const auto next = hand_over(server, server.pid());
    const auto later = client(); // by another one: the first is busy
    EXPECT_NE(hear(later), first);
    EXPECT_EQ(ask(later, "bye"), "goodbye");
    EXPECT_EQ(ask(there, "bye"), "goodbye");
    EXPECT_EQ(server.wait(), 0) << "its program is told to end when nobody is there";
    EXPECT_THAT(hear(client()), testing::MatchesRegex("[0-9]+"));
    ::kill(next, SIGTERM);
    wait_for_end_of(next);
}

TEST_F(serve_waiting, who_is_being_served_stays_through_a_reload) {
    write_script(greet);
    serve_with(program());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7002")) << server.err();
    const auto there = client();
    const auto first = hear(there);
    serve_with(program(", 'changed'"));
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(ask(there, "bye"), "goodbye");
    ASSERT_TRUE(server.wait_for_err("program ended")) << server.err();
    // And one that nobody is at ends at once.
    const auto second = [] {
        const auto one = client();
        auto got = hear(one);
        EXPECT_EQ(ask(one, "bye"), "goodbye");
        return got;
    }();
    EXPECT_NE(second, first);
    serve_with(program(", 'changed again'"));
    ASSERT_TRUE(reload(server, 2));
    ASSERT_TRUE(server.wait_for_err("program ended(?:.*\n)*.*program ended")) << server.err();
    // Whoever is left is told when the host ends.
    const auto last = client();
    hear(last);
    serve_with(program());
    ASSERT_TRUE(reload(server, 3));
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

} // namespace
} // namespace portico
