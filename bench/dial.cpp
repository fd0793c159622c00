// How long it takes to be connected when the first address of a name is dead.
//
// In a private network, two.test is 2001:db8::1 and 192.0.2.1. This program listens on both, but
// packets to one of them vanish: most clients go to IPv6 first, some to IPv4. The time is taken
// from before a client's start to when its connection is there. bench_dial [--runs 7] [--limit
// SECONDS]

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

constexpr const char* v4_address = "192.0.2.1";
constexpr const char* v6_address = "2001:db8::1";

struct contestant {
    std::string name;
    std::string version;
    std::function<std::vector<std::string>(std::string port)> command;
    // Milliseconds, by what is dead: nothing, IPv6, IPv4.
    samples healthy{};
    samples without_v6{};
    samples without_v4{};
};

using words = std::vector<std::string>;

std::vector<contestant> make_contestants() {
    const std::string host = "two.test";
    const auto socat = version_of("socat -V | sed -n 's/ on .*//; s/^socat version/socat/p'");
    return {
        {"portico dial", version_of(PORTICO_COMMAND " --version"),
         [=](auto port) {
             return words{PORTICO_COMMAND, "dial", "-z", host, port};
         }},
        {"curl", version_of("curl --version | cut -d' ' -f1,2"),
         [=](auto port) {
             return words{"curl", "-s", "http://" + host + ":" + port + "/"};
         }},
        {"ncat", version_of("ncat --version 2>&1 | sed 's/^Ncat: Version/ncat/; s/ (.*//'"),
         [=](auto port) {
             return words{"ncat", host, port};
         }},
        {"nc.openbsd",
         version_of("dpkg-query --show --showformat 'nc.openbsd ${Version}' netcat-openbsd"),
         [=](auto port) {
             return words{"nc.openbsd", host, port};
         }},
        {"socat", socat,
         [=](auto port) {
             return words{"socat", "-", "TCP:" + host + ":" + port};
         }},
        {"Asio async_connect", "Boost.Asio 1.81",
         [=](auto port) {
             return words{ASIO_CONNECT, host, port};
         }},
    };
}

// From the start of the client to its connection, in milliseconds; nullopt when there is none.
std::optional<double> time_to_connection(const contestant& who, int limit_seconds) {
    // What is held on the loopback address is free on the others.
    const auto held = testkit::bind_free_port(ip::family::v4);
    const auto v4 = listen_on({*ip::parse_address(v4_address), held.port});
    const auto v6 = listen_on({*ip::parse_address(v6_address), held.port});
    const auto begun = os::now();
    testkit::process client{who.command(std::to_string(held.port))};
    pollfd watched[2]{{v4.raw(), POLLIN, 0}, {v6.raw(), POLLIN, 0}};
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

void measure(std::vector<contestant>& all, samples contestant::*into, int runs, int limit_seconds,
             const std::string& dead) {
    for (int i = 0; i < runs; ++i) {
        progress("dial: " + dead + ", run " + std::to_string(i + 1) + " of " +
                 std::to_string(runs));
        for (auto& each : all) {
            note(each.*into, time_to_connection(each, limit_seconds));
        }
    }
}

// "median (least to most)"
std::string range_of(const samples& of, const std::string& never) {
    const auto middle = of.median();
    return !middle ? never
                   : number(middle, 1) + " (" + number(of.least(), 1) + " to " +
                         number(of.most(), 1, never) + ")";
}

bool meets_bar(const samples& ours) {
    const auto middle = ours.median();
    return middle && *middle <= bar_ms;
}

void print_bar(const std::string& dead, const samples& ours, const std::string& never) {
    std::cout << "The bar for portico dial with " << dead
              << ", attempt delay + 50 ms = " << number(bar_ms, 0) << " ms: median "
              << number(ours.median(), 1, never) << (meets_bar(ours) ? ", met.\n" : ", MISSED.\n");
}

void print(const std::vector<contestant>& all, int runs, int limit_seconds) {
    const auto never = "> " + std::to_string(limit_seconds) + " s";
    table results{{"client", "IPv6 dead", "IPv4 dead", "both alive"}};
    for (const auto& each : all) {
        results.add({each.name, range_of(each.without_v6, never), range_of(each.without_v4, never),
                     range_of(each.healthy, never)});
    }
    std::cout << "### Time from a client's start to its connection, ms: median (min to max)\n\n"
              << where_and_when() << "; " << runs << " runs in turn";
    for (const auto& each : all) {
        std::cout << "; " << each.version;
    }
    std::cout << ".\n\n" << results.text() << '\n';
    print_bar("IPv6 dead", all.front().without_v6, never);
    print_bar("IPv4 dead", all.front().without_v4, never);
    std::cout << '\n';
}

int run(int runs, int limit_seconds) {
    testkit::must_run(std::string{"ip addr add "} + v6_address + "/128 dev lo nodad; ip addr add " +
                      v4_address + "/32 dev lo");
    testkit::replace_file("/etc/hosts",
                          std::string{v6_address} + " two.test\n" + v4_address + " two.test\n");
    testkit::replace_file("/etc/nsswitch.conf", "hosts: files\n");
    auto all = make_contestants();
    measure(all, &contestant::healthy, runs, limit_seconds, "both alive");
    {
        const testkit::packet_drop black_hole{std::string{"ip6 daddr "} + v6_address};
        measure(all, &contestant::without_v6, runs, limit_seconds, "IPv6 dead");
    }
    {
        const testkit::packet_drop black_hole{std::string{"ip daddr "} + v4_address};
        measure(all, &contestant::without_v4, runs, limit_seconds, "IPv4 dead");
    }
    print(all, runs, limit_seconds);
    const auto& ours = all.front();
    return meets_bar(ours.without_v6) && meets_bar(ours.without_v4) ? 0 : 1;
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
