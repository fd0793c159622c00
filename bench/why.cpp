// How long `portico why` takes on a host with 1,000 processes and 20,000 sockets, against ss and
// lsof, which together show a part of what it joins.
//
// Each process has two listening sockets and nine connections to itself, of which it has both ends.
// In a private network. bench_why [--runs 7] [--processes 1000]

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/testkit/private_network.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::bench {
namespace {

constexpr std::uint16_t first_port = 10'000;
constexpr int pairs = 9;
constexpr int sockets_of_each = 2 + 2 * pairs;

std::uint16_t port_of(int process) {
    return static_cast<std::uint16_t>(first_port + process);
}

// One connection to `server`: both ends.
void connect_to_self(std::vector<os::fd>& into, const os::fd& server, const ip::endpoint& at) {
    auto client = os::socket(at, ip::transport::tcp).value();
    static_cast<void>(::fcntl(client.raw(), F_SETFL, 0)); // it waits until it is connected
    if (!os::connect(client, at)) {
        throw std::runtime_error{"a connection to " + ip::to_text(at)};
    }
    static_cast<void>(::fcntl(server.raw(), F_SETFL, 0));
    into.push_back(std::move(os::accept4(server.raw()).value().socket));
    into.push_back(std::move(client));
}

// Opens its sockets, says so by a byte, and waits for its end.
[[noreturn]] void be_a_process(int number, int ready) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<os::fd> open;
    const ip::endpoint v4{ip::address::loopback(ip::family::v4), port_of(number)};
    open.push_back(listen_on(v4));
    open.push_back(listen_on({ip::address::loopback(ip::family::v6), port_of(number)}));
    for (int i = 0; i < pairs; ++i) {
        connect_to_self(open, open.front(), v4);
    }
    const char done = open.size() == sockets_of_each ? 'y' : 'n';
    if (::write(ready, &done, 1) != 1) {
        ::_exit(1);
    }
    for (;;) {
        ::pause();
    }
}

// All of them, killed at the end.
class crowd {
public:
    explicit crowd(int processes) {
        std::array<int, 2> ready{};
        if (::pipe2(ready.data(), O_CLOEXEC) != 0) {
            throw std::runtime_error{"pipe2"};
        }
        const os::fd from{ready[0]};
        const os::fd to{ready[1]};
        for (int i = 0; i < processes; ++i) {
            const auto made = ::fork();
            if (made == 0) {
                try {
                    be_a_process(i, to.raw());
                } catch (const std::exception& why) {
                    std::cerr << "bench_why: " << why.what() << '\n';
                    ::_exit(1);
                }
            }
            members_.push_back(made);
            char done = 0;
            if (made < 0 || ::read(from.raw(), &done, 1) != 1 || done != 'y') {
                throw std::runtime_error{"a process of the crowd has not started"};
            }
        }
    }
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;
    ~crowd() {
        for (const auto each : members_) {
            ::kill(each, SIGKILL);
        }
        for (const auto each : members_) {
            ::waitpid(each, nullptr, 0);
        }
    }

private:
    std::vector<pid_t> members_;
};

struct contestant {
    std::string name;
    std::string command;
    int expected = 0; // exit code
    samples milliseconds{};
    samples ratio{}; // to ss and lsof of the same run
};

double time_of(const contestant& which) {
    const auto begun = os::now();
    const auto done = testkit::run_command(which.command + " >/dev/null");
    const auto took = seconds(os::now() - begun) * 1000;
    if (done.status != which.expected) {
        throw std::runtime_error{which.command + ": exit code " + std::to_string(done.status) +
                                 ": " + done.output};
    }
    return took;
}

std::vector<contestant> contestants(int processes) {
    const std::string portico = PORTICO_COMMAND " why ";
    const auto first = std::to_string(port_of(0));
    const auto last = std::to_string(port_of(processes - 1));
    const auto none = std::to_string(port_of(processes));
    return {
        {"ss -tlnp; lsof -nP -iTCP -sTCP:LISTEN", "ss -tlnp && lsof -nP -iTCP -sTCP:LISTEN"},
        {"ss -tlnp", "ss -tlnp"},
        {"portico why, of the first process", portico + "127.0.0.1:" + first, 10},
        {"portico why, of the last process", portico + "127.0.0.1:" + last, 10},
        {"portico why -v, all holders", portico + "-v 127.0.0.1:" + last, 10},
        {"portico why --accept", portico + "--accept 127.0.0.1:" + last, 0},
        {"portico why, a free port", portico + "127.0.0.1:" + none, 0},
        {"portico why --connect, nobody listens", portico + "--connect 127.0.0.1:" + none, 40},
    };
}

// 1 when the bar is missed: every question is answered before ss and lsof are done.
int run(int runs, int processes) {
    progress("why: " + std::to_string(processes) + " processes with " +
             std::to_string(sockets_of_each) + " sockets each");
    const crowd all_of_them{processes};
    auto all = contestants(processes);
    for (int i = 0; i < runs; ++i) {
        progress("why: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        double peer = 0;
        for (auto& each : all) {
            const auto took = time_of(each);
            peer = peer > 0 ? peer : took;
            each.milliseconds.add(took);
            each.ratio.add(took / peer);
        }
    }
    table results{{"asked", "median, ms", "min", "max", "to ss and lsof"}};
    int missed = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& each = all[i];
        results.add({each.name, number(each.milliseconds.median(), 1),
                     number(each.milliseconds.least(), 1), number(each.milliseconds.most(), 1),
                     number(each.ratio.median(), 3)});
        if (i > 1 && each.ratio.median().value_or(1) >= 1) {
            progress("the bar is missed: " + each.name);
            missed = 1;
        }
    }
    std::cout << "### Who has the port, on a host with " << processes << " processes and "
              << processes * sockets_of_each << " sockets\n\n"
              << where_and_when() << "; " << runs
              << " runs in turn; the ratio is the median of the ratios in each run. "
              << version_of(PORTICO_COMMAND " --version") << ", " << version_of("ss -V") << ".\n\n"
              << results.text() << '\n';
    return missed;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_why: " << *why << '\n';
        return 111;
    }
    portico::testkit::must_run("ip link set lo up");
    using portico::bench::option;
    return portico::bench::run(option(argc, argv, "runs", 7),
                               option(argc, argv, "processes", 1000));
}
