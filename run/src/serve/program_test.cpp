#include "portico/run/program.hpp"
#include "serve/one_thread_test.hpp"

#include <csignal>
#include <gmock/gmock.h>
#include <unistd.h>

namespace portico::run {
namespace {

using testing::HasSubstr;

class program_service : public one_thread_test {
protected:
    void run_shell(const std::string& script, duration grace = std::chrono::seconds{30}) {
        make({"/bin/sh", {"sh", "-c", script}, {"PATH=/usr/bin:/bin", "TCPREMOTEIP=wrong"}, grace});
    }
    void make(program_options how) {
        service = make_program_service(context.get_executor(), std::move(how));
    }
};

TEST_F(program_service, the_connection_is_stdin_and_stdout) {
    run_shell("read word; echo \"<$word>\"");
    auto client = client_of_service();
    write(client, "hello\n");
    const auto answer = read_to_end(client);
    EXPECT_EQ(answer.text, "<hello>\n");
    EXPECT_EQ(answer.ended, asio::error::eof);
    const auto end = only_end();
    EXPECT_EQ(end.number, 1U);
    EXPECT_FALSE(end.why);
    EXPECT_EQ(end.exit_status, 0);
    EXPECT_GT(end.lasted, duration::zero());
}

TEST_F(program_service, the_environment_tells_of_the_connection) {
    run_shell("env");
    auto client = client_of_service();
    const auto port = std::to_string(client.local_endpoint().port());
    const auto answer = read_to_end(client).text;
    EXPECT_THAT(answer, HasSubstr("PROTO=TCP\n"));
    EXPECT_THAT(answer, HasSubstr("TCPREMOTEIP=127.0.0.1\n"));
    EXPECT_THAT(answer, HasSubstr("TCPREMOTEPORT=" + port + "\n"));
    EXPECT_THAT(answer, HasSubstr("REMOTE_PORT=" + port + "\n"));
    EXPECT_THAT(answer, Not(HasSubstr("wrong")));
    only_end();
}

TEST_F(program_service, counts_the_connections_of_each_address) {
    run_shell("echo $TCPCONNNUM; read line");
    auto first = client_of_service();
    EXPECT_EQ(read(first, 2), "1\n");
    auto second = client_of_service();
    EXPECT_EQ(read(second, 2), "2\n");
    first.close();
    only_end();
    auto third = client_of_service();
    EXPECT_EQ(read(third, 2), "2\n");
    second.close();
    third.close();
    run_until([&] { return ends.size() == 3; });
    auto fourth = client_of_service();
    EXPECT_EQ(read(fourth, 2), "1\n");
    fourth.close();
    run_until([&] { return ends.size() == 4; });
}

TEST_F(program_service, the_exit_code_is_told_and_is_no_error) {
    run_shell("exit 3");
    auto client = client_of_service();
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, 3);
    EXPECT_FALSE(end.why);
}

TEST_F(program_service, a_crash_is_told_as_a_shell_does) {
    run_shell("kill -SEGV $$");
    auto client = client_of_service();
    EXPECT_EQ(only_end().exit_status, 128 + SIGSEGV);
}

// Nobody here may keep the socket open.
TEST_F(program_service, the_end_of_the_output_is_the_end_of_the_stream) {
    run_shell("trap '' TERM; echo last; exec sleep 1000 <&- >&-", std::chrono::milliseconds{1});
    auto client = client_of_service();
    const auto answer = read_to_end(client);
    EXPECT_EQ(answer.text, "last\n");
    EXPECT_EQ(answer.ended, asio::error::eof);
    EXPECT_TRUE(ends.empty());
    service->stop_now(); // the program ignores SIGTERM, but not SIGKILL
    EXPECT_EQ(only_end().exit_status, 128 + SIGKILL);
}

TEST_F(program_service, a_program_that_closes_only_its_input_still_answers) {
    run_shell("exec <&-; echo answer");
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "answer\n");
    EXPECT_EQ(only_end().exit_status, 0);
}

TEST_F(program_service, a_program_that_cannot_be_started_is_an_error_and_a_reset) {
    make({"/no/such/program", {"program"}, {}});
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::no_such_file_or_directory);
    EXPECT_EQ(end.why->op, operation::spawn);
    EXPECT_THAT(end.detail, HasSubstr("/no/such/program"));
    EXPECT_FALSE(end.exit_status);
}

TEST_F(program_service, stopping_asks_a_program_to_end) {
    run_shell("trap 'exit 9' TERM; echo ready; read line");
    auto client = client_of_service();
    EXPECT_EQ(read(client, 6), "ready\n");
    service->stop_now();
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, 9);
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::operation_canceled);
}

TEST_F(program_service, a_program_that_does_not_end_is_killed) {
    run_shell("trap '' TERM; echo ready; read line", std::chrono::milliseconds{1});
    auto client = client_of_service();
    EXPECT_EQ(read(client, 6), "ready\n");
    service->stop_now();
    EXPECT_EQ(only_end().exit_status, 128 + SIGKILL);
}

TEST_F(program_service, nothing_is_told_after_its_end) {
    run_shell("read line");
    auto client = client_of_service();
    service.reset();
    client.close();
    context.restart();
    context.run(); // returns: nothing is left to wait for
    EXPECT_TRUE(ends.empty());
}

TEST_F(program_service, when_sigchld_is_ignored_the_end_is_seen_and_its_code_is_lost) {
    auto* const before = ::signal(SIGCHLD, SIG_IGN);
    run_shell("read line; exit 3");
    auto client = client_of_service();
    client.close();
    const auto end = only_end();
    ::signal(SIGCHLD, before);
    EXPECT_FALSE(end.exit_status);
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::no_child_process);
}

} // namespace
} // namespace portico::run
