// A child process with a network namespace of its own in which two interfaces, va and vb, are the
// ends of one cable. Lets a test change addresses and sysctls without leaving anything behind.
#pragma once

#include "portico/os/fd.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iostream>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico {

// Runs ip(8) with these arguments; a failure fails the test.
inline void ip_tool(const std::string& arguments) {
    EXPECT_EQ(std::system(("ip " + arguments).c_str()), 0) << "ip " << arguments;
}

// Enters a network namespace, without root in a user namespace where we are root: ip(8) is another
// program and keeps its rights only as root.
inline bool unshare_network() {
    if (::unshare(CLONE_NEWNET) == 0) {
        return true;
    }
    const auto uid = ::getuid();
    const auto gid = ::getgid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    std::ofstream{"/proc/self/setgroups"} << "deny\n";
    std::ofstream{"/proc/self/uid_map"} << "0 " << uid << " 1\n";
    std::ofstream{"/proc/self/gid_map"} << "0 " << gid << " 1\n";
    return true;
}

// In the child: why it cannot be run, or nothing.
inline std::string enter_veth_network() {
    if (!unshare_network()) {
        return std::string{"no private network namespace: "} + std::strerror(errno);
    }
    if (std::system("ip -V >/dev/null 2>&1") != 0) {
        return "ip(8) is not installed";
    }
    if (std::system("ip link set lo up && ip link add va type veth peer name vb") != 0) {
        return "no veth devices";
    }
    return {};
}

// Neither end makes up link-local addresses or checks for duplicates, unless a test wants it.
inline void quiet(const std::string& interface) {
    std::ofstream{"/proc/sys/net/ipv6/conf/" + interface + "/addr_gen_mode"} << "1\n";
    std::ofstream{"/proc/sys/net/ipv6/conf/" + interface + "/accept_ra"} << "0\n";
}

// That a cable carries is told late, by a worker of the kernel, and would come between other
// events.
inline void wait_until_running(const char* interface) {
    const os::fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq asked{};
    std::strncpy(asked.ifr_name, interface, IFNAMSIZ - 1);
    while (::ioctl(any.raw(), SIOCGIFFLAGS, &asked) == 0 && (asked.ifr_flags & IFF_RUNNING) == 0) {
        ::usleep(1000);
    }
}

// Runs `body` in such a child; its failures fail this test, and without namespaces it is skipped.
inline void in_veth_child(const std::function<void()>& body) {
    constexpr int skipped = 77;
    std::cout.flush();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto why = enter_veth_network();
        if (!why.empty()) {
            std::cout << "SKIPPED: " << why << std::endl;
            ::_exit(skipped);
        }
        quiet("va");
        quiet("vb");
        ip_tool("link set va up");
        ip_tool("link set vb up");
        wait_until_running("va");
        wait_until_running("vb");
        body();
        std::cout.flush();
        std::fflush(nullptr);
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == skipped) {
        GTEST_SKIP() << "no private network here, see above";
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed, see above";
}

} // namespace portico
