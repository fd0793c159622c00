// How long it takes to be connected when the first address of a name is dead.
//
// In a private network, two.test is 2001:db8::1, where packets vanish, and 127.0.0.1, where this
// program listens. The time is taken from before a client's start to when its connection is
// accepted. bench_dial [--runs 7] [--limit SECONDS]

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/testkit/prebound.hpp"
#include "portico/testkit/private_network.hpp"
#include "portico/testkit/process.hpp"

#include <functional>
#include <iostream>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace portico::bench {
namespace {

constexpr double attempt_delay_ms = 250; // of `portico dial`, RFC 8305 section 5
constexpr double bar_ms = attempt_delay_ms + 50;

struct contestant {
    std::string name;
    std::string version;
    std::function<std::vector<std::string>(std::string port)> command;
    samples broken{};  // milliseconds, the first address dead
    samples healthy{}; // milliseconds, every address alive
};

std::vector<contestant> make_contestants() {
    const std::string host = "two.test";
    return {
        {"portico dial", version_of(PORTICO_COMMAND " --version"),
         [=](auto port) {
             return std::vector<std::string>{PORTICO_COMMAND, "dial", host, port};
         }},
        {"curl", version_of("curl --version | cut -d' ' -f1,2"),
         [=](auto port) {
             return std::vector<std::string>{"curl", "-s", "http://" + host + ":" + port + "/"};
         }},
        {"ncat", version_of("ncat --version 2>&1 | cut -d' ' -f1,2,3"),
         [=](auto port) {
             return std::vector<std::string>{"ncat", host, port};
         }},
        {"socat", version_of("socat -V | sed -n 's/ on .*//; s/^socat version/socat/p'"),
         [=](auto port) {
             return std::vector<std::string>{"socat", "-", "TCP:" + host + ":" + port};
         }},
        {"Asio async_connect", "Boost 1.81",
         [=](auto port) {
             return std::vector<std::string>{ASIO_CONNECT, host, port};
         }},
    };
}

// From the start of the client to its connection, in milliseconds; nullopt when there is none.
std::optional<double> time_to_connection(const contestant& who, int limit_seconds) {
    const auto v4 = testkit::listen_on_free_port(ip::family::v4);
    // The same port on the other family: what listens there is reached when it is not a black hole.
    const auto v6 = listen_on({*ip::parse_address("2001:db8::1"), v4.port});
    const auto begun = os::now();
    testkit::process client{who.command(std::to_string(v4.port))};
    pollfd watched[2]{{v4.socket.raw(), POLLIN, 0}, {v6.raw(), POLLIN, 0}};
    if (::poll(watched, 2, limit_seconds * 1000) < 1) {
        return std::nullopt;
    }
    return seconds(os::now() - begun) * 1000;
}

void note(samples& into, std::optional<double> value) {
    if (value) {
        into.add(*value);
    } else {
        into.add_none();
    }
}

void print(const std::vector<contestant>& all, int runs, int limit_seconds) {
    const auto never = "none in " + std::to_string(limit_seconds) + " s";
    table results{{"client", "dead first address, median", "min", "max", "all alive, median"}};
    for (const auto& each : all) {
        results.add({each.name, number(each.broken.median(), 1, never),
                     number(each.broken.least(), 1, never), number(each.broken.most(), 1, never),
                     number(each.healthy.median(), 1, never)});
    }
    std::cout << "### Time to a connection (ms)\n\n"
              << where_and_when() << "; " << runs << " runs in turn. Clients: ";
    for (const auto& each : all) {
        std::cout << (&each == all.data() ? "" : ", ") << each.version;
    }
    std::cout << ".\n\n" << results.text() << '\n';
}

int run(int runs, int limit_seconds) {
    testkit::must_run("ip addr add 2001:db8::1/128 dev lo nodad");
    testkit::replace_file("/etc/hosts", "2001:db8::1 two.test\n127.0.0.1 two.test\n");
    testkit::replace_file("/etc/nsswitch.conf", "hosts: files\n");
    auto all = make_contestants();
    for (int i = 0; i < runs; ++i) {
        for (auto& each : all) {
            note(each.healthy, time_to_connection(each, limit_seconds));
        }
    }
    const testkit::packet_drop black_hole{"ip6 daddr 2001:db8::1"};
    for (int i = 0; i < runs; ++i) {
        progress("dial: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        for (auto& each : all) {
            note(each.broken, time_to_connection(each, limit_seconds));
        }
    }
    print(all, runs, limit_seconds);
    const auto ours = all.front().broken.median();
    const bool met = ours && *ours <= bar_ms;
    std::cout << "The bar, attempt delay + 50 ms = " << number(bar_ms, 0) << " ms, is "
              << (met ? "met" : "MISSED") << " by portico dial.\n";
    return met ? 0 : 1;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_dial: " << *why << '\n';
        return 111;
    }
    return portico::bench::run(portico::bench::option(argc, argv, "runs", 7),
                               portico::bench::option(argc, argv, "limit", 5));
}
