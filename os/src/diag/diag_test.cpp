#include "portico/os/diag.hpp"
#include "portico/os/route.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

using diagnose::socket_state;

// A listening TCP socket of this process on any port of a loopback address.
struct server {
    explicit server(ip::family which) {
        const ip::endpoint any{ip::address::loopback(which), 0};
        socket = os::socket(any, ip::transport::tcp).value();
        EXPECT_TRUE(os::set_reuse_address(socket, true) && os::bind(socket, any) &&
                    os::listen(socket, 5));
        at = std::get<ip::endpoint>(os::getsockname(socket.raw()).value());
    }
    fd socket;
    ip::endpoint at;
};

std::vector<diagnose::socket> at_port(const server& which) {
    socket_query query;
    query.family = which.at.address.family();
    query.local_port = which.at.port;
    const auto diag = open_sock_diag();
    const auto got = diag ? inet_sockets(*diag, query) : tl::unexpected{diag.error()};
    EXPECT_TRUE(got) << got.error().message();
    return got.value_or(std::vector<diagnose::socket>{});
}

TEST(inet_sockets, are_those_at_the_port_and_no_others) {
    for (const auto family : {ip::family::v4, ip::family::v6}) {
        const server one{family};
        const server other{family};
        const auto found = at_port(one);
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].local, ip::any_endpoint{one.at});
        EXPECT_EQ(found[0].state, socket_state::listening);
        EXPECT_EQ(found[0].most, 5U);
        EXPECT_EQ(found[0].uid, ::getuid());
        EXPECT_EQ(found[0].v6only.has_value(), family == ip::family::v6);
        EXPECT_NE(found[0].inode, 0U);
    }
}

TEST(find_holders, finds_this_process_and_its_flags) {
    const server mine{ip::family::v4};
    const auto found = at_port(mine);
    ASSERT_EQ(found.size(), 1U);
    const std::uint64_t inode = found[0].inode;
    const auto search = find_holders(std::span{&inode, 1}, false);
    ASSERT_TRUE(search);
    ASSERT_EQ(search->found.size(), 1U);
    EXPECT_EQ(search->found[0], (socket_holder{::getpid(), mine.socket.raw(), inode}));
    const auto flags = read_reuse_flags(search->found[0]);
    if (!flags) {
        GTEST_SKIP() << "pidfd_getfd(2): " << flags.error().message();
    }
    EXPECT_TRUE(flags->address);
    EXPECT_FALSE(flags->port);
    // Another socket by now, under the same number.
    EXPECT_EQ(read_reuse_flags({::getpid(), mine.socket.raw(), inode + 1}).error().value(), ESTALE);
}

TEST(find_holders, of_no_socket_finds_nothing) {
    const std::uint64_t none = UINT64_MAX;
    EXPECT_TRUE(find_holders(std::span{&none, 1}, false)->found.empty());
    EXPECT_TRUE(find_holders({}, false)->found.empty());
}

TEST(read_process, tells_of_this_one) {
    const auto read = read_process(::getpid());
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->pid, ::getpid());
    EXPECT_EQ(read->state, 'R');
    EXPECT_NE(read->command.find("os_tests"), std::string::npos);
    EXPECT_EQ(read->uid, ::geteuid());
    EXPECT_FALSE(read_process(0));
}

TEST(unix_sockets, are_found_by_their_name) {
    const auto name = *ip::unix_name::abstract("portico-diag-" + std::to_string(::getpid()));
    const auto s = os::socket(name, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(s, name) && os::listen(s, 3));
    const auto diag = open_sock_diag();
    ASSERT_TRUE(diag);
    auto found = unix_sockets(*diag);
    if (!found && found.error() == std::errc::no_such_file_or_directory) {
        GTEST_SKIP() << "this kernel has no unix_diag";
    }
    ASSERT_TRUE(found) << found.error().message();
    std::erase_if(*found, [&](const auto& each) { return each.local != ip::any_endpoint{name}; });
    ASSERT_EQ(found->size(), 1U);
    EXPECT_FALSE(found->front().file);
    EXPECT_EQ(found->front().most, 3U);
    EXPECT_EQ(found->front().state, socket_state::listening);
}

// A process in a network namespace of its own, until it is destroyed.
struct far_process {
    far_process() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        pid = ::fork();
        if (pid == 0) {
            const bool alone =
                ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
            const char said = alone ? 'y' : 'n';
            (void)!::write(ends[1], &said, 1);
            ::pause();
            ::_exit(0);
        }
        char said = 'n';
        EXPECT_EQ(::read(ends[0], &said, 1), 1);
        is_alone = said == 'y';
        ::close(ends[0]);
        ::close(ends[1]);
    }
    far_process(const far_process&) = delete;
    far_process& operator=(const far_process&) = delete;
    ~far_process() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    pid_t pid = -1;
    bool is_alone = false;
};

TEST(find_network_namespaces, counts_those_that_are_more_than_wanted) {
    const far_process there;
    if (!there.is_alone) {
        GTEST_SKIP() << "no network namespace can be made here";
    }
    const auto none = find_network_namespaces(0);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_TRUE(none->found.empty());
    EXPECT_GE(none->left_out, 1U);
    const auto all = find_network_namespaces(100'000);
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_EQ(all->left_out, 0U);
    EXPECT_FALSE(all->found.empty());
}

TEST(find_route, to_this_host_is_local) {
    const auto found = find_route({ip::address::loopback(ip::family::v4)});
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_TRUE(found->local);
    EXPECT_EQ(found->interface, "lo");
}

// ---- bytes ----

std::vector<std::byte> one_answer() {
    struct {
        nlmsghdr header;
        inet_diag_msg body;
        nlattr attribute;
        std::uint32_t value;
    } raw{};
    raw.header.nlmsg_len = sizeof raw;
    raw.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    raw.body.idiag_family = AF_INET6;
    raw.body.idiag_state = 10;
    raw.body.id.idiag_sport = 0x901f; // 8080 in network order
    raw.body.idiag_inode = 77;
    raw.attribute = {sizeof(nlattr) + 1, INET_DIAG_SKV6ONLY};
    raw.value = 1;
    const auto bytes = std::as_bytes(std::span{&raw, 1});
    return {bytes.begin(), bytes.end()};
}

TEST(parse_sock_diag, reads_an_answer) {
    const auto reply = parse_sock_diag(one_answer(), ip::transport::tcp);
    EXPECT_FALSE(reply.malformed);
    ASSERT_EQ(reply.sockets.size(), 1U);
    const auto& read = reply.sockets[0];
    EXPECT_EQ(ip::to_text(read.local), "[::]:8080");
    EXPECT_EQ(read.v6only, true);
    EXPECT_EQ(read.inode, 77U);
}

TEST(parse_sock_diag, of_any_part_of_an_answer_is_malformed) {
    const auto whole = one_answer();
    for (std::size_t size = 1; size < whole.size(); ++size) {
        const auto reply = parse_sock_diag(std::span{whole}.first(size), ip::transport::tcp);
        EXPECT_TRUE(reply.malformed) << size;
        EXPECT_TRUE(reply.sockets.empty()) << size;
    }
}

TEST(parse_sock_diag, an_attribute_that_points_outside_is_malformed) {
    auto bytes = one_answer();
    bytes[sizeof(nlmsghdr) + sizeof(inet_diag_msg)] = std::byte{200};
    EXPECT_TRUE(parse_sock_diag(bytes, ip::transport::tcp).malformed);
}

} // namespace
} // namespace portico::os
