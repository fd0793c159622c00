#include "starting_test.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::os {
namespace {

using testing::HasSubstr;
using testing::Not;

class in_directory : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "spawn.XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    [[nodiscard]] std::string file(const std::string& name, bool executable) const {
        const auto path = directory_ / name;
        std::ofstream{path} << "#!/bin/sh\n";
        std::filesystem::permissions(path, executable ? std::filesystem::perms::owner_all
                                                      : std::filesystem::perms::owner_read);
        return path.string();
    }
    std::filesystem::path directory_;
};
using find_program_in = in_directory;

TEST_F(find_program_in, the_first_directory_that_has_it_wins) {
    const auto here = file("tool", true);
    EXPECT_EQ(find_program("tool", "/nowhere:" + directory_.string() + ":/bin"), here);
    EXPECT_EQ(find_program("sh", directory_.string() + ":/bin"), "/bin/sh");
}

TEST_F(find_program_in, a_path_is_taken_as_it_is) {
    const auto here = file("tool", true);
    EXPECT_EQ(find_program(here, ""), here);
    EXPECT_EQ(find_program(directory_.string() + "/none", "/bin").error(),
              std::errc::no_such_file_or_directory);
}

TEST_F(find_program_in, what_is_no_executable_file_is_told_apart_from_what_is_missing) {
    static_cast<void>(file("data", false));
    std::filesystem::create_directory(directory_ / "folder");
    const auto path = directory_.string();
    // Root may read anything, but executes only what somebody may execute.
    EXPECT_EQ(find_program("data", path).error(), std::errc::permission_denied);
    EXPECT_EQ(find_program("folder", path).error(), std::errc::permission_denied);
    EXPECT_EQ(find_program("none", path).error(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(find_program("", path).error(), std::errc::no_such_file_or_directory);
}

TEST_F(find_program_in, a_later_directory_helps_when_an_earlier_one_refuses) {
    static_cast<void>(file("sh", false));
    EXPECT_EQ(find_program("sh", directory_.string() + ":/bin"), "/bin/sh");
}

TEST(spawn, the_connection_is_stdin_and_stdout) {
    auto [ours, theirs] = connection();
    auto program = shell("read line; echo \"got $line\"", std::move(theirs));
    ASSERT_EQ(::write(ours.raw(), "this\n", 5), 5);
    EXPECT_EQ(read_all(ours), "got this\n");
    EXPECT_EQ(end_of(program), (exit_report{false, 0}));
}

TEST(set_blocking, is_for_all_who_have_the_open_file) {
    auto [ours, theirs] = connection();
    const auto is_blocking = [](const fd& which) {
        return (::fcntl(which.raw(), F_GETFL) & O_NONBLOCK) == 0;
    };
    const fd copy{::dup(theirs.raw())};
    ASSERT_TRUE(set_blocking(theirs.raw(), true));
    EXPECT_TRUE(is_blocking(copy));
    ASSERT_TRUE(set_blocking(theirs.raw(), false));
    EXPECT_FALSE(is_blocking(copy));
    EXPECT_EQ(set_blocking(-1, true).error(), std::errc::bad_file_descriptor);
}

TEST(spawn, the_environment_is_what_was_given_and_no_more) {
    auto [ours, theirs] = connection();
    auto program = start({"/usr/bin/env"}, {"A=1", "B=two words"}, std::move(theirs));
    EXPECT_EQ(read_all(ours), "A=1\nB=two words\n");
    end_of(program);
}

TEST(spawn, no_other_descriptor_reaches_the_program) {
    const fd leaked{::open("/dev/null", O_RDONLY)}; // not close-on-exec
    auto [ours, theirs] = connection();
    // 3 is the directory that ls reads.
    auto program = shell("ls /proc/self/fd", std::move(theirs));
    EXPECT_EQ(read_all(ours), "0\n1\n2\n3\n");
    end_of(program);
}

TEST(spawn, blocked_and_ignored_signals_are_as_after_login) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    auto* const old = ::signal(SIGPIPE, SIG_IGN);
    auto [ours, theirs] = connection();
    auto program = shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", std::move(theirs));
    ::signal(SIGPIPE, old);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const auto text = read_all(ours);
    EXPECT_THAT(text, HasSubstr("SigBlk:\t0000000000000000\n"));
    // The C library keeps 32 and 33 for itself; they are as our parent left them.
    const auto ignored = std::stoull(text.substr(text.find("SigIgn:\t") + 8), nullptr, 16);
    EXPECT_EQ(ignored & ~0x180000000ULL, 0U) << text;
    end_of(program);
}

TEST(spawn, the_errno_of_exec_is_told) {
    auto [ours, theirs] = connection();
    const auto made = try_start({"/no/such/program"}, {}, std::move(theirs), {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().step, spawn_step::execute);
    EXPECT_EQ(made.error().why, std::errc::no_such_file_or_directory);
    EXPECT_EQ(to_text(made.error(), {}), "execute it");
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a process was left behind";
}

TEST(spawn, tells_exit_codes_and_signals) {
    auto first = connection();
    auto program = shell("exit 7", std::move(first.theirs));
    EXPECT_EQ(end_of(program), (exit_report{false, 7}));
    auto second = connection();
    program = shell("kill -SEGV $$", std::move(second.theirs));
    const auto end = end_of(program);
    EXPECT_EQ(end, (exit_report{true, SIGSEGV}));
    EXPECT_EQ(end.status(), 128 + SIGSEGV);
}

TEST(spawn, a_program_that_runs_is_not_reaped) {
    auto [ours, theirs] = connection();
    auto program = shell("read line", std::move(theirs));
    const auto now = program.reap();
    ASSERT_TRUE(now);
    EXPECT_FALSE(*now);
    ours.reset();
    end_of(program);
    EXPECT_EQ(program.reap().error(), std::errc::no_child_process);
    EXPECT_EQ(program.kill(SIGTERM).error(), std::errc::no_such_process);
}

TEST(spawn, an_end_can_be_seen_before_it_is_taken) {
    auto [ours, theirs] = connection();
    auto program = shell("read line; exit 3", std::move(theirs));
    EXPECT_FALSE(program.has_ended());
    ours.reset();
    pollfd waiting{program.process(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, -1), 1);
    EXPECT_TRUE(program.has_ended());
    EXPECT_TRUE(program.has_ended());
    EXPECT_EQ(end_of(program), (exit_report{false, 3}));
    EXPECT_FALSE(program.has_ended());
}

TEST(pipe2, reading_does_not_wait_and_writing_does) {
    const auto made = os::pipe2();
    ASSERT_TRUE(made);
    char byte = 0;
    EXPECT_EQ(::read(made->read.raw(), &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(::fcntl(made->write.raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(made->read.raw(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(::fcntl(made->write.raw(), F_GETFD), FD_CLOEXEC);
}

TEST(spawn, other_children_are_left_to_those_who_wait_for_them) {
    const pid_t other = ::fork();
    if (other == 0) {
        ::_exit(5);
    }
    auto [ours, theirs] = connection();
    auto program = shell("exit 0", std::move(theirs));
    end_of(program);
    int status = 0;
    ASSERT_EQ(::waitpid(other, &status, 0), other);
    EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST(spawn, a_program_can_be_killed) {
    auto [ours, theirs] = connection();
    auto program = shell("read line", std::move(theirs));
    ASSERT_TRUE(program.kill(SIGKILL));
    EXPECT_EQ(end_of(program), (exit_report{true, SIGKILL}));
}

TEST(peer_credentials, are_those_of_the_process_that_connected) {
    const auto [ours, theirs] = connection();
    const auto who = peer_credentials(ours.raw());
    ASSERT_TRUE(who);
    EXPECT_EQ(who->pid, ::getpid());
    EXPECT_EQ(who->user, ::geteuid());
    EXPECT_FALSE(peer_credentials(-1));
}

TEST(descriptors_left, falls_by_one_with_each_descriptor) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    auto small = before;
    small.rlim_cur = 100;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &small), 0);
    const auto left = descriptors_left();
    EXPECT_LT(left, 98U);
    {
        const fd one{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        EXPECT_EQ(descriptors_left(), left - 1);
    }
    EXPECT_EQ(descriptors_left(), left);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(environment, is_ours) {
    ::setenv("PORTICO_SPAWN_TEST", "yes", 1);
    EXPECT_THAT(environment(), testing::Contains("PORTICO_SPAWN_TEST=yes"));
    ::unsetenv("PORTICO_SPAWN_TEST");
    EXPECT_THAT(environment(), Not(testing::Contains("PORTICO_SPAWN_TEST=yes")));
}

TEST(memory_file, is_read_from_its_beginning_and_has_an_end) {
    const std::string text(70'000, 'x');
    const auto made = memory_file(std::as_bytes(std::span{text}));
    ASSERT_TRUE(made);
    std::string room(80'000, ' ');
    EXPECT_EQ(::read(made->raw(), room.data(), room.size()), 70'000);
    EXPECT_EQ(::read(made->raw(), room.data(), room.size()), 0);
    EXPECT_EQ(::fcntl(made->raw(), F_GETFD), FD_CLOEXEC);
    const auto empty = memory_file({});
    ASSERT_TRUE(empty);
    EXPECT_EQ(::read(empty->raw(), room.data(), room.size()), 0);
}

} // namespace
} // namespace portico::os
