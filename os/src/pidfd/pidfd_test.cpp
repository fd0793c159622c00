#include "portico/os/pidfd.hpp"

#include "portico/os/inherit.hpp"
#include "portico/os/listening.hpp"
#include "spawn/starting_test.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

using testing::HasSubstr;

constexpr uid_t nobody_else = 70'021;

// A process that has done `first` and then waits to be killed.
class waiting_process {
public:
    explicit waiting_process(const std::function<bool()>& first = [] { return true; }) {
        auto [ours, theirs] = connection();
        pid_ = ::fork();
        if (pid_ == 0) {
            const char told = first() ? 'y' : 'n';
            const bool is_told = ::write(theirs.raw(), &told, 1) == 1;
            while (is_told) {
                ::pause();
            }
            ::_exit(1);
        }
        theirs.reset();
        char told = 0;
        EXPECT_EQ(::read(ours.raw(), &told, 1), 1);
        EXPECT_EQ(told, 'y');
    }
    waiting_process(const waiting_process&) = delete;
    waiting_process& operator=(const waiting_process&) = delete;
    ~waiting_process() { end(); }

    void end() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
            pid_ = -1;
        }
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
};

fd pidfd_of(const waiting_process& which) {
    auto opened = pidfd_open(which.pid());
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : fd{};
}

const ip::endpoint loopback{ip::address::loopback(ip::family::v4), 0};

fd listening_socket() {
    auto made = os::socket(loopback, ip::transport::tcp);
    EXPECT_TRUE(made && os::bind(*made, loopback) && os::listen(*made, 5));
    return std::move(*made);
}

TEST(pidfd, a_listening_socket_of_an_unmodified_process_is_found_and_outlives_it) {
    auto listening = listening_socket();
    const auto name = os::getsockname(listening.raw()).value();
    waiting_process other;
    const int number = listening.raw();
    listening.reset();
    const auto process = pidfd_of(other);
    EXPECT_EQ(pid_of(process), other.pid());

    const auto sockets = open_sockets(process);
    ASSERT_TRUE(sockets) << sockets.error().message();
    const auto found = std::find_if(sockets->begin(), sockets->end(),
                                    [number](const auto& each) { return each.number == number; });
    ASSERT_NE(found, sockets->end());
    const auto taken = pidfd_getfd(process, found->number);
    ASSERT_TRUE(taken) << taken.error().message();
    const auto seen = inspect_socket(taken->raw());
    ASSERT_TRUE(seen);
    EXPECT_TRUE(seen->listening);
    EXPECT_EQ(seen->bound, name);

    const auto before = os::socket(loopback, ip::transport::tcp);
    static_cast<void>(os::connect(*before, name)); // it waits in the queue
    other.end();
    EXPECT_TRUE(os::accept4(taken->raw()));
}

TEST(pidfd, two_numbers_of_one_socket_have_one_inode_and_files_are_left_out) {
    const auto listening = listening_socket();
    const auto again = os::dup(listening);
    ASSERT_TRUE(again);
    const fd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const auto itself = pidfd_open(::getpid());
    ASSERT_TRUE(itself);
    const auto all = open_sockets(*itself).value();
    const auto numbered = [&all](const fd& which) {
        return std::find_if(all.begin(), all.end(),
                            [&which](const auto& each) { return each.number == which.raw(); });
    };
    ASSERT_NE(numbered(listening), all.end());
    ASSERT_NE(numbered(*again), all.end());
    EXPECT_EQ(numbered(listening)->inode, numbered(*again)->inode);
    EXPECT_NE(numbered(listening)->inode, 0U);
    EXPECT_EQ(numbered(file), all.end());
}

TEST(pidfd, it_is_readable_when_the_process_has_ended_and_never_means_another) {
    waiting_process other;
    const auto process = pidfd_of(other);
    pollfd ended{process.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 0), 0);
    EXPECT_TRUE(pidfd_send_signal(process, 0));
    ASSERT_TRUE(pidfd_send_signal(process, SIGKILL));
    EXPECT_EQ(::poll(&ended, 1, -1), 1);
    other.end();
    EXPECT_EQ(pidfd_send_signal(process, 0).error().value(), ESRCH);
    EXPECT_EQ(pid_of(process).error().value(), ESRCH);
    EXPECT_EQ(open_sockets(process).error().value(), ESRCH);
    EXPECT_EQ(pidfd_getfd(process, 0).error().value(), ESRCH);
}

TEST(pidfd, what_is_no_process_and_what_is_no_descriptor_of_it_are_told) {
    EXPECT_EQ(pidfd_open(-1).error().value(), EINVAL);
    pid_t gone = -1;
    {
        const waiting_process other;
        gone = other.pid();
        EXPECT_EQ(pidfd_getfd(pidfd_of(other), 1'000'000).error().value(), EBADF);
    }
    EXPECT_EQ(pidfd_open(gone).error().value(), ESRCH);
    const fd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(pid_of(file).error().value(), EINVAL);
    EXPECT_FALSE(pid_of(fd{}));
}

bool become(uid_t user) {
    return ::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0;
}

// What a process of this user is told when it wants to take stdin from the other.
std::string refusal_of(const waiting_process& other, uid_t asking) {
    const auto process = pidfd_of(other);
    return told_by_process([&]() -> std::string {
        if (!become(asking)) {
            return "no other user";
        }
        const auto taken = pidfd_getfd(process, 0);
        const auto list = open_sockets(process);
        if (taken || list) {
            return "may";
        }
        const auto told = why_not_taken(gather_ptrace_facts(other.pid()));
        return taken.error().message() + "; " + list.error().message() + "; " + told.why + "; " +
               told.hint;
    });
}

TEST(pidfd, a_process_of_another_user_refuses_and_both_users_are_named) {
    NEEDS_ROOT();
    const waiting_process other;
    const auto told = refusal_of(other, nobody_else);
    EXPECT_THAT(told, HasSubstr("Operation not permitted; Permission denied; it runs as user 0, "
                                "and this process as 70021; run this one as that user, or give"));
}

// As one that was root when it started is, and then became another user.
TEST(pidfd, a_process_that_is_not_dumpable_refuses_its_own_user) {
    NEEDS_ROOT();
    const waiting_process other{[] { return become(nobody_else); }};
    EXPECT_THAT(refusal_of(other, nobody_else), HasSubstr("it is not dumpable"));
}

TEST(pidfd, a_process_of_the_same_user_lets_it_take) {
    NEEDS_ROOT();
    if (gather_ptrace_facts(::getpid()).yama_scope.value_or(0) != 0) {
        GTEST_SKIP() << "kernel.yama.ptrace_scope is not 0";
    }
    const waiting_process other{
        [] { return become(nobody_else) && ::prctl(PR_SET_DUMPABLE, 1) == 0; }};
    EXPECT_EQ(refusal_of(other, nobody_else), "may");
}

} // namespace
} // namespace portico::os
