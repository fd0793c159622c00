// Connections per second of an echo service, and the CPU time of the server for each.
//
// One connection: connect, send 64 bytes, receive them, close. Eight at a time, from many source
// addresses, so that no run waits for ports in TIME_WAIT. The CPU time is that of the server and of
// the programs that it starts, also of those that it does not wait for. In a private network.
// bench_echo [--runs 5] [--connections 20000] [--forked 500]

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/process.hpp"

#include <array>
#include <cerrno>
#include <iostream>
#include <memory>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace portico::bench {
namespace {

constexpr std::size_t at_a_time = 8; // ncat listens with a backlog of 10
constexpr std::size_t message_size = 64;

// ---- the load ----

struct load_result {
    std::size_t done = 0;
    std::size_t failed = 0;
    double seconds = 0;
};

// Clients in one thread, each a new connection as soon as the last one is closed.
class load {
public:
    load(ip::endpoint to, const std::vector<ip::address>& sources, std::size_t connections)
        : to_{to}, sources_{sources}, left_{connections}, loop_{::epoll_create1(EPOLL_CLOEXEC)} {}

    load_result run() {
        const auto begun = os::now();
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            begin(i);
        }
        std::array<epoll_event, at_a_time> ready{};
        while (open_ > 0) {
            // A server that stops answering must not stop the benchmark.
            const int count = ::epoll_wait(loop_.raw(), ready.data(), at_a_time, 10'000);
            if (count <= 0) {
                result_.failed += open_ + left_;
                break;
            }
            for (int i = 0; i < count; ++i) {
                go_on(ready[static_cast<std::size_t>(i)].data.u64);
            }
        }
        result_.seconds = seconds(os::now() - begun);
        return result_;
    }

private:
    struct client {
        os::fd socket;
        bool sent = false;
        std::size_t received = 0;
    };

    void begin(std::size_t which) {
        while (left_ > 0) {
            --left_;
            auto made = os::socket(to_, ip::transport::tcp);
            const ip::endpoint from{sources_[next_source_++ % sources_.size()], 0};
            if (!made || !os::set_bind_address_no_port(*made) || !os::bind(*made, from)) {
                ++result_.failed;
                continue;
            }
            const auto done = os::connect(*made, to_);
            if (!done && done.error().value() != EINPROGRESS) {
                ++result_.failed;
                continue;
            }
            epoll_event event{};
            event.events = EPOLLOUT;
            event.data.u64 = which;
            ::epoll_ctl(loop_.raw(), EPOLL_CTL_ADD, made->raw(), &event);
            clients_[which] = {std::move(*made), false, 0};
            ++open_;
            return;
        }
    }

    void end(std::size_t which, bool well) {
        ++(well ? result_.done : result_.failed);
        clients_[which].socket.reset();
        --open_;
        begin(which);
    }

    void go_on(std::size_t which) {
        auto& self = clients_[which];
        std::array<std::byte, message_size> bytes{};
        if (!self.sent) {
            self.sent = true;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = which;
            ::epoll_ctl(loop_.raw(), EPOLL_CTL_MOD, self.socket.raw(), &event);
            if (os::send(self.socket.raw(), bytes).value_or(0) != message_size) {
                end(which, false);
            }
            return;
        }
        const auto size = os::recv(self.socket.raw(), bytes).value_or(0);
        self.received += size;
        if (size == 0 || self.received >= message_size) {
            end(which, self.received == message_size);
        }
    }

    ip::endpoint to_;
    const std::vector<ip::address>& sources_;
    std::size_t next_source_ = 0;
    std::size_t left_;
    std::size_t open_ = 0;
    os::fd loop_;
    std::array<client, at_a_time> clients_{};
    load_result result_{};
};

// 127.0.1.1 to 127.0.4.250 for IPv4, fd00::1 to fd00::40 for IPv6.
std::vector<ip::address> sources_of(ip::family which) {
    std::vector<ip::address> all;
    for (unsigned i = 0; which == ip::family::v4 && i < 1000; ++i) {
        all.push_back(ip::address::v4(127, 0, static_cast<std::uint8_t>(1 + i / 250),
                                      static_cast<std::uint8_t>(1 + i % 250)));
    }
    for (unsigned i = 1; which == ip::family::v6 && i <= 64; ++i) {
        ip::address::v6_bytes bytes{0xfd};
        bytes[15] = static_cast<std::uint8_t>(i);
        all.push_back(ip::address::v6(bytes));
    }
    return all;
}

// ---- the servers ----

struct contestant {
    std::string name;
    std::string version;
    std::vector<std::string> command;
    std::uint16_t port = 0;
    std::size_t connections = 0;
    struct per_family {
        samples rate{};
        samples cpu{}; // microseconds for a connection
        // To plain epoll in the same run.
        samples rate_ratio{};
        samples cpu_ratio{};
        std::size_t failed = 0;
    };
    std::array<per_family, 2> results{}; // IPv4, IPv6
};

std::vector<contestant> make_contestants(std::size_t many, std::size_t forked) {
    return {
        {"plain epoll", "our own", {EPOLL_ECHO, "7001"}, 7001, many},
        {"portico listen --echo -q",
         version_of(PORTICO_COMMAND " --version"),
         {PORTICO_COMMAND, "listen", ":7002", "--echo", "-q"},
         7002,
         many},
        {"portico listen --echo, with its log",
         "the same",
         {PORTICO_COMMAND, "listen", ":7003", "--echo"},
         7003,
         many},
        {"socat fork PIPE",
         version_of("socat -V | sed -n 's/ on .*//; s/^socat version/socat/p'"),
         {"socat", "TCP6-LISTEN:7004,ipv6only=0,fork,reuseaddr,backlog=1024", "PIPE"},
         7004,
         forked},
        {"ncat -k -e /bin/cat",
         version_of("ncat --version 2>&1 | cut -d' ' -f1,2,3"),
         {"ncat", "-l", "-k", "-e", "/bin/cat", "7005"},
         7005,
         forked},
    };
}

// Until the server answers one connection of this family.
void await_ready(ip::family which, const contestant& who, const testkit::process& server) {
    const std::vector<ip::address> source{ip::address::loopback(which)};
    for (int i = 0; i < 500; ++i) {
        if (load{{ip::address::loopback(which), who.port}, source, 1}.run().done == 1) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    throw std::runtime_error{who.name + " does not answer over " + std::string{ip::to_text(which)} +
                             ": " + server.err()};
}

struct measured {
    double rate = 0; // connections a second
    double cpu = 0;  // microseconds of the server for a connection
};

// `epoll`: plain epoll in the same run; nullopt when it is this one.
measured run_one(contestant& who, ip::family which, std::optional<measured> epoll) {
    const testkit::process server{who.command};
    await_ready(which, who, server);
    cpu_meter meter{server.pid()};
    const auto before = meter.read();
    const auto sources = sources_of(which);
    const auto went =
        load{{ip::address::loopback(which), who.port}, sources, who.connections}.run();
    const auto count = static_cast<double>(who.connections);
    const measured now{static_cast<double>(went.done) / went.seconds,
                       (meter.read() - before) * 1e6 / count};
    const auto base = epoll.value_or(now);
    auto& into = who.results[which == ip::family::v4 ? 0 : 1];
    into.failed += went.failed;
    into.rate.add(now.rate);
    into.cpu.add(now.cpu);
    into.rate_ratio.add(now.rate / base.rate);
    into.cpu_ratio.add(now.cpu / base.cpu);
    return now;
}

std::string range_of(const samples& of, int decimals) {
    return number(of.median(), decimals) + " (" + number(of.least(), decimals) + " to " +
           number(of.most(), decimals) + ")";
}

void print(const std::vector<contestant>& all, int runs) {
    table results{{"server", "family", "connections/s", "to epoll", "server CPU, us/connection",
                   "to epoll", "failed"}};
    for (const auto& each : all) {
        for (std::size_t i = 0; i < each.results.size(); ++i) {
            const auto& of = each.results[i];
            results.add({each.name, i == 0 ? "IPv4" : "IPv6", range_of(of.rate, 0),
                         number(of.rate_ratio.median(), 2), range_of(of.cpu, 1),
                         number(of.cpu_ratio.median(), 2), std::to_string(of.failed)});
        }
    }
    std::cout << "### Echo: connections, median (min to max)\n\n"
              << where_and_when() << "; " << runs << " runs in turn; " << at_a_time
              << " connections at a time, " << message_size << " bytes each way.";
    for (const auto& each : all) {
        std::cout << (&each == all.data() ? " " : "; ") << each.name << ": " << each.version << ", "
                  << each.connections << " connections a run";
    }
    std::cout << ".\n\n" << results.text() << '\n';
}

int run(int runs, int many, int forked) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (const auto& each : sources_of(ip::family::v6)) {
        testkit::must_run("ip addr add " + to_text(each) + "/128 dev lo nodad");
    }
    auto all = make_contestants(static_cast<std::size_t>(many), static_cast<std::size_t>(forked));
    for (int i = 0; i < runs; ++i) {
        progress("echo: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        for (const auto which : {ip::family::v4, ip::family::v6}) {
            std::optional<measured> epoll;
            for (auto& each : all) {
                const auto now = run_one(each, which, epoll);
                epoll = epoll.value_or(now);
            }
        }
    }
    print(all, runs);
    return 0;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_echo: " << *why << '\n';
        return 111;
    }
    using portico::bench::option;
    return portico::bench::run(option(argc, argv, "runs", 5),
                               option(argc, argv, "connections", 20'000),
                               option(argc, argv, "forked", 500));
}
