#include "portico/testkit/process.hpp"

#include "portico/os/fd.hpp"

#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::testkit {
namespace {

TEST(process, what_a_program_says_is_kept_apart_by_stream) {
    process shell{{"sh", "-c", "echo out; echo err >&2; exit 7"}};
    EXPECT_EQ(shell.wait(), 7);
    EXPECT_EQ(shell.out(), "out\n");
    EXPECT_EQ(shell.err(), "err\n");
}

TEST(process, its_stdin_is_written_and_ended) {
    process cat{{"cat"}};
    cat.write_stdin("one\n");
    EXPECT_EQ(cat.wait_for_out("^(o.e)$"), "one");
    cat.close_stdin();
    EXPECT_EQ(cat.wait(), 0);
}

TEST(process, waiting_for_what_never_comes_ends_with_the_program) {
    process quiet{{"true"}};
    EXPECT_EQ(quiet.wait_for_out("something"), std::nullopt);
}

TEST(process, a_signal_shows_in_the_status) {
    process sleeper{{"sleep", "1000"}};
    sleeper.signal(SIGTERM);
    EXPECT_EQ(sleeper.wait(), 128 + SIGTERM);
}

TEST(process, a_program_that_does_not_exist_is_an_exception) {
    EXPECT_THROW(process({"/no/such/program"}), std::runtime_error);
}

TEST(process, environment_limit_and_directory_reach_the_program) {
    process_options how;
    how.environment["PORTICO_WORD"] = "found";
    how.descriptor_limit = 33;
    how.directory = "/";
    process shell{{"sh", "-c", "echo $PORTICO_WORD $(ulimit -n) $(pwd)"}, how};
    EXPECT_EQ(shell.wait(), 0);
    EXPECT_EQ(shell.out(), "found 33 /\n");
}

TEST(process, its_end_is_seen_though_it_left_something_behind_with_its_pipes) {
    process shell{{"sh", "-c", "sleep 1000 & echo started"}};
    EXPECT_EQ(shell.wait(), 0);
    EXPECT_EQ(shell.out(), "started\n");
}

TEST(process, what_it_left_behind_ends_with_it) {
    os::fd left;
    {
        process shell{{"sh", "-c", "sleep 1000 & echo $!; wait"}};
        const auto number = shell.wait_for_out("^([0-9]+)$");
        ASSERT_TRUE(number);
        left = os::fd{static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(*number), 0))};
        ASSERT_TRUE(left);
    }
    pollfd ended{left.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 60'000), 1);
}

TEST(process, a_large_output_is_kept_whole) {
    process counter{{"seq", "200000"}};
    EXPECT_EQ(counter.wait(), 0);
    const auto out = counter.out();
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 200'000);
    EXPECT_TRUE(out.ends_with("\n200000\n"));
}

TEST(process, writing_to_a_program_that_has_gone_does_no_harm) {
    process gone{{"true"}};
    EXPECT_EQ(gone.wait(), 0);
    gone.write_stdin(std::string(1 << 20, 'x'));
}

} // namespace
} // namespace portico::testkit
