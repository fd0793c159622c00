// Relays, each driven with the same loads in turn: connections, round trips, bulk, memory, latency.
//
// In a private network. The relay has a processor to itself; the load (this program) and the origin
// share the others, and cost as little as they can: what they can do without a relay is in the
// table as `direct`. Each measure starts each relay anew, in another order each run. bench_relay
// [--peers NAME,...] [--measures NAME,...] [--runs 5] [--seconds 2] [--idle N] [--rate N]

#include "load.hpp"
#include "measure.hpp"
#include "relays.hpp"
#include "results.hpp"

#include "portico/os/clock.hpp"
#include "portico/testkit/private_network.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <string>

#include <sys/resource.h>

namespace portico::bench::relay {
namespace {

struct options {
    std::vector<std::string> peers{"haproxy", "nginx", "socat", "systemd-socket-proxyd", "asio"};
    std::vector<std::string> measures{"reset",   "fin",       "round64", "round1k", "round16k",
                                      "bulk_up", "bulk_down", "memory",  "latency"};
    int runs = 5;
    double seconds = 2;
    int idle = static_cast<int>(most_idle_connections());
    double rate = 0; // 0: half of what the slowest does
    bool shared = false;
};

duration span(double seconds) {
    return std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds});
}

class benchmark {
public:
    explicit benchmark(options asked)
        : asked_{std::move(asked)}, on_{asked_.shared ? processors{} : share_processors()} {
        for (auto& each : all_contestants(files_)) {
            const bool always = each.name == "direct" || each.name == "portico";
            if (always || std::count(asked_.peers.begin(), asked_.peers.end(), each.name) > 0) {
                all_.push_back(std::move(each));
            }
        }
        origin_ = start_origin(on_);
    }

    int run() {
        check_all();
        if (wants("latency") && asked_.rate == 0) {
            asked_.rate = half_of_the_slowest();
        }
        for (int i = 0; i < asked_.runs; ++i) {
            for (const auto& each : asked_.measures) {
                progress("relay: run " + std::to_string(i + 1) + " of " +
                         std::to_string(asked_.runs) + ": " + each);
                if (each == "latency") {
                    latency(i);
                    continue;
                }
                in_turn(i, [&](const contestant& who) { measure(each, who); });
            }
        }
        return print();
    }

private:
    [[nodiscard]] bool wants(const std::string& measure) const {
        return std::count(asked_.measures.begin(), asked_.measures.end(), measure) > 0;
    }

    // Every run begins with another one, so that nobody always comes after the same one.
    template <typename Each>
    void in_turn(int run, Each&& each) {
        for (std::size_t i = 0; i < all_.size(); ++i) {
            each(all_[(i + static_cast<std::size_t>(run)) % all_.size()]);
        }
    }

    // Bytes first: every one of them is compared, in both directions.
    void check_all() {
        constexpr std::uint64_t bytes = 8 << 20;
        for (const auto& who : all_) {
            progress("relay: all bytes through " + who.name);
            const running_relay relay{who, on_, origin_->pid(), is_};
            for (const auto way : {direction::to_target, direction::to_client}) {
                const auto went = check(is_, relay.port(), way, bytes);
                results_.of("check", who.name).lost += went.lost;
                if (went.unanswered > 0) {
                    one_ended_.push_back(who.name);
                }
            }
        }
    }

    double half_of_the_slowest() {
        double slowest = 1e9;
        for (const auto& who : all_) {
            const running_relay relay{who, on_, origin_->pid(), is_};
            const auto time = span(std::min(asked_.seconds, 1.0));
            const auto went = round_trips(is_, relay.port(), 64, time, relay.measured());
            progress("relay: " + who.name + ": " + number(went.amount / went.seconds, 0) +
                     " round trips/s");
            if (went.amount > 0) {
                slowest = std::min(slowest, went.amount / went.seconds);
            }
        }
        return std::max(slowest / 2, 100.0);
    }

    // `unit`: how many of what is counted are one of what the table tells; `cpu`: in a second.
    void keep(const std::string& row, const contestant& who, const outcome& went, double unit,
              double cpu) {
        auto& into = results_.of(row, who.name);
        into.failed += went.failed;
        into.lost += went.lost;
        if (went.amount <= 0 || static_cast<double>(went.failed) > went.all / 100) {
            into.figure.add_none();
            into.cpu.add_none();
            into.busy.add_none();
            into.load_busy.add_none();
            return;
        }
        into.figure.add(went.amount / unit / went.seconds);
        into.cpu.add(went.cpu * cpu / (went.all / unit));
        into.busy.add(went.busy * 100);
        into.load_busy.add(went.load_busy * 100);
    }

    void measure(const std::string& row, const contestant& who) {
        throw_if_interrupted();
        if (row == "memory") {
            if (who.many && !who.command.empty()) {
                memory(who);
            }
            return;
        }
        const running_relay relay{who, on_, origin_->pid(), is_};
        const auto time = span(asked_.seconds);
        const auto of = relay.measured();
        const auto port = relay.port();
        if (row == "reset" || row == "fin") {
            const auto how = row == "fin" ? closing::fin : closing::reset;
            keep(row, who, connections(is_, port, how, time, of), 1, 1e6);
        } else if (row == "bulk_up" || row == "bulk_down") {
            const auto way = row == "bulk_up" ? direction::to_target : direction::to_client;
            // A failed stream is no smaller thing than all of its bytes.
            auto went = bulk(is_, port, way, time, of);
            went.lost += went.failed;
            keep(row, who, went, 1e9, 1e3);
        } else {
            const std::size_t size = row == "round64" ? 64 : row == "round1k" ? 1024 : 16 * 1024;
            keep(row, who, round_trips(is_, port, size, time, of), 1, 1e6);
        }
    }

    void memory(const contestant& who) {
        const running_relay relay{who, on_, origin_->pid(), is_};
        const auto before = relay.memory();
        idle_connections idle{is_, relay.port(), static_cast<std::size_t>(asked_.idle)};
        const auto held = idle.result().amount;
        const auto after = relay.memory();
        idle.use_again(); // none of them has been given up meanwhile
        auto& each = results_.of("memory", who.name);
        auto& sum = results_.of("memory_all", who.name);
        each.failed += idle.result().failed;
        each.lost += idle.result().lost;
        if (!before || !after || held < asked_.idle || idle.result().amount < held) {
            each.figure.add_none();
            sum.figure.add_none();
            return;
        }
        each.figure.add((*after - *before) / held);
        sum.figure.add(*after / (1 << 20));
    }

    // All of a run together: what a relay adds is told against `direct` in the same run.
    void latency(int run) {
        std::map<std::string, std::optional<double>> p99;
        in_turn(run, [&](const contestant& who) {
            const running_relay relay{who, on_, origin_->pid(), is_};
            const auto went =
                paced(is_, relay.port(), asked_.rate, span(asked_.seconds), relay.measured());
            p99[who.name] = went.p99;
            auto& into = results_.of("latency", who.name);
            into.failed += went.sum.failed;
            into.lost += went.sum.lost;
            if (!went.p99) {
                into.figure.add_none();
                into.cpu.add_none();
                into.busy.add_none();
                into.load_busy.add_none();
                return;
            }
            into.figure.add(*went.p99 * 1e6);
            into.cpu.add(went.sum.cpu * 1e6 / went.sum.all);
            into.busy.add(went.sum.busy * 100);
            into.load_busy.add(went.sum.load_busy * 100);
        });
        for (const auto& who : all_) {
            if (who.command.empty()) {
                continue;
            }
            auto& into = results_.of("latency_added", who.name).figure;
            if (p99[who.name] && p99["direct"]) {
                into.add((*p99[who.name] - *p99["direct"]) * 1e6);
            } else {
                into.add_none();
            }
        }
    }

    int print() {
        std::cout << "### Relays on loopback\n\n"
                  << where_and_when() << "; " << asked_.runs << " runs in turn, "
                  << number(asked_.seconds, 1) << " s each; "
                  << (on_.of_relay.empty() ? "all on the same processors"
                                           : "the relay on processor " + on_.of_relay +
                                                 ", the load and the origin on " + on_.of_load)
                  << "; half over IPv4 and half over IPv6; " << at_a_time
                  << " connections at a time, bulk " << bulk_streams;
        if (wants("memory")) {
            std::cout << ", idle " << asked_.idle
                      << " (without socat and systemd-socket-proxyd, which need a process or six "
                         "descriptors for each)";
        }
        if (wants("latency")) {
            std::cout << "; latency at " << number(asked_.rate, 0) << " messages/s";
        }
        // The origin runs still, so its time is taken off by hand.
        const auto of_origin = cpu_seconds(origin_->pid());
        std::cout << "; other programs used " << number(others_.share(of_origin) * 100, 0)
                  << " % of the processors. Versions:";
        for (const auto& each : all_) {
            std::cout << (&each == all_.data() ? " " : ", ") << each.name << ": " << each.version;
        }
        std::cout << ".\n\n" << results_.table_of(all_) << '\n';
        for (const auto& each : all_) {
            if (const auto lost = results_.lost(each.name); lost > 0) {
                std::cout
                    << each.name << " is disqualified: " << lost
                    << " of its streams were cut short or had other bytes than were sent.\n\n";
            }
        }
        for (const auto& each : one_ended_) {
            std::cout << each
                      << " ends both directions when the client ends one: what the target "
                         "answers after that is lost.\n\n";
        }
        int missed = 0;
        std::cout << "### The bars\n\n" << results_.bars(all_, missed) << std::endl;
        return missed > 0 ? 1 : 0;
    }

    options asked_;
    other_programs others_{};
    workplace files_;
    processors on_;
    content is_;
    std::vector<contestant> all_;
    std::unique_ptr<testkit::process> origin_;
    results results_{};
    std::vector<std::string> one_ended_;
};

void prepare_network() {
    for (unsigned i = 1; i <= route::v6_sources; ++i) {
        char address[16];
        static_cast<void>(std::snprintf(address, sizeof address, "fd00::%x", i));
        testkit::must_run(std::string{"ip addr add "} + address + "/128 dev lo nodad");
    }
    // The relays connect to one port of one address: they shall not run out of ports of their own.
    testkit::set_sysctl("net.ipv4.ip_local_port_range", "10240 65535");
    testkit::set_sysctl("net.core.somaxconn", "8192");
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int main_of(int argc, char** argv) {
    options asked;
    CLI::App line{"measures relays against each other"};
    line.add_option("--peers", asked.peers)->delimiter(',')->check(CLI::IsMember(asked.peers));
    line.add_option("--measures", asked.measures)
        ->delimiter(',')
        ->check(CLI::IsMember(asked.measures));
    line.add_option("--runs", asked.runs, "of each measure")->check(CLI::Range(1, 100));
    line.add_option("--seconds", asked.seconds, "of each load")->check(CLI::Range(0.05, 60.0));
    line.add_option("--idle", asked.idle, "idle connections")->check(CLI::Range(1, asked.idle));
    line.add_option("--rate", asked.rate, "messages/s of the latency measure")
        ->check(CLI::Range(100.0, 1e6));
    line.add_flag("--shared", asked.shared, "do not give the relay a processor to itself");
    try {
        line.parse(argc, argv);
    } catch (const CLI::ParseError& why) {
        return line.exit(why) == 0 ? 0 : 100;
    }
    catch_interrupts();
    adopt_orphans();
    try {
        prepare_network();
        return benchmark{asked}.run();
    } catch (const interrupted&) {
        std::cerr << "bench_relay: interrupted\n";
        return 130;
    } catch (const std::exception& why) {
        std::cerr << "bench_relay: " << why.what() << '\n';
        return 111;
    }
}

} // namespace
} // namespace portico::bench::relay

int main(int argc, char** argv) {
    portico::testkit::reexecute_in_private_network(argc, argv);
    if (const auto why = portico::testkit::private_network_refusal()) {
        std::cerr << "bench_relay: " << *why << '\n';
        return 111;
    }
    return portico::bench::relay::main_of(argc, argv);
}
