// portico listen --to as its users see it.

#include "listening.hpp"

#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <iterator>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testkit::run_command;

class relay_command : public command_test {};

TEST_F(relay_command, one_to_itself_is_warned_of) {
    for (const std::vector<std::string>& each :
         {std::vector<std::string>{":5301", "--to", "127.0.0.1:5301"},
          {"[::1]:5301", "--to", "localhost:5301"}}) {
        listening server{each};
        EXPECT_TRUE(server->wait_for_err("level=warning msg=\"a target is an address that this "
                                         "service listens at itself.*target=.*5301"))
            << each[0];
        EXPECT_EQ(server.end(), 0);
    }
    listening other{{"127.0.0.1:5301", "--to", "127.0.0.1:5302,127.0.0.2:5301"}};
    EXPECT_EQ(other.end(), 0);
    EXPECT_THAT(other->err(), testing::Not(HasSubstr("itself")));
}

TEST_F(relay_command, it_passes_ends_on_one_by_one) {
    NEEDS("nc");
    NEEDS("socat");
    const target_here target;
    listening server{{":0", "--to", target.name()}};
    const std::vector<std::vector<std::string>> clients{
        {"nc", "-N", "127.0.0.1", server.port()},
        {"socat", "-t", "60", "-", "TCP6:[::1]:" + server.port() + ",shut-down"},
    };
    for (const auto& each : clients) {
        process client{each};
        client.write_stdin("question");
        client.close_stdin();
        const auto connection = target.accept();
        const auto question = read_to_end(connection);
        EXPECT_EQ(question.text, "question");
        EXPECT_FALSE(question.ended);
        put(connection, "answer\n");
        ASSERT_TRUE(os::shutdown_send(connection.raw()));
        EXPECT_EQ(client.wait(), 0);
        EXPECT_EQ(client.out(), "answer\n");
    }
}

TEST_F(relay_command, it_passes_resets_on_in_both_directions) {
    const target_here target;
    listening server{{":0", "--to", target.name()}};
    for (const bool from_client : {true, false}) {
        auto client = connect_to(server.at("127.0.0.1"));
        auto far = target.accept();
        put(client, "a");
        put(far, "b");
        EXPECT_EQ(take(client), "b");
        EXPECT_EQ(take(far), "a");
        close_with_reset(from_client ? client : far);
        EXPECT_EQ(take(from_client ? far : client), "ECONNRESET");
    }
}

TEST_F(relay_command, it_moves_a_hundred_megabytes_both_ways_at_once) {
    NEEDS("socat");
    testkit::must_run("head -c 100000000 /dev/urandom > " + file("bytes"));
    listening echo{{"[::1]:0", "--echo"}};
    listening server{{"127.0.0.1:0", "--to", "[::1]:" + echo.port()}};
    const auto got = run_command("socat -t 60 - TCP:127.0.0.1:" + server.port() + " <" +
                                 file("bytes") + " | cmp - " + file("bytes"));
    EXPECT_EQ(got.status, 0) << got.output;
    EXPECT_TRUE(server->wait_for_err("received=100000000 sent=100000000"));
}

TEST_F(relay_command, it_refuses_when_nobody_is_there_and_says_whom_it_tried) {
    target_here target;
    const auto name = target.name();
    target.close();
    listening server{{"127.0.0.1:0", "--to", name}};
    EXPECT_EQ(read_to_end(connect_to(server.at("127.0.0.1"))).ended, std::errc::connection_reset);
    const auto line = server->wait_for_err("(.*connection ended.*)\n");
    ASSERT_TRUE(line);
    EXPECT_THAT(*line, AllOf(HasSubstr(name), HasSubstr("refused"),
                             HasSubstr(" error.type=ECONNREFUSED ")));
}

TEST_F(relay_command, it_reaches_a_unix_target) {
    process target{{command, "listen", "unix:" + file("t"), "--echo"}};
    ASSERT_TRUE(target.wait_for_out("listening"));
    listening server{{"127.0.0.1:0", "--to", "unix:" + file("t")}};
    const auto client = connect_to(server.at("127.0.0.1"));
    put(client, "through");
    ASSERT_TRUE(os::shutdown_send(client.raw()));
    EXPECT_EQ(read_to_end(client).text, "through");
}

// ---- targets ----

// What a target of ours answers to everybody.
std::string who_answers(const listening& server) {
    const auto client = connect_to(server.at("127.0.0.1"));
    return read_to_end(client).text;
}

// A program that says its name on each connection.
struct named_target {
    explicit named_target(const std::string& name, const std::string& where = "127.0.0.1:0")
        : server{{where, "-q", "--", "printf", name}} {}
    [[nodiscard]] std::string at() const { return "127.0.0.1:" + server.port(); }
    listening server;
};

TEST_F(relay_command, targets_take_turns) {
    const named_target one{"one"};
    const named_target two{"two"};
    listening server{{"127.0.0.1:0", "--threads", "1", "--to", one.at() + "," + two.at()}};
    std::vector<std::string> answers;
    for (int i = 0; i < 6; ++i) {
        answers.push_back(who_answers(server));
    }
    EXPECT_EQ(std::count(answers.begin(), answers.end(), "one"), 3);
    EXPECT_EQ(std::count(answers.begin(), answers.end(), "two"), 3);
}

TEST_F(relay_command, with_hash_a_client_keeps_its_target) {
    const named_target one{"one"};
    const named_target two{"two"};
    listening server{{"127.0.0.1:0", "--to", one.at(), "--to", two.at(), "--balance", "hash"}};
    const auto first = who_answers(server);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(who_answers(server), first);
    }
}

TEST_F(relay_command, a_dead_target_is_passed_over_and_no_client_sees_it) {
    target_here gone;
    const auto dead = gone.name();
    gone.close();
    const named_target alive{"alive"};
    listening server{{"127.0.0.1:0", "--to", dead + "," + alive.at()}};
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(who_answers(server), "alive");
    }
    EXPECT_TRUE(server->wait_for_err("detail=.*refused.*connected to " + alive.at()));
}

TEST_F(relay_command, a_name_is_all_its_addresses) {
    const named_target v4_only{"v4"};
    listening server{{"127.0.0.1:0", "--to", "localhost:" + v4_only.server.port()}};
    EXPECT_EQ(who_answers(server), "v4");
}

TEST_F(relay_command, a_target_that_comes_back_is_used_again) {
    listening first{{"127.0.0.1:0", "-q", "--hello"}};
    const auto target = "127.0.0.1:" + first.port();
    listening server{{"127.0.0.1:0", "--to", target, "--check-every", "100ms"}};
    EXPECT_FALSE(who_answers(server).empty());
    EXPECT_EQ(first.end(), 0);
    EXPECT_EQ(who_answers(server), "");
    listening again{{target, "-q", "--hello"}};
    EXPECT_FALSE(who_answers(server).empty());
}

// ---- limits ----

TEST_F(relay_command, an_idle_connection_is_reset_at_the_limit) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--idle-limit", "200ms"}};
    const auto client = connect_to(server.at("127.0.0.1"));
    const auto far = target.accept();
    EXPECT_EQ(take(client), "ECONNRESET");
    EXPECT_EQ(take(far), "ECONNRESET");
}

TEST_F(relay_command, a_half_closed_one_has_its_own_limit) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--half-closed-limit", "200ms"}};
    const auto client = connect_to(server.at("127.0.0.1"));
    const auto far = target.accept();
    ASSERT_TRUE(os::shutdown_send(client.raw()));
    EXPECT_EQ(take(far), "");
    EXPECT_EQ(take(client), "ECONNRESET");
}

TEST_F(relay_command, further_clients_wait_in_the_queue_at_the_limit) {
    const target_here target;
    listening server{
        {"127.0.0.1:0", "--to", target.name(), "--threads", "1", "--max-connections", "1"}};
    auto first = connect_to(server.at("127.0.0.1"));
    auto far = target.accept();
    const auto second = connect_to(server.at("127.0.0.1"));
    put(second, "patience");
    EXPECT_TRUE(server->wait_for_err("full"));
    first.reset();
    far.reset();
    const auto far_of_second = target.accept();
    EXPECT_EQ(take(far_of_second), "patience");
}

// ---- threads ----

TEST_F(relay_command, threads_share_the_port_and_a_second_start_is_refused) {
    const named_target target{"x"};
    listening server{{":0", "--threads", "4", "--to", target.at()}};
    for (int i = 0; i < 40; ++i) {
        EXPECT_EQ(who_answers(server), "x");
    }
    const auto again =
        run_command(command + " listen :" + server.port() + " --threads 4 --to " + target.at());
    EXPECT_EQ(again.status, 111) << again.output;
    EXPECT_THAT(again.output, HasSubstr("in use"));
}

TEST_F(relay_command, term_serves_who_is_in_the_queue) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--to", target.name(), "--threads", "2"}};
    std::vector<os::fd> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(connect_to(server.at("127.0.0.1")));
        put(clients.back(), "q");
    }
    server->signal(SIGTERM);
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const auto far = target.accept();
        EXPECT_EQ(take(far), "q");
        put(far, "a");
    }
    for (auto& each : clients) {
        EXPECT_EQ(read_to_end(each).text, "a");
        each.reset();
    }
    EXPECT_EQ(server->wait(), 0);
}

} // namespace
} // namespace portico
