// What the tests of starting programs share.
#pragma once

#include "portico/os/privileges.hpp"
#include "portico/os/spawn.hpp"

#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace portico::os {

struct joined {
    fd ours;
    fd theirs;
};

inline joined connection() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    // Ours blocks: the two ends are different open files.
    EXPECT_EQ(::fcntl(ends[0], F_SETFL, 0), 0);
    return {fd{ends[0]}, fd{ends[1]}};
}

// All that the program writes until it closes the connection.
inline std::string read_all(const fd& from) {
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t size = 1; (size = ::read(from.raw(), part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<std::size_t>(size));
    }
    return text;
}

inline exit_report end_of(child& program) {
    if (program.process() < 0) {
        ADD_FAILURE() << "it was not started, or cannot be watched";
        return {};
    }
    pollfd waiting{program.process(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    const auto end = program.reap();
    EXPECT_TRUE(end && *end);
    return end && *end ? **end : exit_report{};
}

// With the connection for its stdin and stdout, and our stderr.
inline tl::expected<child, spawn_failure> try_start(const std::vector<std::string>& argv,
                                                    const std::vector<std::string>& env, fd to,
                                                    const spawn_settings& how) {
    EXPECT_TRUE(set_blocking(to.raw(), true));
    return spawn(argv.front(), argv, env, std::array{to.raw(), to.raw(), STDERR_FILENO}, how);
}

inline child start(const std::vector<std::string>& argv, const std::vector<std::string>& env, fd to,
                   const spawn_settings& how = {}) {
    auto made = try_start(argv, env, std::move(to), how);
    EXPECT_TRUE(made) << to_text(made.error(), how) << ": " << made.error().why.message();
    return made ? std::move(*made) : child{};
}

inline child shell(const std::string& script, fd to, const spawn_settings& how = {}) {
    return start({"/bin/sh", "-c", script}, {"PATH=/usr/bin:/bin"}, std::move(to), how);
}

// What the script says when it is started like that.
inline std::string said(const std::string& script, const spawn_settings& how) {
    auto [ours, theirs] = connection();
    auto program = shell(script, std::move(theirs), how);
    auto text = read_all(ours);
    end_of(program);
    return text;
}

// Why it is not started like that; a default one when it is.
inline spawn_failure refusal(const spawn_settings& how) {
    auto [ours, theirs] = connection();
    auto made = try_start({"/bin/true"}, {}, std::move(theirs), how);
    EXPECT_FALSE(made);
    if (made) {
        end_of(*made);
    }
    return made ? spawn_failure{} : made.error();
}

// What `tell` says in a process of its own, which may change what belongs to a process.
template <class Tell>
std::string told_by_process(Tell tell) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const fd from{ends[0]};
    fd to{::fcntl(ends[1], F_DUPFD_CLOEXEC, 30)}; // out of its way
    ::close(ends[1]);
    const pid_t apart = ::fork();
    if (apart == 0) {
        const std::string text = tell();
        const bool is_told = ::write(to.raw(), text.data(), text.size()) >= 0;
        ::_exit(is_told && !testing::Test::HasFailure() ? 0 : 1);
    }
    to.reset();
    auto text = read_all(from);
    int status = 0;
    EXPECT_EQ(::waitpid(apart, &status, 0), apart);
    EXPECT_EQ(status, 0) << "see what it says above";
    return text;
}

// Makes these of ours inheritable and ambient, as a manager does (AmbientCapabilities= of systemd),
// and gives up all others.
inline bool keep_as_ambient(capability_set keep) {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    data[0].effective = data[0].permitted = data[0].inheritable = static_cast<std::uint32_t>(keep);
    bool done = ::syscall(SYS_capset, &head, data.data()) == 0;
    for (unsigned each = 0; each < 32; ++each) {
        done = done && (!has_capability(keep, each) ||
                        ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0) == 0);
    }
    return done;
}

// For what only root may do.
#define NEEDS_ROOT()                                                                               \
    if (::geteuid() != 0) {                                                                        \
        GTEST_SKIP() << "only root may do this";                                                   \
    }

} // namespace portico::os
