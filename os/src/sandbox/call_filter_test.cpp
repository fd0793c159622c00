#include "portico/os/sandbox.hpp"

#include "portico/os/privileges.hpp"
#include "spawn/starting_test.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace portico::os {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using list = call_filter::list;
using answer = call_filter::answer;

class call_filter_test : public testing::Test {
protected:
    void SetUp() override {
        if (const auto can = call_filters_available(); !can) {
            GTEST_SKIP() << "this kernel cannot filter system calls: " << can.error().message();
        }
    }
};

std::vector<std::string> installed(const call_filter& wanted) {
    EXPECT_TRUE(set_no_new_privileges());
    const auto done = install_call_filter(wanted);
    EXPECT_TRUE(done) << done.error().message();
    return done ? *done : std::vector<std::string>{};
}

// What mkdir(2) of a directory that is there says: EEXIST when it is not refused.
std::string try_mkdir() {
    return ::mkdir("/", 0700) == 0 ? "made" : std::strerror(errno);
}

std::string message(int number) {
    return std::error_code{number, std::system_category()}.message();
}

const std::vector<std::string> making_directories{"mkdir", "mkdirat"};

TEST_F(call_filter_test, a_denied_call_fails_with_the_number_and_the_others_work) {
    EXPECT_EQ(told_by_process([] {
                  EXPECT_THAT(installed({.names = making_directories}), IsEmpty());
                  return try_mkdir() + (::getppid() > 0 ? ", works" : "");
              }),
              message(EPERM) + ", works");
    EXPECT_EQ(told_by_process([] {
                  installed({.names = making_directories, .number = ENOSYS});
                  return try_mkdir();
              }),
              message(ENOSYS));
    EXPECT_EQ(told_by_process([] { return try_mkdir(); }), message(EEXIST));
}

// Memory, and what sanitizers need at an end, have to be there besides.
TEST_F(call_filter_test, what_is_not_on_a_list_of_allowed_calls_fails) {
    EXPECT_EQ(told_by_process([] {
                  installed({.which = list::allow,
                             .names = {"write", "exit_group", "brk", "mmap", "munmap", "mprotect",
                                       "madvise", "futex", "getpid", "sigaltstack"}});
                  const bool allowed = ::getpid() > 0;
                  return try_mkdir() + (allowed ? ", works" : "") +
                         (::getppid() < 0 ? ", refused" : "");
              }),
              message(EPERM) + ", works, refused");
}

TEST_F(call_filter_test, sockets_are_of_the_families_that_are_allowed) {
    const auto opened = [](int family) {
        const fd made{::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        return made ? "open" : std::strerror(errno);
    };
    EXPECT_EQ(told_by_process([&] {
                  installed({.which = list::allow,
                             .names = {"write", "exit_group", "brk", "mmap", "munmap", "mprotect",
                                       "madvise", "futex", "close", "sigaltstack"},
                             .socket_families = {AF_UNIX, AF_INET6}});
                  return std::string{opened(AF_UNIX)} + ", " + opened(AF_INET6) + ", " +
                         opened(AF_INET);
              }),
              "open, open, " + message(EPERM));
    EXPECT_EQ(
        install_call_filter({.which = list::deny, .socket_families = {AF_INET}}).error().value(),
        EINVAL);
}

// How a process ends that does this.
exit_report end_of_process(const std::function<void()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        act();
        ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
}

TEST_F(call_filter_test, a_denied_call_ends_the_process_when_that_is_asked_for) {
    const auto end = end_of_process([] {
        installed({.names = making_directories, .refused = answer::kill});
        try_mkdir();
    });
    EXPECT_EQ(end, (exit_report{true, SIGSYS}));
}

TEST_F(call_filter_test, threads_that_run_already_are_held_too) {
    EXPECT_EQ(told_by_process([] {
                  std::array<int, 2> ends{};
                  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
                  const fd out{ends[0]};
                  fd in{ends[1]};
                  std::string seen;
                  std::thread other{[&] {
                      static_cast<void>(read_all(out)); // until the other is closed
                      seen = try_mkdir();
                  }};
                  installed({.names = making_directories});
                  in.reset();
                  other.join();
                  return seen;
              }),
              message(EPERM));
}

TEST_F(call_filter_test, programs_that_are_started_are_held_too) {
    EXPECT_THAT(told_by_process([] {
                    installed({.names = making_directories});
                    return said("mkdir /tmp/portico-never 2>&1", {});
                }),
                HasSubstr("Operation not permitted"));
}

TEST_F(call_filter_test, names_that_are_not_of_this_architecture_are_skipped_and_told) {
    EXPECT_EQ(told_by_process([] {
                  EXPECT_THAT(installed({.names = {"mkdir", "no_such_call", "mkdirat",
                                                   "arm_sync_file_range", "mkdir", ""}}),
                              ElementsAre("no_such_call", "arm_sync_file_range", ""));
                  return try_mkdir();
              }),
              message(EPERM));
}

TEST_F(call_filter_test, without_no_new_privileges_it_is_refused) {
    if (read_privileges()->no_new_privileges) {
        GTEST_SKIP() << "no_new_privs is set here already";
    }
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(keep_capabilities(0));
                  const auto done = install_call_filter({.names = making_directories});
                  return (done ? "" : done.error().message()) + "; " + try_mkdir();
              }),
              message(EACCES) + "; " + message(EEXIST));
}

TEST_F(call_filter_test, a_number_that_is_no_errno_is_refused) {
    EXPECT_EQ(install_call_filter({.names = {}, .number = -1}).error().value(), EINVAL);
}

#ifdef __x86_64__
// getppid(2) by the ABI of 32 bits.
int getppid_by_32_bits() {
    int returned = 64;
    asm volatile("int $0x80" : "+a"(returned) : : "memory", "cc");
    return returned;
}

TEST_F(call_filter_test, calls_by_the_abi_of_32_bits_are_no_way_around) {
    if (end_of_process([] { ::_exit(getppid_by_32_bits() > 0 ? 7 : 8); }).number != 7) {
        GTEST_SKIP() << "this kernel has no ABI of 32 bits";
    }
    const auto end = end_of_process([] {
        installed({.names = making_directories});
        ::_exit(getppid_by_32_bits() == -EPERM ? 7 : 8);
    });
    EXPECT_EQ(end, (exit_report{false, 7}));
}
#endif

} // namespace
} // namespace portico::os
