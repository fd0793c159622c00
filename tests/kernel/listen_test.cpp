// Listening on a real kernel. Each test runs in a child process with a network namespace of its
// own, because it changes sysctls, limits and system call filters of the process.

#include "portico/os/clock.hpp"
#include "portico/os/facts.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/listen_facts.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <iostream>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico {
namespace {

using ip::transport;
using plan::wish;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// ---- a private place for each test ----

constexpr int skipped = 77;

bool loopback_up() {
    const os::fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ::ioctl(any.raw(), SIOCSIFFLAGS, &request) == 0;
}

bool enter_private_network() {
    if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    return loopback_up();
}

// The exit status of `body` in a child process.
int in_child(const std::function<int()>& body) {
    std::cout.flush();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const int status = body();
        std::cout.flush();
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Says why a part of the test cannot run here; the test is then reported as skipped.
struct cannot_run {
    std::string why;
};

void privately(const std::function<void()>& body) {
    const int status = in_child([&] {
        if (!enter_private_network()) {
            std::cout << "SKIPPED: no private network namespace: " << std::strerror(errno) << '\n';
            return skipped;
        }
        try {
            body();
        } catch (const cannot_run& reason) {
            std::cout << "SKIPPED: " << reason.why << '\n';
            return skipped;
        }
        return testing::Test::HasFailure() ? 1 : 0;
    });
    if (status == skipped) {
        GTEST_SKIP() << "see the reason above";
    }
    EXPECT_EQ(status, 0);
}

void set_sysctl(const std::string& name, const std::string& value) {
    std::ofstream file{"/proc/sys/net/" + name};
    if (!(file << value << std::flush)) {
        throw cannot_run{"cannot write the sysctl net/" + name};
    }
}

void run_command(const std::string& command) {
    if (std::system(command.c_str()) != 0) {
        throw cannot_run{"failed: " + command};
    }
}

// From now on this system call fails with `number` when its arguments `first` and `second`, from
// argument `from` on, are these.
void forbid(int call, unsigned from, std::vector<std::uint32_t> arguments, int number) {
#if defined(__x86_64__)
    constexpr std::uint32_t machine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    constexpr std::uint32_t machine = AUDIT_ARCH_AARCH64;
#else
    throw cannot_run{"no system call filter for this machine"};
    constexpr std::uint32_t machine = 0;
#endif
    const auto load = [](std::size_t at) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(at));
    };
    std::vector<std::pair<std::size_t, std::uint32_t>> all{
        {offsetof(seccomp_data, arch), machine},
        {offsetof(seccomp_data, nr), static_cast<std::uint32_t>(call)}};
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        all.emplace_back(offsetof(seccomp_data, args) + 8 * (from + i), arguments[i]);
    }
    std::vector<sock_filter> program;
    for (std::size_t i = 0; i < all.size(); ++i) {
        program.push_back(load(all[i].first));
        const auto to_allow = static_cast<std::uint8_t>(2 * (all.size() - i - 1) + 1);
        program.push_back(
            sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, all[i].second, 0, to_allow));
    }
    program.push_back(sock_filter BPF_STMT(BPF_RET | BPF_K,
                                           SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number)));
    program.push_back(sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog whole{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) {
        throw cannot_run{"no system call filters here"};
    }
}

void forbid_family(int family) {
    forbid(SYS_socket, 0, {static_cast<std::uint32_t>(family)}, EAFNOSUPPORT);
}

void forbid_v6only() {
    forbid(SYS_setsockopt, 1, {IPPROTO_IPV6, IPV6_V6ONLY}, ENOPROTOOPT);
}

// ---- wishes and starts ----

wish on(std::string_view text, transport over = transport::tcp) {
    wish made;
    auto read = ip::parse_listen_address(text);
    EXPECT_TRUE(read) << text;
    if (read) {
        made.where = *std::move(read);
    }
    made.over = over;
    return made;
}

ip::endpoint at(ip::family family, std::uint16_t port) {
    return {ip::address::loopback(family), port};
}

constexpr auto v4 = ip::family::v4;
constexpr auto v6 = ip::family::v6;

// A listener and the loop that drives it.
struct service {
    explicit service(std::vector<wish> wishes) {
        run::async_listen(context.get_executor(), std::move(wishes),
                          deadline::after(os::now(), std::chrono::seconds{20}),
                          [this](run::listen_outcome got) { outcome = std::move(got); });
        while (!outcome && context.run_one() != 0) {
        }
    }

    [[nodiscard]] bool started() const { return outcome->sockets != nullptr; }
    [[nodiscard]] run::listener& sockets() { return *outcome->sockets; }
    [[nodiscard]] const run::listen_report& report() const { return outcome->report; }
    [[nodiscard]] std::vector<ip::endpoint> endpoints() {
        std::vector<ip::endpoint> all;
        for (const auto& each : sockets().sockets()) {
            all.push_back(std::get<ip::endpoint>(each.at));
        }
        return all;
    }
    [[nodiscard]] int error_of(std::size_t attempt) const {
        const auto& why = report().attempts.at(attempt).why;
        return why ? why->code.value() : 0;
    }

    void begin_accept() {
        context.restart(); // with nothing left to wait for, it had stopped
        sockets().async_accept([this](result<run::accepted> got) { connection = std::move(got); });
    }
    run::accepted accept() {
        begin_accept();
        while (!connection && context.run_one() != 0) {
        }
        auto got = std::exchange(connection, std::nullopt);
        EXPECT_TRUE(got && *got);
        return got && *got ? std::move(**got) : run::accepted{};
    }

    boost::asio::io_context context;
    std::optional<run::listen_outcome> outcome;
    std::optional<result<run::accepted>> connection;
};

// A blocking socket, connected; empty and errno when it cannot be.
os::fd connect_to(const ip::any_endpoint& where, transport over = transport::tcp) {
    const auto name = os::to_sockaddr(where);
    if (!name) {
        return {};
    }
    const int type = over == transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
    os::fd made{::socket(name->data()->sa_family, type | SOCK_CLOEXEC, 0)};
    if (::connect(made.raw(), name->data(), name->size) != 0) {
        const int why = errno;
        made.reset();
        errno = why;
    }
    return made;
}

void raise_descriptor_limit() {
    rlimit now{};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    now.rlim_cur = now.rlim_max;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
    if (now.rlim_cur < 2000) {
        throw cannot_run{"too few descriptors are allowed"};
    }
}

// A socket of somebody else: bound, and listening when it is a stream.
os::fd taken(const ip::endpoint& where, transport over, std::optional<bool> v6only,
             std::uint16_t& port) {
    auto made = os::socket(where, over);
    EXPECT_TRUE(made);
    if (v6only) {
        EXPECT_TRUE(os::set_v6only(*made, *v6only));
    }
    EXPECT_TRUE(os::bind(*made, where));
    if (over == transport::tcp) {
        EXPECT_TRUE(os::listen(*made, 5));
    }
    port = std::get<ip::endpoint>(*os::getsockname(made->raw())).port;
    return *std::move(made);
}

// Another process, which has the socket until this object ends.
class other_process {
public:
    explicit other_process(os::fd has) {
        child_ = ::fork();
        if (child_ == 0) {
            for (;;) {
                ::pause();
            }
        }
        has.reset(); // the child's copy is the only one now
    }
    other_process(const other_process&) = delete;
    other_process& operator=(const other_process&) = delete;
    ~other_process() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }

private:
    pid_t child_ = -1;
};

// A client of this family reaches the service, and is seen as one of that family.
void expect_reachable(service& by, ip::family family, std::uint16_t port, transport over,
                      ip::family seen_as) {
    SCOPED_TRACE(ip::to_text(at(family, port)));
    const auto client = connect_to(at(family, port), over);
    ASSERT_TRUE(client) << std::strerror(errno);
    if (over == transport::tcp) {
        const auto got = by.accept();
        ASSERT_TRUE(got.socket);
        EXPECT_EQ(std::get<ip::endpoint>(got.peer).address.family(), seen_as);
        EXPECT_EQ(std::get<ip::endpoint>(got.local).port, port);
        return;
    }
    const std::byte query[]{std::byte{'?'}};
    ASSERT_TRUE(os::send(client.raw(), query));
    for (const auto& each : by.sockets().sockets()) {
        std::byte room[16];
        const auto got = os::recv_datagram(each.descriptor.raw(), room);
        if (!got) {
            continue;
        }
        EXPECT_EQ(std::get<ip::endpoint>(got->from).address.family(), seen_as);
        ASSERT_TRUE(os::send_reply(each.descriptor.raw(), *got, {room, got->size}));
        EXPECT_EQ(os::recv(client.raw(), room).value_or(0), 1U);
        return;
    }
    ADD_FAILURE() << "the query came to no socket";
}

void expect_reachable(service& by, ip::family family, std::uint16_t port, transport over) {
    expect_reachable(by, family, port, over, family);
}

bool refused(ip::family family, std::uint16_t port) {
    return !connect_to(at(family, port)) && errno == ECONNREFUSED;
}

// ---- the matrix: every state of a host, over TCP and UDP ----

class listen_on : public testing::TestWithParam<transport> {
protected:
    [[nodiscard]] static transport over() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(kernel, listen_on, testing::Values(transport::tcp, transport::udp),
                         [](const auto& each) { return std::string{ip::to_text(each.param)}; });

void expect_both_families(transport over) {
    service made{{on(":0", over)}};
    ASSERT_TRUE(made.started()) << made.report().text();
    const auto open = made.endpoints();
    ASSERT_THAT(open, SizeIs(2)) << made.report().text();
    EXPECT_EQ(open[0].address, ip::address::any(v6));
    EXPECT_EQ(open[1].address, ip::address::any(v4));
    EXPECT_NE(open[0].port, 0);
    EXPECT_EQ(open[0].port, open[1].port);
    EXPECT_TRUE(os::v6only(made.sockets().sockets()[0].descriptor.raw()).value_or(false));
    expect_reachable(made, v6, open[0].port, over);
    expect_reachable(made, v4, open[0].port, over);
}

TEST_P(listen_on, both_families_have_a_socket_each_and_one_port) {
    privately([] { expect_both_families(over()); });
}

TEST_P(listen_on, bindv6only_off_makes_no_difference) {
    privately([] {
        set_sysctl("ipv6/bindv6only", "0");
        expect_both_families(over());
    });
}

TEST_P(listen_on, bindv6only_on_makes_no_difference) {
    privately([] {
        set_sysctl("ipv6/bindv6only", "1");
        expect_both_families(over());
    });
}

TEST_P(listen_on, a_kernel_without_ipv6_has_ipv4) {
    privately([] {
        forbid_family(AF_INET6);
        service made{{on(":0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        ASSERT_THAT(made.endpoints(), SizeIs(1));
        EXPECT_THAT(made.report().text(), HasSubstr("this host has no IPv6"));
        expect_reachable(made, v4, made.endpoints()[0].port, over());
    });
}

TEST_P(listen_on, a_kernel_without_ipv6_is_fatal_when_both_families_are_required) {
    privately([] {
        forbid_family(AF_INET6);
        auto both = on(":0", over());
        both.needed = plan::need::both_families;
        service made{{both}};
        ASSERT_FALSE(made.started());
        EXPECT_EQ(made.report().why->code, errc::required_not_bound);
        EXPECT_THAT(made.report().text(), HasSubstr("no IPv6 socket for ':0'"));
    });
}

TEST_P(listen_on, ipv6_switched_off_by_sysctl_leaves_ipv4) {
    privately([] {
        set_sysctl("ipv6/conf/all/disable_ipv6", "1");
        service made{{on(":0", over()), on("localhost:0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_THAT(made.report().text(), HasSubstr("disable_ipv6"));
        const auto open = made.endpoints();
        ASSERT_FALSE(open.empty());
        bool any_v4 = false;
        for (const auto& each : open) {
            if (each.address.is_v4()) {
                any_v4 = true;
                expect_reachable(made, v4, each.port, over());
            }
        }
        EXPECT_TRUE(any_v4);
        EXPECT_EQ(open.back().address, ip::address::loopback(v4));
    });
}

TEST_P(listen_on, a_host_with_ipv6_only_has_ipv6) {
    privately([] {
        forbid_family(AF_INET);
        service made{{on(":0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        ASSERT_THAT(made.endpoints(), SizeIs(1));
        EXPECT_THAT(made.report().text(), HasSubstr("this host has no IPv4"));
        expect_reachable(made, v6, made.endpoints()[0].port, over());
    });
}

TEST_P(listen_on, another_process_on_the_ipv4_wildcard_leaves_ipv6) {
    privately([] {
        std::uint16_t port = 0;
        const other_process other{taken({ip::address::any(v4), 0}, over(), {}, port)};
        service made{{on(":" + std::to_string(port), over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_EQ(made.error_of(0), 0);
        EXPECT_EQ(made.error_of(1), EADDRINUSE);
        EXPECT_EQ(made.report().attempts[1].covered_by, std::nullopt);
        expect_reachable(made, v6, port, over());
    });
}

TEST_P(listen_on, another_process_on_the_ipv4_wildcard_is_fatal_when_both_are_required) {
    privately([] {
        std::uint16_t port = 0;
        const other_process other{taken({ip::address::any(v4), 0}, over(), {}, port)};
        auto both = on(":" + std::to_string(port), over());
        both.needed = plan::need::both_families;
        service made{{both}};
        ASSERT_FALSE(made.started());
        EXPECT_EQ(made.report().why->code, errc::required_not_bound);
        EXPECT_EQ(made.report().why->who, side::system);
        EXPECT_THAT(made.report().text(), HasSubstr("Address already in use"));
        EXPECT_THAT(made.report().text(), HasSubstr("[::]:" + std::to_string(port) + ": open"));
        if (over() == transport::tcp) {
            EXPECT_TRUE(refused(v6, port)) << "what was opened has been closed again";
        }
    });
}

TEST_P(listen_on, another_process_on_the_ipv6_wildcard_alone_leaves_ipv4) {
    privately([] {
        std::uint16_t port = 0;
        const other_process other{taken({ip::address::any(v6), 0}, over(), true, port)};
        service made{{on(":" + std::to_string(port), over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_EQ(made.error_of(0), EADDRINUSE);
        EXPECT_EQ(made.error_of(1), 0);
        expect_reachable(made, v4, port, over());
    });
}

TEST_P(listen_on, another_process_on_the_ipv6_wildcard_for_both_leaves_nothing) {
    privately([] {
        std::uint16_t port = 0;
        const other_process other{taken({ip::address::any(v6), 0}, over(), false, port)};
        service made{{on(":" + std::to_string(port), over())}};
        ASSERT_FALSE(made.started()) << made.report().text();
        EXPECT_EQ(made.report().why->code, errc::nothing_bound);
        EXPECT_EQ(made.report().why->who, side::system);
        EXPECT_EQ(made.error_of(0), EADDRINUSE);
        EXPECT_EQ(made.error_of(1), EADDRINUSE);
        const auto text = made.report().text();
        EXPECT_THAT(text, HasSubstr("[::]:" + std::to_string(port) + ": bind: Address already"));
        EXPECT_THAT(text, HasSubstr("0.0.0.0:" + std::to_string(port) + ": bind: Address already"));
    });
}

TEST_P(listen_on, v6only_that_cannot_be_set_is_a_remark_and_one_socket_serves_both) {
    privately([] {
        set_sysctl("ipv6/bindv6only", "0");
        forbid_v6only();
        service made{{on(":0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        ASSERT_THAT(made.endpoints(), SizeIs(1));
        EXPECT_EQ(made.error_of(1), 0);
        EXPECT_EQ(made.report().attempts[1].covered_by, 0U);
        EXPECT_THAT(made.report().text(), HasSubstr("IPV6_V6ONLY could not be set"));
        EXPECT_THAT(made.report().text(), HasSubstr("takes IPv4 as well"));
        const auto port = made.endpoints()[0].port;
        expect_reachable(made, v6, port, over());
        expect_reachable(made, v4, port, over(), v6); // as an IPv4-mapped address
    });
}

TEST_P(listen_on, v6only_that_cannot_be_set_does_no_harm_when_it_is_the_default) {
    privately([] {
        set_sysctl("ipv6/bindv6only", "1");
        forbid_v6only();
        service made{{on(":0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        ASSERT_THAT(made.endpoints(), SizeIs(2)) << made.report().text();
        expect_reachable(made, v6, made.endpoints()[0].port, over());
        expect_reachable(made, v4, made.endpoints()[1].port, over());
    });
}

TEST_P(listen_on, localhost_is_both_loopbacks_with_one_port) {
    privately([] {
        service made{{on("localhost:0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        const auto open = made.endpoints();
        ASSERT_THAT(open, SizeIs(2)) << made.report().text();
        EXPECT_EQ(open[0].address, ip::address::loopback(v6));
        EXPECT_EQ(open[1].address, ip::address::loopback(v4));
        EXPECT_EQ(open[0].port, open[1].port);
        expect_reachable(made, v6, open[0].port, over());
        expect_reachable(made, v4, open[0].port, over());
    });
}

TEST_P(listen_on, an_interface_is_all_of_its_addresses) {
    privately([] {
        run_command("ip link add ve0 type veth peer name ve1");
        set_sysctl("ipv6/conf/ve0/accept_dad", "0");
        run_command("ip addr add 192.0.2.1/24 dev ve0");
        run_command("ip addr add 2001:db8::1/64 dev ve0 nodad");
        run_command("ip link set ve1 up && ip link set ve0 up");
        // Without duplicate address detection the link-local address is there as soon as the link
        // is, which the kernel says on another thread of its own.
        const auto addresses = [] {
            std::size_t count = 0;
            const auto facts = os::gather_facts();
            for (const auto& each : facts->known.addresses) {
                count += each.interface == "ve0" && !each.tentative ? 1U : 0U;
            }
            return count;
        };
        while (addresses() < 3) {
            ::sched_yield();
        }
        service made{{on("@ve0:0", over())}};
        ASSERT_TRUE(made.started()) << made.report().text();
        const auto open = made.endpoints();
        ASSERT_THAT(open, SizeIs(3)) << made.report().text();
        std::set<std::string> texts;
        for (const auto& each : open) {
            EXPECT_EQ(each.port, open[0].port);
            texts.insert(ip::to_text(each.address));
            const auto client = connect_to(each, over());
            EXPECT_TRUE(client) << ip::to_text(each) << ": " << std::strerror(errno);
        }
        EXPECT_TRUE(texts.contains("192.0.2.1"));
        EXPECT_TRUE(texts.contains("2001:db8::1"));
        EXPECT_THAT(texts, testing::Contains(testing::EndsWith("%ve0")));
    });
}

TEST_P(listen_on, freebind_binds_an_address_that_is_not_there_yet) {
    privately([] {
        service without{{on("192.0.2.9:0", over()), on("[2001:db8::9]:0", over())}};
        EXPECT_FALSE(without.started());
        EXPECT_EQ(without.error_of(0), EADDRNOTAVAIL);
        EXPECT_EQ(without.error_of(1), EADDRNOTAVAIL);
        EXPECT_THAT(without.report().text(), HasSubstr("--freebind"));

        std::vector<wish> wishes{on("192.0.2.9:0", over()), on("[2001:db8::9]:0", over())};
        wishes[0].freebind = wishes[1].freebind = true;
        service with{wishes};
        ASSERT_TRUE(with.started()) << with.report().text();
        EXPECT_THAT(with.endpoints(), SizeIs(2)) << with.report().text();
    });
}

TEST_P(listen_on, a_random_port_is_the_same_in_both_families_with_two_processes_racing) {
    privately([] {
        // Few ports, and many of them taken in IPv4 alone, so that a port that is free in IPv6
        // often turns out to be no good.
        constexpr int ports = 900;
        constexpr int in_the_way = 400;
        set_sysctl("ipv4/ip_local_port_range", "40000 40899");
        raise_descriptor_limit();
        std::vector<os::fd> holders;
        for (int i = 0; i < in_the_way; ++i) {
            std::uint16_t port = 0;
            holders.push_back(taken({ip::address::any(v4), 0}, over(), {}, port));
        }
        static_assert(in_the_way + 2 * 200 < ports);
        const auto many = [] {
            std::vector<std::unique_ptr<service>> all;
            for (int i = 0; i < 200; ++i) {
                auto& made =
                    *all.emplace_back(std::make_unique<service>(std::vector{on(":0", over())}));
                if (!made.started() || made.endpoints().size() != 2 ||
                    made.endpoints()[0].port != made.endpoints()[1].port) {
                    std::cout << made.report().text();
                    return 1;
                }
            }
            return 0;
        };
        std::fflush(nullptr);
        const pid_t other = ::fork();
        if (other == 0) {
            const int status = many();
            std::cout.flush();
            ::_exit(status);
        }
        EXPECT_EQ(many(), 0);
        int status = -1;
        ::waitpid(other, &status, 0);
        EXPECT_EQ(status, 0);
    });
}

// ---- what a plan does not do ----

TEST(listen_kernel, planning_opens_nothing_and_does_not_see_a_port_in_use) {
    privately([] {
        std::uint16_t port = 0;
        const auto other = taken({ip::address::any(v4), 0}, transport::tcp, {}, port);
        const std::vector<wish> wishes{on(":" + std::to_string(port)), on("localhost:0")};
        const auto sockets = [] {
            std::string all;
            for (const char* name : {"tcp", "tcp6", "udp", "udp6"}) {
                std::ifstream file{std::string{"/proc/self/net/"} + name};
                std::string line;
                while (std::getline(file, line)) {
                    // "0: 00000000:9C40 00000000:0000 0A": number, both ends, state
                    all += line.substr(0, line.find(" 00000000:00000000")) + '\n';
                }
            }
            return all;
        };
        const auto before = sockets();
        boost::asio::io_context context;
        std::optional<run::listen_facts> facts;
        run::async_listen_facts(context.get_executor(), wishes, deadline::never(),
                                [&](run::listen_facts got) { facts = std::move(got); });
        context.run();
        ASSERT_TRUE(facts && !facts->why);
        const auto made = plan::make_plan(wishes, facts->known);
        EXPECT_THAT(made.sockets, SizeIs(4));
        EXPECT_THAT(made.remarks, IsEmpty());
        EXPECT_EQ(sockets(), before);
    });
}

// ---- UDP and SO_REUSEADDR: the measurement of docs/design/0001-udp-reuseaddr.md ----

TEST(listen_kernel, so_reuseaddr_would_let_a_second_process_take_a_udp_port_in_silence) {
    privately([] {
        const auto bound = [](std::uint16_t port, bool reuse, os::fd& made) {
            made = *os::socket(at(v4, port), transport::udp);
            EXPECT_TRUE(os::set_reuse_address(made, reuse));
            return os::bind(made, at(v4, port));
        };
        os::fd first;
        os::fd second;
        ASSERT_TRUE(bound(0, true, first));
        const auto port = std::get<ip::endpoint>(*os::getsockname(first.raw())).port;
        ASSERT_TRUE(bound(port, true, second)) << "Linux lets a second one in";
        const auto client = connect_to(at(v4, port), transport::udp);
        const std::byte query[]{std::byte{'?'}};
        ASSERT_TRUE(os::send(client.raw(), query));
        std::byte room[8];
        EXPECT_FALSE(os::recv(first.raw(), room)) << "and the first hears nothing any more";
        EXPECT_EQ(os::recv(second.raw(), room).value_or(0), 1U);
        // Without it on the first one, the second is refused.
        first.reset();
        second.reset();
        ASSERT_TRUE(bound(port, false, first));
        const auto thief = bound(port, true, second);
        ASSERT_FALSE(thief);
        EXPECT_EQ(thief.error().value(), EADDRINUSE);
    });
}

TEST(listen_kernel, so_reuseaddr_would_let_even_another_user_take_a_udp_port) {
    privately([] {
        auto first = os::socket(at(v4, 0), transport::udp);
        ASSERT_TRUE(first && os::set_reuse_address(*first, true) && os::bind(*first, at(v4, 0)));
        const auto where = *os::getsockname(first->raw());
        constexpr uid_t nobody = 65534;
        const int status = in_child([&] {
            if (::setresuid(nobody, nobody, nobody) != 0) {
                return skipped;
            }
            auto second = os::socket(where, transport::udp);
            return second && os::set_reuse_address(*second, true) && os::bind(*second, where) ? 0
                                                                                              : 1;
        });
        if (status == skipped) {
            throw cannot_run{"no second user in this namespace"};
        }
        EXPECT_EQ(status, 0);
    });
}

TEST(listen_kernel, our_udp_port_cannot_be_taken_by_another) {
    privately([] {
        service made{{on("127.0.0.1:0", transport::udp)}};
        ASSERT_TRUE(made.started());
        const auto where = made.endpoints()[0];
        auto thief = os::socket(where, transport::udp);
        ASSERT_TRUE(thief && os::set_reuse_address(*thief, true));
        const auto done = os::bind(*thief, where);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().value(), EADDRINUSE);
    });
}

// ---- UNIX sockets ----

struct directory {
    directory() {
        char text[] = "/tmp/portico-listen-XXXXXX";
        path = ::mkdtemp(text);
    }
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;
    ~directory() {
        ::unlink(file().c_str());
        ::rmdir(path.c_str());
    }
    [[nodiscard]] std::string file() const { return path + "/s"; }
    [[nodiscard]] wish listen() const { return on("unix:" + file()); }
    [[nodiscard]] bool exists() const { return ::access(file().c_str(), F_OK) == 0; }
    std::string path;
};

ip::unix_name unix_path(const directory& in) {
    return *ip::unix_name::path(in.file());
}

// A socket file whose socket is gone.
void leave_stale(const directory& in) {
    const auto gone = os::socket(unix_path(in), transport::tcp);
    ASSERT_TRUE(gone && os::bind(*gone, unix_path(in)));
}

TEST(listen_unix, a_socket_file_is_made_with_its_mode_and_removed_at_the_end) {
    privately([] {
        const directory in;
        ::umask(027);
        auto asked = in.listen();
        asked.unix_mode = 0666; // wider than the umask
        {
            service made{{asked}};
            ASSERT_TRUE(made.started()) << made.report().text();
            struct stat found {};
            ASSERT_EQ(::stat(in.file().c_str(), &found), 0);
            EXPECT_EQ(found.st_mode & 07777U, 0666U);
            EXPECT_TRUE(connect_to(unix_path(in)));
            EXPECT_EQ(made.accept().local, ip::any_endpoint{unix_path(in)});
        }
        EXPECT_FALSE(in.exists());
    });
}

// The kernel gives the file its mode in bind(2) itself: there is no moment with a wider one.
TEST(listen_unix, a_narrow_mode_is_there_from_the_first_moment) {
    privately([] {
        const directory in;
        ::umask(0);
        const auto made = os::socket(unix_path(in), transport::tcp);
        ASSERT_TRUE(os::fchmod(*made, 0600));
        ASSERT_TRUE(os::bind(*made, unix_path(in)));
        EXPECT_EQ(os::lstat(in.file())->mode, 0600U);
    });
}

TEST(listen_unix, a_narrow_mode_is_never_wider_for_a_moment) {
    privately([] {
        const directory in;
        ::umask(0);
        auto asked = in.listen();
        asked.unix_mode = 0600;
        service made{{asked}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_EQ(os::lstat(in.file())->mode, 0600U);
        EXPECT_THAT(made.report().attempts.at(0).remarks, IsEmpty());
    });
}

TEST(listen_unix, while_another_process_has_the_lock_no_file_is_taken_for_stale) {
    privately([] {
        const directory in;
        leave_stale(in);
        auto lock = os::lock_directory_of(in.file());
        ASSERT_TRUE(lock);
        service refused{{in.listen()}};
        EXPECT_FALSE(refused.started());
        EXPECT_THAT(refused.report().text(), HasSubstr("could not be locked"));
        lock->reset();
        EXPECT_TRUE(service{{in.listen()}}.started());
    });
}

TEST(listen_unix, a_stale_file_is_replaced_with_a_remark) {
    privately([] {
        const directory in;
        leave_stale(in);
        service made{{in.listen()}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_THAT(made.report().text(), HasSubstr("removed the stale socket file"));
        EXPECT_TRUE(connect_to(unix_path(in)));
    });
}

TEST(listen_unix, a_live_socket_is_left_alone) {
    privately([] {
        const directory in;
        service first{{in.listen()}};
        ASSERT_TRUE(first.started());
        {
            service second{{in.listen()}};
            EXPECT_FALSE(second.started());
            EXPECT_EQ(second.error_of(0), EADDRINUSE);
            EXPECT_THAT(second.report().text(), HasSubstr("another process has the socket"));
        }
        EXPECT_TRUE(connect_to(unix_path(in)));
    });
}

TEST(listen_unix, a_live_socket_of_another_type_is_left_alone) {
    privately([] {
        const directory in;
        auto other = in.listen();
        other.over = transport::udp;
        service first{{other}};
        ASSERT_TRUE(first.started()) << first.report().text();
        service second{{in.listen()}};
        EXPECT_FALSE(second.started());
        EXPECT_TRUE(connect_to(unix_path(in), transport::udp));
    });
}

TEST(listen_unix, a_regular_file_is_left_alone) {
    privately([] {
        const directory in;
        std::ofstream{in.file()} << "precious";
        service made{{in.listen()}};
        EXPECT_FALSE(made.started());
        EXPECT_EQ(made.error_of(0), EADDRINUSE);
        EXPECT_THAT(made.report().text(), HasSubstr("is not a socket, and is left alone"));
        std::string content;
        std::ifstream{in.file()} >> content;
        EXPECT_EQ(content, "precious");
    });
}

TEST(listen_unix, a_file_that_has_been_replaced_is_not_removed_at_the_end) {
    privately([] {
        const directory in;
        service made{{in.listen()}};
        ASSERT_TRUE(made.started());
        // The inode of a removed file may be used again at once, so keep it.
        ASSERT_EQ(::link(in.file().c_str(), (in.file() + "2").c_str()), 0);
        ASSERT_EQ(::unlink(in.file().c_str()), 0);
        leave_stale(in);
        made.sockets().close();
        EXPECT_TRUE(in.exists());
        ::unlink((in.file() + "2").c_str());
    });
}

TEST(listen_unix, of_two_processes_that_find_a_stale_file_one_wins_and_serves) {
    privately([] {
        for (int round = 0; round < 50; ++round) {
            const directory in;
            leave_stale(in);
            int ends[2];
            ASSERT_EQ(::pipe(ends), 0);
            const pid_t other = ::fork();
            // Whoever has won keeps the socket until the other one has been told.
            if (other == 0) {
                service made{{in.listen()}};
                const bool won = made.started();
                const char word = won ? 'y' : 'n';
                static_cast<void>(!::write(ends[1], &word, 1));
                if (won) {
                    ::pause();
                }
                ::_exit(0);
            }
            service mine{{in.listen()}};
            char theirs = '?';
            ASSERT_EQ(::read(ends[0], &theirs, 1), 1);
            EXPECT_NE(mine.started(), theirs == 'y') << mine.report().text();
            EXPECT_TRUE(connect_to(unix_path(in))) << std::strerror(errno);
            ::kill(other, SIGKILL);
            ::waitpid(other, nullptr, 0);
            ::close(ends[0]);
            ::close(ends[1]);
        }
    });
}

TEST(listen_unix, an_abstract_name_works_and_leaves_no_file) {
    privately([] {
        service made{{on("unix:@portico-listen-test")}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_TRUE(connect_to(*ip::unix_name::abstract("portico-listen-test")));
        EXPECT_TRUE(made.accept().socket);
    });
}

// ---- inherited ----

TEST(listen_inherited, a_descriptor_by_number_is_taken_over) {
    privately([] {
        std::uint16_t port = 0;
        auto given = taken(at(v4, 0), transport::tcp, {}, port);
        const int number = std::move(given).release();
        service made{{on("fd:" + std::to_string(number))}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_EQ(made.sockets().sockets()[0].inherited, number);
        EXPECT_EQ(made.endpoints()[0], at(v4, port));
        expect_reachable(made, v4, port, transport::tcp);
    });
}

TEST(listen_inherited, a_descriptor_that_is_only_bound_is_made_to_listen) {
    privately([] {
        auto given = os::socket(at(v6, 0), transport::tcp);
        ASSERT_TRUE(given && os::bind(*given, at(v6, 0)));
        const auto port = std::get<ip::endpoint>(*os::getsockname(given->raw())).port;
        const int number = std::move(*given).release();
        service made{{on("fd:" + std::to_string(number))}};
        ASSERT_TRUE(made.started()) << made.report().text();
        expect_reachable(made, v6, port, transport::tcp);
    });
}

TEST(listen_inherited, a_descriptor_that_is_no_socket_is_a_fault_of_the_caller) {
    privately([] {
        const os::fd file{::open("/dev/null", O_RDONLY)};
        service made{{on("fd:" + std::to_string(file.raw()))}};
        EXPECT_FALSE(made.started());
        EXPECT_EQ(made.report().why->who, side::caller);
        EXPECT_GE(::fcntl(file.raw(), F_GETFD), 0) << "and it is left open";
    });
}

// Puts the sockets at descriptor 3 and on, as a service manager does.
void hand_over(std::vector<os::fd> sockets, const char* names) {
    std::vector<int> high;
    for (auto& each : sockets) {
        high.push_back(::fcntl(each.raw(), F_DUPFD_CLOEXEC, 100));
    }
    sockets.clear();
    int next = 3;
    for (const int each : high) {
        ASSERT_EQ(::dup2(each, next), next);
        ::close(each);
        ++next;
    }
    ::setenv("LISTEN_FDS", std::to_string(next - 3).c_str(), 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names, 1);
}

TEST(listen_inherited, all_sockets_of_a_name_are_taken_over_from_the_manager) {
    privately([] {
        std::uint16_t port4 = 0;
        std::uint16_t port6 = 0;
        std::uint16_t dns = 0;
        std::vector<os::fd> all;
        all.push_back(taken(at(v4, 0), transport::tcp, {}, port4));
        all.push_back(taken(at(v4, 0), transport::udp, {}, dns));
        all.push_back(taken(at(v6, 0), transport::tcp, {}, port6));
        hand_over(std::move(all), "web:dns:web");
        service made{{on("sd:web"), on("sd:dns", transport::udp)}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_THAT(made.endpoints(),
                    testing::ElementsAre(at(v4, port4), at(v6, port6), at(v4, dns)));
        expect_reachable(made, v4, port4, transport::tcp);
        expect_reachable(made, v6, port6, transport::tcp);
        expect_reachable(made, v4, dns, transport::udp);
    });
}

TEST(listen_inherited, a_name_that_was_not_handed_over_is_a_fault) {
    privately([] {
        std::uint16_t port = 0;
        std::vector<os::fd> all;
        all.push_back(taken(at(v4, 0), transport::tcp, {}, port));
        hand_over(std::move(all), "web");
        service made{{on("sd:wep")}};
        EXPECT_FALSE(made.started());
        EXPECT_EQ(made.report().why->who, side::caller);
        EXPECT_THAT(made.report().text(), HasSubstr("'wep'"));
        EXPECT_THAT(made.report().text(), HasSubstr("'web'"));
    });
}

// ---- names ----

TEST(listen_names, a_name_that_does_not_exist_does_not_stop_the_rest) {
    privately([] {
        service made{{on("nosuch.invalid:0"), on("127.0.0.1:0")}};
        ASSERT_TRUE(made.started()) << made.report().text();
        EXPECT_THAT(made.endpoints(), SizeIs(1));
        EXPECT_THAT(made.report().text(), HasSubstr("'nosuch.invalid' has no address"));
    });
}

TEST(listen_names, a_start_can_be_cancelled) {
    privately([] {
        boost::asio::io_context context;
        boost::asio::cancellation_signal signal;
        std::optional<run::listen_outcome> outcome;
        run::async_listen(
            context.get_executor(), {on(":0"), on("nosuch.invalid:0")}, deadline::never(),
            boost::asio::bind_cancellation_slot(
                signal.slot(), [&](run::listen_outcome got) { outcome = std::move(got); }));
        signal.emit(boost::asio::cancellation_type::total);
        context.run();
        ASSERT_TRUE(outcome);
        EXPECT_EQ(outcome->sockets, nullptr);
        EXPECT_EQ(outcome->report.why->code.value(), ECANCELED);
    });
}

// ---- accepting ----

std::vector<os::fd> clients_of(const ip::endpoint& where, int count) {
    std::vector<os::fd> all;
    for (int i = 0; i < count; ++i) {
        EXPECT_TRUE(all.emplace_back(connect_to(where))) << std::strerror(errno);
    }
    return all;
}

void set_descriptor_limit(rlim_t limit) {
    rlimit now{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    now.rlim_cur = limit;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
}

std::vector<os::fd> take_all_descriptors() {
    std::vector<os::fd> all;
    for (;;) {
        os::fd one{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        if (!one) {
            EXPECT_EQ(errno, EMFILE);
            return all;
        }
        all.push_back(std::move(one));
    }
}

TEST(accepting, a_busy_socket_does_not_starve_another) {
    privately([] {
        service made{{on("127.0.0.1:0"), on("[::1]:0")}};
        ASSERT_TRUE(made.started());
        const auto open = made.endpoints();
        const auto crowd = clients_of(open[0], 50);
        std::vector<std::size_t> wishes;
        for (int i = 0; i < 4; ++i) {
            wishes.push_back(made.accept().wish);
        }
        const auto one = clients_of(open[1], 1);
        made.context.poll(); // the readiness of the second socket is seen
        for (int i = 0; i < 3; ++i) {
            wishes.push_back(made.accept().wish);
        }
        EXPECT_THAT(wishes, testing::Contains(1U));
        EXPECT_EQ(made.sockets().counters().accepted, 7U);
    });
}

// Both tests below accept something first: the undefined behaviour sanitizer needs a pipe whenever
// it sees a type for the first time, and reports an error when it gets none.

TEST(accepting, without_descriptors_clients_are_shed_and_accepting_goes_on_afterwards) {
    privately([] {
        set_descriptor_limit(64);
        service made{{on("127.0.0.1:0")}};
        ASSERT_TRUE(made.started());
        const auto where = made.endpoints()[0];
        expect_reachable(made, v4, where.port, transport::tcp);
        made.begin_accept();
        made.context.poll();
        const auto before = made.sockets().counters();
        const auto clients = clients_of(where, 5);
        auto hoard = take_all_descriptors();
        std::size_t handlers = 0;
        while (made.sockets().counters().shed < 5) {
            handlers += made.context.run_one();
        }
        handlers += made.context.poll(); // and then there is nothing to do
        const auto counted = made.sockets().counters();
        EXPECT_EQ(counted.shed, 5U);
        EXPECT_EQ(counted.accepted, before.accepted);
        // Two calls for each client, the failing one and that on the spare descriptor, and one or
        // two that find the queue empty.
        EXPECT_LE(counted.calls - before.calls, 14U);
        EXPECT_LE(handlers, 10U);
        EXPECT_EQ(made.context.poll(), 0U) << "it does not spin";
        for (const auto& each : clients) {
            char byte = 0;
            EXPECT_EQ(::recv(each.raw(), &byte, 1, 0), -1);
            EXPECT_EQ(errno, ECONNRESET) << "shed clients are told";
        }
        hoard.clear();
        const auto late = connect_to(where);
        ASSERT_TRUE(late);
        while (!made.connection) {
            made.context.run_one();
        }
        EXPECT_TRUE(*made.connection);
        EXPECT_EQ(made.sockets().counters().accepted, before.accepted + 1);
    });
}

TEST(accepting, when_even_the_spare_descriptor_does_not_help_it_pauses_and_then_goes_on) {
    privately([] {
        service made{{on("127.0.0.1:0")}};
        ASSERT_TRUE(made.started());
        expect_reachable(made, v4, made.endpoints()[0].port, transport::tcp);
        made.begin_accept();
        made.context.poll();
        const auto before = made.sockets().counters();
        const auto clients = clients_of(made.endpoints()[0], 3);
        rlimit limit{};
        ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
        set_descriptor_limit(3); // below every descriptor that is closed from now on
        std::size_t handlers = 0;
        while (made.sockets().counters().backed_off < 5) {
            handlers += made.context.run_one();
        }
        const auto counted = made.sockets().counters();
        EXPECT_EQ(counted.accepted, before.accepted);
        EXPECT_LE(counted.calls - before.calls, 2 + counted.backed_off)
            << "one call for each pause";
        EXPECT_LE(handlers, 4 + counted.backed_off);
        set_descriptor_limit(limit.rlim_cur);
        while (!made.connection) {
            made.context.run_one();
        }
        ASSERT_TRUE(*made.connection);
        made.connection.reset();
        made.accept();
        made.accept();
        EXPECT_EQ(made.sockets().counters().accepted, before.accepted + 3) << "no client was lost";
    });
}

// Filters give accept4() any errno one likes; a real aborted connection is taken off the queue.
TEST(accepting, an_error_that_never_ends_is_a_pause_and_not_a_spin) {
    privately([] {
        service made{{on("127.0.0.1:0")}};
        ASSERT_TRUE(made.started());
        const auto clients = clients_of(made.endpoints()[0], 1);
        forbid(SYS_accept4, 0, {}, ECONNABORTED);
        made.begin_accept();
        while (made.sockets().counters().backed_off < 3) {
            made.context.run_one();
        }
        const auto counted = made.sockets().counters();
        EXPECT_EQ(counted.aborted, counted.calls);
        EXPECT_LE(counted.calls, 3 * 64U);
    });
}

TEST(accepting, a_pending_accept_ends_when_the_listener_closes) {
    privately([] {
        service made{{on("localhost:0")}};
        ASSERT_TRUE(made.started());
        const auto port = made.endpoints()[0].port;
        made.begin_accept();
        made.context.poll();
        EXPECT_FALSE(made.connection);
        made.outcome->sockets.reset();
        made.context.run(); // ends: nothing is left to wait for
        ASSERT_TRUE(made.connection);
        ASSERT_FALSE(*made.connection);
        EXPECT_EQ(made.connection->error().code.value(), ECANCELED);
        EXPECT_TRUE(refused(v4, port));
        EXPECT_TRUE(refused(v6, port));
    });
}

TEST(accepting, a_cancelled_accept_leaves_the_connection_for_the_next) {
    privately([] {
        service made{{on("localhost:0")}};
        ASSERT_TRUE(made.started());
        boost::asio::cancellation_signal signal;
        made.sockets().async_accept(
            boost::asio::bind_cancellation_slot(signal.slot(), [&made](result<run::accepted> got) {
                made.connection = std::move(got);
            }));
        signal.emit(boost::asio::cancellation_type::total);
        made.context.restart(); // with nothing left to wait for, it had stopped
        while (!made.connection) {
            made.context.run_one();
        }
        EXPECT_FALSE(*made.connection);
        made.connection.reset();
        expect_reachable(made, v6, made.endpoints()[0].port, transport::tcp);
    });
}

} // namespace
} // namespace portico
