#include "portico/os/socket.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace portico::os {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

struct two_ends {
    fd first;
    fd second;
};

two_ends make_pipe(int flags = O_CLOEXEC) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, flags), 0);
    return {fd{ends[0]}, fd{ends[1]}}; // read, write
}

two_ends make_pair(int type = SOCK_STREAM) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    return {fd{ends[0]}, fd{ends[1]}};
}

bool pending(int signal) {
    sigset_t set;
    ::sigpending(&set);
    return ::sigismember(&set, signal) == 1;
}

bool blocked(int signal) {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    return ::sigismember(&set, signal) == 1;
}

// What a child that runs `act` with SIGPIPE at its default says: its exit code, or minus the signal
// that killed it. In a child, because a mistake would kill the whole test program.
template <class Act>
int in_child(Act act) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGPIPE, SIG_DFL);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigaddset(&none, SIGPIPE);
        ::pthread_sigmask(SIG_UNBLOCK, &none, nullptr);
        ::_exit(act());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool default_disposition() {
    struct sigaction now {};
    ::sigaction(SIGPIPE, nullptr, &now);
    return now.sa_handler == SIG_DFL;
}

TEST(bytes, written_to_a_pipe_are_read_from_it) {
    auto [out, in] = make_pipe();
    EXPECT_EQ(os::write(in.raw(), bytes_of("hello")).value(), 5U);
    std::array<std::byte, 8> got{};
    EXPECT_EQ(os::read(out.raw(), got).value(), 5U);
    in.reset();
    EXPECT_EQ(os::read(out.raw(), got).value(), 0U);
}

TEST(bytes, sent_are_received_and_the_end_is_zero) {
    const auto [left, right] = make_pair();
    EXPECT_EQ(os::send(left.raw(), bytes_of("hello")).value(), 5U);
    EXPECT_EQ(os::write(left.raw(), bytes_of("!")).value(), 1U); // write() serves sockets too
    ASSERT_TRUE(os::shutdown_send(left.raw()));
    std::array<std::byte, 8> got{};
    EXPECT_EQ(os::recv(right.raw(), got).value(), 6U);
    EXPECT_EQ(os::recv(right.raw(), got).value(), 0U);
    EXPECT_EQ(os::send(right.raw(), bytes_of("back")).value(), 4U); // half-closed only
}

TEST(sigpipe, a_plain_write_would_kill) {
    EXPECT_EQ(in_child([] {
                  auto [out, in] = make_pipe();
                  out.reset();
                  return static_cast<int>(::write(in.raw(), "x", 1));
              }),
              -SIGPIPE); // or the tests below would prove nothing
}

TEST(sigpipe, a_write_to_a_closed_pipe_leaves_process_disposition_and_mask_as_they_were) {
    EXPECT_EQ(in_child([] {
                  auto [out, in] = make_pipe();
                  out.reset();
                  for (int i = 0; i < 3; ++i) {
                      const auto done = os::write(in.raw(), bytes_of("x"));
                      if (done || done.error() != std::errc::broken_pipe) {
                          return 1;
                      }
                  }
                  return default_disposition() && !blocked(SIGPIPE) && !pending(SIGPIPE) ? 0 : 2;
              }),
              0);
}

TEST(sigpipe, sockets_of_all_kinds_do_not_raise_it) {
    EXPECT_EQ(in_child([] {
                  for (const auto put : {&os::send, &os::write}) {
                      auto [left, right] = make_pair();
                      right.reset();
                      const auto done = put(left.raw(), bytes_of("x"));
                      if (done || done.error() != std::errc::broken_pipe) {
                          return 1;
                      }
                  }
                  return pending(SIGPIPE) ? 2 : 0;
              }),
              0);
}

TEST(sigpipe, one_that_was_pending_before_is_left_pending) {
    EXPECT_EQ(in_child([] {
                  sigset_t only;
                  ::sigemptyset(&only);
                  ::sigaddset(&only, SIGPIPE);
                  ::pthread_sigmask(SIG_BLOCK, &only, nullptr);
                  ::pthread_kill(::pthread_self(), SIGPIPE);
                  auto [out, in] = make_pipe();
                  out.reset();
                  static_cast<void>(os::write(in.raw(), bytes_of("x")));
                  return pending(SIGPIPE) && blocked(SIGPIPE) ? 0 : 1;
              }),
              0);
}

TEST(sigpipe, one_that_is_blocked_stays_blocked_and_none_is_left_pending) {
    EXPECT_EQ(in_child([] {
                  sigset_t only;
                  ::sigemptyset(&only);
                  ::sigaddset(&only, SIGPIPE);
                  ::pthread_sigmask(SIG_BLOCK, &only, nullptr);
                  auto [out, in] = make_pipe();
                  out.reset();
                  static_cast<void>(os::write(in.raw(), bytes_of("x")));
                  return !pending(SIGPIPE) && blocked(SIGPIPE) ? 0 : 1;
              }),
              0);
}

TEST(sigpipe, a_write_cut_short_by_the_reader_leaving_does_not_kill) {
    EXPECT_EQ(in_child([] {
                  auto [out, in] = make_pipe(0);
                  const std::vector<std::byte> much(4U << 20); // more than any pipe holds
                  std::thread reader{[&out = out] {
                      std::array<std::byte, 100> some{};
                      static_cast<void>(os::read(out.raw(), some));
                      out.reset();
                  }};
                  const auto done = os::write(in.raw(), much);
                  reader.join();
                  const bool cut =
                      done ? *done < much.size() : done.error() == std::errc::broken_pipe;
                  return cut && !pending(SIGPIPE) && !blocked(SIGPIPE) ? 0 : 1;
              }),
              0);
}

TEST(sigpipe, a_terminal_whose_other_end_is_gone_does_not_kill) {
    EXPECT_EQ(in_child([] {
                  fd master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
                  if (!master || ::grantpt(master.raw()) != 0 || ::unlockpt(master.raw()) != 0) {
                      return 0; // no terminals here: nothing to show
                  }
                  const fd slave{::open(::ptsname(master.raw()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
                  master.reset();
                  const auto done = os::write(slave.raw(), bytes_of("x"));
                  return done || blocked(SIGPIPE) ? 1 : 0;
              }),
              0);
}

TEST(bytes, errors_keep_their_number) {
    EXPECT_EQ(os::write(-1, bytes_of("x")).error(), std::errc::bad_file_descriptor);
    std::array<std::byte, 1> room{};
    EXPECT_EQ(os::read(-1, room).error(), std::errc::bad_file_descriptor);
    const auto [out, in] = make_pipe(O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(os::read(out.raw(), room).error(), std::errc::operation_would_block);
    EXPECT_EQ(os::recv(out.raw(), room).error(), std::errc::not_a_socket);
}

} // namespace
} // namespace portico::os
