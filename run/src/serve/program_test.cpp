#include "portico/run/program.hpp"
#include "portico/testkit/descriptor_limit.hpp"
#include "serve/one_thread_test.hpp"
#include "serve/program_process.hpp"

#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::run {
namespace {

using testing::HasSubstr;

class programs : public one_thread_test {
protected:
    static program_options shell(const std::string& script) {
        program_options how;
        how.path = "/bin/sh";
        how.arguments = {"sh", "-c", script};
        how.environment = {"PATH=/usr/bin:/bin", "TCPREMOTEIP=wrong"};
        how.grace = std::chrono::seconds{30};
        return how;
    }
    void run_shell(const std::string& script, duration grace = std::chrono::seconds{30}) {
        auto how = shell(script);
        how.grace = grace;
        make(std::move(how));
    }
    void make(program_options how) {
        auto made = make_program_service(context.get_executor(), std::move(how));
        counters = &made->counters();
        service = std::move(made);
    }
    // Lines of stderr that are told, with the number of their connection.
    program_options logged(const std::string& script) {
        auto how = shell(script);
        how.errors = error_output::log;
        how.tell_line = [this](const program_line& line) {
            told.push_back(std::to_string(line.number) + ": " + std::string{line.text});
            cut += line.cut;
            EXPECT_GT(line.pid, 0);
        };
        return how;
    }

    const program_counters* counters = nullptr;
    std::vector<std::string> told;
    std::uint64_t cut = 0;
};

TEST_F(programs, the_connection_is_stdin_and_stdout) {
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

TEST_F(programs, the_environment_tells_of_the_connection) {
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

TEST_F(programs, counts_the_connections_of_each_address) {
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

TEST_F(programs, the_exit_code_is_told_and_is_no_error) {
    run_shell("exit 3");
    auto client = client_of_service();
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, 3);
    EXPECT_FALSE(end.why);
}

TEST_F(programs, a_crash_is_told_as_a_shell_does) {
    run_shell("kill -SEGV $$");
    auto client = client_of_service();
    EXPECT_EQ(only_end().exit_status, 128 + SIGSEGV);
}

// Nobody here may keep the socket open.
TEST_F(programs, the_end_of_the_output_is_the_end_of_the_stream) {
    run_shell("trap '' TERM; echo last; exec sleep 1000 <&- >&-", std::chrono::milliseconds{1});
    auto client = client_of_service();
    const auto answer = read_to_end(client);
    EXPECT_EQ(answer.text, "last\n");
    EXPECT_EQ(answer.ended, asio::error::eof);
    EXPECT_TRUE(ends.empty());
    service->stop_now(); // the program ignores SIGTERM, but not SIGKILL
    EXPECT_EQ(only_end().exit_status, 128 + SIGKILL);
}

TEST_F(programs, a_program_that_closes_only_its_input_still_answers) {
    run_shell("exec <&-; echo answer");
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "answer\n");
    EXPECT_EQ(only_end().exit_status, 0);
}

TEST_F(programs, a_program_that_cannot_be_started_is_an_error_and_a_reset) {
    program_options how;
    how.path = "/no/such/program";
    how.arguments = {"program"};
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::no_such_file_or_directory);
    EXPECT_EQ(end.why->op, operation::spawn);
    EXPECT_THAT(end.detail, HasSubstr("/no/such/program"));
    EXPECT_THAT(end.detail, HasSubstr("it has gone"));
    EXPECT_FALSE(end.exit_status);
    EXPECT_EQ(counters->not_started, 1U);
    EXPECT_EQ(counters->started, 0U);
}

TEST_F(programs, stopping_asks_a_program_to_end) {
    run_shell("trap 'exit 9' TERM; echo ready; read line");
    auto client = client_of_service();
    EXPECT_EQ(read(client, 6), "ready\n");
    service->stop_now();
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, 9);
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::operation_canceled);
}

TEST_F(programs, a_program_that_does_not_end_is_killed) {
    run_shell("trap '' TERM; echo ready; read line", std::chrono::milliseconds{1});
    auto client = client_of_service();
    EXPECT_EQ(read(client, 6), "ready\n");
    service->stop_now();
    EXPECT_EQ(only_end().exit_status, 128 + SIGKILL);
}

TEST_F(programs, each_end_is_counted_by_its_kind) {
    run_shell("read word; case $word in ok) exit 0;; bad) exit 3;; crash) kill -SEGV $$;; esac");
    for (const auto* word : {"ok", "ok", "bad", "crash"}) {
        auto client = client_of_service();
        write(client, std::string{word} + "\n");
        EXPECT_EQ(counters->running(), 1U);
        read_to_end(client);
        run_until([&] { return ends.size() == started; });
    }
    EXPECT_EQ(counters->started, 4U);
    EXPECT_EQ(counters->succeeded, 2U);
    EXPECT_EQ(counters->failed, 1U);
    EXPECT_EQ(counters->crashed, 1U);
    EXPECT_EQ(counters->running(), 0U);
    duration sum{};
    for (const auto& each : ends) {
        sum += each.lasted;
    }
    EXPECT_EQ(counters->run_time, sum);
}

TEST_F(programs, have_the_settings_that_are_asked_for) {
    auto how = shell("nice; umask; ulimit -n; pwd; exec ls /proc/self/fd");
    how.settings.nice = 7;
    how.settings.mask = 0123;
    how.settings.limits = {{RLIMIT_NOFILE, 50, 50}};
    how.settings.directory = "/usr";
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "7\n0123\n50\n/usr\n0\n1\n2\n3\n");
    only_end();
}

TEST_F(programs, a_setting_that_cannot_be_made_is_told_by_its_name) {
    auto how = shell("true");
    how.settings.directory = "/no/such/place";
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::no_such_file_or_directory);
    EXPECT_EQ(end.detail, "/bin/sh: change to the directory /no/such/place");
}

TEST_F(programs, trouble_can_be_found_before_the_first_connection) {
    auto how = shell("true");
    EXPECT_EQ(find_trouble(how), std::nullopt);
    how.settings.directory = "/no/such/place";
    EXPECT_EQ(find_trouble(how),
              "/bin/sh: change to the directory /no/such/place: No such file or directory");
    how.settings.directory.clear();
    how.path = "/etc/passwd";
    EXPECT_THAT(find_trouble(how).value_or(""),
                testing::StartsWith("/etc/passwd: execute it: Permission denied; "));
    how.settings.nice = -5;
    EXPECT_EQ(explain({os::spawn_step::nice, {EACCES, std::system_category()}, 0}, how),
              "/etc/passwd: set the nice value -5; that takes the capability CAP_SYS_NICE, which "
              "root has, or room in ulimit -e");
}

// ---- stderr ----

TEST_F(programs, stderr_may_be_the_connection) {
    auto how = shell("echo out; echo err >&2");
    how.errors = error_output::connection;
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "out\nerr\n");
    only_end();
}

TEST_F(programs, lines_of_stderr_are_told_before_the_end) {
    make(logged("echo out; echo one >&2; echo two >&2; printf rest >&2"));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "out\n");
    only_end();
    EXPECT_THAT(told, testing::ElementsAre("1: one", "1: two", "1: rest"));
    EXPECT_EQ(counters->lines, 3U);
}

TEST_F(programs, lines_of_stderr_are_told_while_a_program_runs) {
    make(logged("echo one >&2; read line"));
    auto client = client_of_service();
    run_until([&] { return !told.empty(); });
    EXPECT_TRUE(ends.empty());
    client.close();
    only_end();
}

TEST_F(programs, a_long_line_of_stderr_is_cut) {
    auto how = logged("printf '%5000s\\nnext\\n' x >&2");
    how.lines.longest = 100;
    make(std::move(how));
    auto client = client_of_service();
    only_end();
    EXPECT_THAT(told, testing::ElementsAre("1: " + std::string(100, ' '), "1: next"));
    EXPECT_EQ(cut, 4900U);
    EXPECT_EQ(counters->lines_cut, 1U);
}

TEST_F(programs, a_flood_of_stderr_is_dropped_and_blocks_nobody) {
    auto how = logged("yes | head -c 600000 >&2; echo done");
    how.lines = {.longest = 100, .per_second = 1, .burst = 10};
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "done\n");
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, 0);
    // One more for each second that it takes.
    EXPECT_GE(told.size(), 10U);
    EXPECT_LE(told.size(), 11U + static_cast<std::size_t>(end.lasted / std::chrono::seconds{1}));
    EXPECT_EQ(counters->lines, told.size());
    EXPECT_EQ(counters->lines + counters->lines_dropped, 300'000U);
}

TEST_F(programs, one_that_closes_its_stderr_goes_on) {
    make(logged("echo one >&2; exec 2>&-; read word; echo $word"));
    auto client = client_of_service();
    run_until([&] { return !told.empty(); });
    write(client, "more\n");
    EXPECT_EQ(read_to_end(client).text, "more\n");
    EXPECT_EQ(only_end().exit_status, 0);
}

TEST_F(programs, its_end_does_not_wait_for_those_that_have_its_stderr_still) {
    // The one that is left behind ends with the connection.
    make(logged("exec 3<&0; cat <&3 & echo last >&2"));
    auto client = client_of_service();
    EXPECT_EQ(only_end().exit_status, 0);
    EXPECT_THAT(told, testing::ElementsAre("1: last"));
    write(client, "still here\n");
    EXPECT_EQ(read(client, 11), "still here\n");
}

TEST_F(programs, a_pipe_that_cannot_be_had_is_told) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need a descriptor to look at an object";
#endif
    make(logged("true"));
    accepted connection;
    auto client = connect(connection);
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    auto few = files;
    few.rlim_cur = static_cast<rlim_t>(connection.socket.raw());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    start(std::move(connection));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::too_many_files_open);
    EXPECT_THAT(end.detail, HasSubstr("ulimit -n"));
}

// ---- the time limit ----

TEST_F(programs, one_that_takes_too_long_is_asked_to_end) {
    auto how = shell("trap 'exit 9' TERM; echo ready; while :; do read line || sleep 1; done");
    how.time_limit = std::chrono::milliseconds{300};
    make(std::move(how));
    auto client = client_of_service();
    const bool was_ready = read_to_end(client).text == "ready\n"; // in time for its trap
    const auto end = only_end();
    EXPECT_EQ(end.exit_status, was_ready ? 9 : 128 + SIGTERM);
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::timed_out);
    EXPECT_EQ(end.why->who, side::caller);
    EXPECT_GE(end.lasted, std::chrono::milliseconds{300});
    EXPECT_EQ(counters->overtime, 1U);
    EXPECT_EQ(counters->failed, 0U);
    EXPECT_EQ(counters->killed, 0U);
}

TEST_F(programs, one_that_does_not_care_is_killed_with_all_of_its_group) {
    auto how = shell("trap '' TERM; sleep 1000 & echo ready; wait");
    how.time_limit = std::chrono::milliseconds{300};
    how.grace = std::chrono::milliseconds{1};
    make(std::move(how));
    auto client = client_of_service();
    const auto answer = read_to_end(client); // sleep has the connection, too
    EXPECT_EQ(answer.ended, asio::error::eof);
    const bool was_ready = answer.text == "ready\n"; // in time for its trap
    EXPECT_EQ(only_end().exit_status, 128 + (was_ready ? SIGKILL : SIGTERM));
    EXPECT_EQ(counters->overtime, 1U);
    EXPECT_EQ(counters->killed, was_ready ? 1U : 0U);
}

TEST_F(programs, what_is_left_of_the_group_is_killed_when_the_program_has_obeyed) {
    auto how = shell("(trap '' TERM; echo ready; sleep 1000) & wait");
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read(client, 6), "ready\n");
    service->stop_now();
    EXPECT_EQ(read_to_end(client).ended, asio::error::eof);
    EXPECT_EQ(only_end().exit_status, 128 + SIGTERM);
    EXPECT_EQ(counters->stopped, 1U);
    EXPECT_EQ(counters->killed, 0U);
}

TEST_F(programs, one_that_is_fast_enough_does_not_notice_the_limit) {
    auto how = shell("echo done");
    how.time_limit = std::chrono::hours{1};
    make(std::move(how));
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).text, "done\n");
    EXPECT_FALSE(only_end().why);
    context.restart();
    context.run(); // returns: no timer is left
}

TEST_F(programs, what_one_leaves_behind_by_itself_is_not_touched) {
    make(shell("exec 3<&0; cat <&3 & exit 0"));
    auto client = client_of_service();
    EXPECT_EQ(only_end().exit_status, 0);
    write(client, "still here\n");
    EXPECT_EQ(read(client, 11), "still here\n");
}

// ---- many ----

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_F(programs, five_thousand_at_once_leave_nothing_behind) {
    constexpr std::size_t count = 5'000;
    const testkit::room_for_descriptors all{2 * count + 100};
    if (!all.is_enough()) {
        GTEST_SKIP() << "not so many descriptors are allowed";
    }
    program_options how;
    how.path = "/bin/cat"; // ends with its connection
    how.arguments = {"cat"};
    make(std::move(how));
    client_of_service().close(); // opens what the context needs
    only_end();
    ends.clear();
    const auto before = open_descriptors();
    std::vector<os::fd> clients;
    for (std::size_t i = 0; i < count; ++i) {
        std::array<int, 2> ends_of_pair{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of_pair.data()), 0);
        clients.emplace_back(ends_of_pair[0]);
        accepted connection;
        connection.socket = os::fd{ends_of_pair[1]};
        start(std::move(connection));
        context.restart();
        context.poll();
        if (!ends.empty() && ends.front().why->code == std::errc::resource_unavailable_try_again) {
            clients.clear();
            run_until([&] { return ends.size() == i + 1; });
            GTEST_SKIP() << "not so many processes are allowed: only " << i;
        }
    }
    EXPECT_TRUE(ends.empty());
    EXPECT_EQ(counters->running(), count);
    clients.clear();
    run_until([&] { return ends.size() == count; });
    EXPECT_EQ(counters->succeeded, count + 1);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a zombie is left";
}

// ---- made elsewhere ----

class programs_made_elsewhere : public programs {
protected:
    // Nothing is made until it is run.
    void make_in_workshop(const std::string& script) {
        auto how = shell(script);
        how.starters = workshop.get_executor();
        make(std::move(how));
    }
    asio::io_context workshop{1};
};

TEST_F(programs_made_elsewhere, by_several_threads_at_once) {
    asio::thread_pool threads{3};
    auto how = logged("read word; echo \"<$word>\" >&2; exit 7");
    how.starters = threads.get_executor();
    make(std::move(how));
    std::vector<tcp::socket> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(client_of_service());
        write(clients.back(), std::to_string(i) + '\n');
    }
    run_until([&] { return ends.size() == clients.size(); });
    EXPECT_THAT(ends, testing::Each(testing::Field(&connection_end::exit_status, 7)));
    EXPECT_THAT(told, testing::Contains("20: <19>"));
    EXPECT_EQ(told.size(), clients.size());
    EXPECT_EQ(counters->failed, clients.size());
    EXPECT_EQ(counters->running(), 0U);
}

TEST_F(programs_made_elsewhere, others_are_served_while_one_is_made) {
    make_in_workshop("echo hello");
    auto client = client_of_service();
    context.restart();
    EXPECT_EQ(context.poll(), 0U) << "it does not wait, and nothing has been made";
    EXPECT_EQ(counters->started, 0U);
    workshop.run();
    EXPECT_EQ(read_to_end(client).text, "hello\n");
    EXPECT_EQ(only_end().exit_status, 0);
    EXPECT_EQ(counters->started, 1U);
}

TEST_F(programs_made_elsewhere, one_that_cannot_be_made_is_told_and_its_client_is_reset) {
    program_options how;
    how.path = "/no/such/program";
    how.arguments = {"program"};
    how.starters = workshop.get_executor();
    make(std::move(how));
    auto client = client_of_service();
    workshop.run();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    EXPECT_EQ(only_end().why->code, std::errc::no_such_file_or_directory);
    EXPECT_EQ(counters->not_started, 1U);
}

TEST_F(programs_made_elsewhere, one_that_is_stopped_before_it_is_made_ends_when_it_is) {
    make_in_workshop("sleep 1000");
    auto client = client_of_service();
    service->stop_now();
    workshop.run();
    EXPECT_EQ(only_end().why->code, std::errc::operation_canceled);
    EXPECT_EQ(counters->stopped, 1U);
}

TEST_F(programs_made_elsewhere, one_that_is_made_after_the_service_is_gone_serves_its_client) {
    make_in_workshop("read word; echo \"<$word>\"");
    auto client = client_of_service();
    service.reset();
    workshop.run();
    write(client, "hello\n");
    EXPECT_EQ(read_to_end(client).text, "<hello>\n");
    EXPECT_TRUE(ends.empty());
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0) << "it is left to whoever waits";
}

TEST_F(programs, nothing_is_told_after_its_end) {
    run_shell("read line");
    auto client = client_of_service();
    service.reset();
    client.close();
    context.restart();
    context.run(); // returns: nothing is left to wait for
    EXPECT_TRUE(ends.empty());
}

TEST_F(programs, when_sigchld_is_ignored_the_end_is_seen_and_its_code_is_lost) {
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
