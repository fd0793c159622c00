// How long it takes to open 2,000 listening sockets: 1,000 ports on both families.
//
// By a plain loop of socket, setsockopt, bind and listen; by run::async_listen; by the command.
// Each in a new process. bench_listen_many [--runs 7] [--ports 1000]

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/listen.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/process.hpp"

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace portico::bench {
namespace {

constexpr int first_port = 20'000;

// ---- the contestants, as processes of this program ----

void tell_opened(instant begun, std::size_t sockets) {
    std::cout << "opened " << sockets << " in " << (os::now() - begun).count() << " ns"
              << std::endl;
    std::string until_the_end;
    std::getline(std::cin, until_the_end);
}

int open_plainly(int ports) {
    const auto begun = os::now();
    std::vector<os::fd> sockets;
    for (int i = 0; i < ports; ++i) {
        const auto port = static_cast<std::uint16_t>(first_port + i);
        sockets.push_back(listen_on({ip::address::any(ip::family::v6), port}));
        sockets.push_back(listen_on({ip::address::any(ip::family::v4), port}));
    }
    tell_opened(begun, sockets.size());
    return 0;
}

int open_by_library(int ports) {
    const auto begun = os::now();
    std::vector<plan::wish> wishes;
    for (int i = 0; i < ports; ++i) {
        wishes.push_back({*ip::parse_listen_address(":" + std::to_string(first_port + i))});
    }
    boost::asio::io_context loop;
    run::listen_outcome outcome;
    run::async_listen(loop.get_executor(), std::move(wishes), deadline::never(),
                      [&](run::listen_outcome done) { outcome = std::move(done); });
    loop.run();
    if (!outcome.sockets) {
        std::cerr << outcome.report.text();
        return 111;
    }
    tell_opened(begun, outcome.sockets->sockets().size());
    return 0;
}

// ---- the measuring ----

struct contestant {
    std::string name;
    std::vector<std::string> command;
    std::string ready; // what it says when all is open; a group is the time of opening, in ns
    samples opening{};
    samples from_start{};
};

std::vector<contestant> make_contestants(const std::string& self, int ports) {
    const auto count = std::to_string(ports);
    const std::string opened = "opened " + std::to_string(2 * ports) + R"( in (\d+) ns)";
    std::vector<std::string> command{PORTICO_COMMAND, "listen", "--echo"};
    for (int i = 0; i < ports; ++i) {
        command.push_back(":" + std::to_string(first_port + i));
    }
    const auto last = R"(listening tcp 0\.0\.0\.0:)" + std::to_string(first_port + ports - 1);
    return {{"plain loop", {self, "--plain", count}, opened},
            {"run::async_listen", {self, "--library", count}, opened},
            {"portico listen", command, last}};
}

void run_one(contestant& who) {
    testkit::process_options how;
    how.descriptor_limit = 8192;
    const auto begun = os::now();
    testkit::process opener{who.command, how};
    const auto said = opener.wait_for_out(who.ready);
    if (!said) {
        throw std::runtime_error{who.name + " did not open its sockets: " + opener.err()};
    }
    who.from_start.add(seconds(os::now() - begun) * 1000);
    if (who.ready.ends_with("ns")) {
        who.opening.add(std::stod(*said) / 1e6);
    } else {
        who.opening.add_none();
    }
}

int run(const std::string& self, int runs, int ports) {
    auto all = make_contestants(self, ports);
    for (int i = 0; i < runs; ++i) {
        progress("listen_many: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        for (auto& each : all) {
            run_one(each);
        }
    }
    table results{{"opened by", "opening, median", "from its start, median", "min", "max"}};
    for (const auto& each : all) {
        results.add({each.name, number(each.opening.median(), 1),
                     number(each.from_start.median(), 1), number(each.from_start.least(), 1),
                     number(each.from_start.most(), 1)});
    }
    std::cout << "### Opening " << 2 * ports << " listening sockets (ms)\n\n"
              << where_and_when() << "; " << runs << " runs in turn; " << ports
              << " ports on both families; " << version_of(PORTICO_COMMAND " --version") << ".\n\n"
              << results.text() << '\n';
    return 0;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    namespace bench = portico::bench;
    if (const int ports = bench::option(argc, argv, "plain", 0)) {
        return bench::open_plainly(ports);
    }
    if (const int ports = bench::option(argc, argv, "library", 0)) {
        return bench::open_by_library(ports);
    }
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_listen_many: " << *why << '\n';
        return 111;
    }
    return bench::run(argv[0], bench::option(argc, argv, "runs", 7),
                      bench::option(argc, argv, "ports", 1000));
}
