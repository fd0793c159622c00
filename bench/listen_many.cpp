// How long it takes to open 2,000 listening sockets: 1,000 ports on both families.
//
// By a plain loop of socket, setsockopt, bind and listen; by run::async_listen; by the command,
// from its start to its first line. With given ports, which are all free, and with random ones. In
// a private network. bench_listen_many [--runs 7] [--ports 1000]

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/listen.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/process.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace portico::bench {
namespace {

constexpr std::uint16_t first_port = 20'000; // a namespace of our own: all are free

// 0 is a random port.
std::uint16_t port_of(bool random, int which) {
    return random ? std::uint16_t{0} : static_cast<std::uint16_t>(first_port + which);
}

std::uint16_t bound_port(const os::fd& socket) {
    const auto at = os::getsockname(socket.raw());
    return std::get<ip::endpoint>(at.value()).port;
}

// A random port is one that the kernel gave to IPv6; when IPv4 has it already, another one.
void open_both(std::vector<os::fd>& into, std::uint16_t port) {
    for (;;) {
        auto v6 = listen_on({ip::address::any(ip::family::v6), port});
        try {
            into.push_back(listen_on({ip::address::any(ip::family::v4), bound_port(v6)}));
        } catch (const std::runtime_error&) {
            if (port == 0) {
                continue;
            }
            throw;
        }
        into.push_back(std::move(v6));
        return;
    }
}

double time_plain_loop(bool random, int ports) {
    const auto begun = os::now();
    std::vector<os::fd> sockets;
    for (int i = 0; i < ports; ++i) {
        open_both(sockets, port_of(random, i));
    }
    return seconds(os::now() - begun) * 1000;
}

// From the text of the addresses to open sockets that are watched.
double time_library(bool random, int ports) {
    const auto begun = os::now();
    std::vector<plan::wish> wishes;
    for (int i = 0; i < ports; ++i) {
        const auto text = ":" + std::to_string(port_of(random, i));
        wishes.push_back({.where = ip::parse_listen_address(text).value()});
    }
    boost::asio::io_context loop;
    run::listen_outcome outcome;
    run::async_listen(loop.get_executor(), std::move(wishes), deadline::never(),
                      [&](run::listen_outcome done) {
                          outcome = std::move(done);
                          loop.stop();
                      });
    loop.run();
    const auto took = seconds(os::now() - begun) * 1000;
    const auto wanted = static_cast<std::size_t>(2 * ports);
    if (!outcome.sockets || outcome.sockets->sockets().size() != wanted) {
        throw std::runtime_error{"not all sockets are open: " + outcome.report.text()};
    }
    return took;
}

double time_command(bool random, int ports) {
    std::vector<std::string> words{PORTICO_COMMAND, "listen", "--echo", "-q"};
    for (int i = 0; i < ports; ++i) {
        words.push_back(":" + std::to_string(port_of(random, i)));
    }
    const auto begun = os::now();
    testkit::process server{words};
    if (!server.wait_for_out("(listening)")) {
        throw std::runtime_error{"portico listen does not listen: " + server.err()};
    }
    return seconds(os::now() - begun) * 1000;
}

struct contestant {
    std::string name;
    bool random;
    bool is_plain; // what the others of these ports are compared with; comes first
    std::function<double(bool random, int ports)> open;
    samples milliseconds{};
    samples ratio{}; // to the plain loop of the same run
};

std::vector<contestant> make_contestants() {
    std::vector<contestant> all;
    for (const bool random : {false, true}) {
        const std::string ports = random ? ", random ports" : ", given ports";
        all.push_back({"plain loop" + ports, random, true, time_plain_loop});
        all.push_back({"run::async_listen" + ports, random, false, time_library});
        all.push_back({"portico listen, from its start" + ports, random, false, time_command});
    }
    return all;
}

void print(const std::vector<contestant>& all, int runs, int ports) {
    table results{{"opened by", "median, ms", "min", "max", "to the plain loop"}};
    for (const auto& each : all) {
        results.add({each.name, number(each.milliseconds.median(), 1),
                     number(each.milliseconds.least(), 1), number(each.milliseconds.most(), 1),
                     number(each.ratio.median(), 2)});
    }
    std::cout
        << "### Opening " << 2 * ports << " listening sockets\n\n"
        << where_and_when() << "; " << runs << " runs in turn; " << ports
        << " ports, each on both families; the ratio is the median of the ratios in each run. "
        << version_of(PORTICO_COMMAND " --version") << ".\n\n"
        << results.text() << '\n';
}

int run(int runs, int ports) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    auto all = make_contestants();
    for (int i = 0; i < runs; ++i) {
        progress("listen_many: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        double plain = 0;
        for (auto& each : all) {
            const auto took = each.open(each.random, ports);
            plain = each.is_plain ? took : plain;
            each.milliseconds.add(took);
            each.ratio.add(took / plain);
        }
    }
    print(all, runs, ports);
    return 0;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_listen_many: " << *why << '\n';
        return 111;
    }
    using portico::bench::option;
    return portico::bench::run(option(argc, argv, "runs", 7), option(argc, argv, "ports", 1000));
}
