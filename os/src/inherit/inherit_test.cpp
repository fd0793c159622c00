#include "portico/os/inherit.hpp"
#include "portico/os/socket.hpp"

#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

const ip::endpoint loopback{ip::address::loopback(ip::family::v4), 0};

fd bound_socket(ip::transport over) {
    auto s = os::socket(loopback, over);
    EXPECT_TRUE(s && os::bind(*s, loopback));
    return std::move(*s);
}

listen_environment environment(std::string fds, pid_t pid, std::optional<std::string> names = {}) {
    return {std::move(fds), std::to_string(pid), std::move(names)};
}

// Runs `act` in a child whose descriptors from 3 on are `passed` and nothing else, as a manager
// leaves them: not close-on-exec. True when it returned true.
bool in_child_with(const std::vector<int>& passed, const std::function<bool()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::vector<int> high; // out of the way first: one may lie where another goes
        for (const int each : passed) {
            high.push_back(::fcntl(each, F_DUPFD, 100));
        }
        for (int i = first_inherited; i < 100; ++i) {
            ::close(i);
        }
        for (std::size_t i = 0; i < high.size(); ++i) {
            ::dup2(high[i], first_inherited + static_cast<int>(i));
            ::close(high[i]);
        }
        ::_exit(act() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(inherit, sockets_are_taken_over_with_their_names_and_kept_from_children) {
    const fd stream = bound_socket(ip::transport::tcp);
    ASSERT_TRUE(os::listen(stream, 1));
    const fd datagrams = bound_socket(ip::transport::udp);
    const auto stream_name = os::getsockname(stream.raw()).value();
    EXPECT_TRUE(in_child_with({stream.raw(), datagrams.raw()}, [&] {
        const auto got = inherited_sockets(environment("2", ::getpid(), "web:dns"), ::getpid());
        return got && got->size() == 2 && (*got)[0].number == 3 && (*got)[0].name == "web" &&
               (*got)[0].listening && (*got)[0].over == ip::transport::tcp &&
               (*got)[0].bound == stream_name && (*got)[1].name == "dns" && !(*got)[1].listening &&
               (*got)[1].over == ip::transport::udp && (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 &&
               (::fcntl(4, F_GETFD) & FD_CLOEXEC) != 0;
    }));
}

TEST(inherit, sockets_need_no_names) {
    const fd stream = bound_socket(ip::transport::tcp);
    EXPECT_TRUE(in_child_with({stream.raw()}, [&] {
        const auto got = inherited_sockets(environment("1", ::getpid()), ::getpid());
        return got && got->size() == 1 && (*got)[0].name.empty() && !(*got)[0].listening;
    }));
}

TEST(inherit, what_is_for_another_process_or_for_none_is_none) {
    EXPECT_TRUE(inherited_sockets({}, 10).value().empty());
    EXPECT_TRUE(inherited_sockets({"1", std::nullopt, std::nullopt}, 10).value().empty());
    EXPECT_TRUE(inherited_sockets({std::nullopt, "10", std::nullopt}, 10).value().empty());
    EXPECT_TRUE(inherited_sockets({"1", "11", "web"}, 10).value().empty());
    EXPECT_TRUE(inherited_sockets({"0", "10", ""}, 10).value().empty());
}

TEST(inherit, malformed_values_are_errors_that_teach) {
    struct {
        listen_environment given;
        const char* what;
    } const cases[] = {
        {{"many", "10", {}}, "LISTEN_FDS=many: it is not a number of sockets"},
        {{"-1", "10", {}}, "LISTEN_FDS=-1: it is not a number of sockets"},
        {{"1 ", "10", {}}, "LISTEN_FDS=1 : it is not a number of sockets"},
        {{"", "10", {}}, "LISTEN_FDS=: it is not a number of sockets"},
        {{"2147483647", "10", {}}, "LISTEN_FDS=2147483647: it is not a number of sockets"},
        {{"1", "self", {}}, "LISTEN_PID=self: it is not a process number"},
        {{"1", "0", {}}, "LISTEN_PID=0: it is not a process number"},
        {{"1", "\x1b[31m", {}}, "LISTEN_PID=?[31m: it is not a process number"},
        {{"1", "10", "a:b"}, "LISTEN_FDNAMES=a:b: 2 names for 1 sockets"},
        {{"2", "10", "a"}, "LISTEN_FDNAMES=a: 1 names for 2 sockets"},
    };
    for (const auto& [given, what] : cases) {
        const auto got = inherited_sockets(given, 10);
        ASSERT_FALSE(got) << what;
        EXPECT_EQ(got.error().what, what);
        EXPECT_FALSE(got.error().hint.empty());
        EXPECT_EQ(got.error().why.who, side::caller);
    }
}

TEST(inherit, a_descriptor_that_is_not_open_or_not_a_socket_is_named) {
    const fd stream = bound_socket(ip::transport::tcp);
    EXPECT_TRUE(in_child_with({stream.raw()}, [&] {
        const auto got = inherited_sockets(environment("2", ::getpid()), ::getpid());
        return !got && got.error().what == "descriptor 4, which LISTEN_FDS=2 passes, is not open";
    }));
    const fd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    EXPECT_TRUE(in_child_with({file.raw()}, [&] {
        const auto got = inherited_sockets(environment("1", ::getpid()), ::getpid());
        return !got &&
               got.error().what == "descriptor 3, which LISTEN_FDS=1 passes, is not a socket";
    }));
}

TEST(inspect_socket, says_what_a_descriptor_is) {
    const fd stream = bound_socket(ip::transport::tcp);
    const auto seen = inspect_socket(stream.raw());
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->number, stream.raw());
    EXPECT_EQ(seen->bound, os::getsockname(stream.raw()).value());
    EXPECT_EQ(seen->over, ip::transport::tcp);
    EXPECT_FALSE(seen->listening);
    ASSERT_TRUE(os::listen(stream, 1));
    EXPECT_TRUE(inspect_socket(stream.raw())->listening);
    EXPECT_EQ(inspect_socket(-1).error().code, std::errc::bad_file_descriptor);
    const fd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(inspect_socket(file.raw()).error().code, std::errc::not_a_socket);
}

TEST(inspect_socket, knows_unix_sockets_and_those_that_are_neither_stream_nor_datagram) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const fd left{ends[0]};
    const fd right{ends[1]};
    const auto seen = inspect_socket(left.raw());
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->bound, ip::any_endpoint{ip::unix_name{}});
    EXPECT_FALSE(seen->over);
}

TEST(bound_device, is_what_the_option_says) {
    const ip::any_endpoint at = ip::endpoint{ip::address::v4(127, 0, 0, 1), 0};
    const auto free = os::socket(at, ip::transport::udp).value();
    EXPECT_EQ(bound_device(free.raw(), at), "");
    const auto bound = os::socket(at, ip::transport::udp).value();
    if (!os::set_bind_to_device(bound, "lo")) {
        GTEST_SKIP() << "SKIPPED: this kernel lets only root bind to a device";
    }
    EXPECT_EQ(bound_device(bound.raw(), at), "lo");
    EXPECT_EQ(bound_device(bound.raw(), ip::unix_name{}), "");
}

} // namespace
} // namespace portico::os
