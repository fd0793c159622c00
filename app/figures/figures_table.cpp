// The figures for a person.

#include "figures/service_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>

namespace portico::app {
namespace {

using way_state = relay::target_state::way_state;

constexpr std::array<relay::way, relay::ways> all_ways{relay::way::v4, relay::way::v6,
                                                       relay::way::local};

double seconds(duration span) {
    return std::chrono::duration<double>{span}.count();
}

using row = std::vector<std::string>;

// Columns as wide as they have to be; the first so many are texts, the others numbers.
void append(std::string& to, const std::vector<row>& rows, std::size_t texts) {
    std::vector<std::size_t> width(rows.front().size());
    for (const auto& each : rows) {
        for (std::size_t i = 0; i < each.size(); ++i) {
            width[i] = std::max(width[i], each[i].size());
        }
    }
    for (const auto& each : rows) {
        std::string line;
        for (std::size_t i = 0; i < each.size(); ++i) {
            line += i == 0 ? "" : "  ";
            line += i < texts ? fmt::format("{:<{}}", each[i], width[i])
                              : fmt::format("{:>{}}", each[i], width[i]);
        }
        to += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
}

std::string up_text(duration up) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(up).count();
    if (whole < 60) {
        return fmt::format("{}s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}m {}s", whole / 60, whole % 60);
    }
    if (whole < 86400) {
        return fmt::format("{}h {}m", whole / 3600, whole / 60 % 60);
    }
    return fmt::format("{}d {}h", whole / 86400, whole / 3600 % 24);
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 6> units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    auto value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1023.95; value /= 1024) {
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units[unit]);
}

// Below which so many of a hundred connects were.
std::string limit_text(const service_figures::connect_times& took, std::uint64_t percent) {
    const auto count = took.count();
    if (count == 0) {
        return "-";
    }
    std::uint64_t sum = 0;
    std::size_t bucket = 0;
    for (; bucket + 1 < took.below.size(); ++bucket) {
        sum += took.below[bucket];
        if (sum * 100 >= count * percent) {
            break;
        }
    }
    const bool is_last = bucket + 1 == took.below.size();
    const auto limit = run::connect_bucket_limit(is_last ? bucket - 1 : bucket);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(limit).count();
    return fmt::format("{}{}", is_last ? ">" : "<",
                       micros < 1000       ? fmt::format("{}us", micros)
                       : micros < 1000'000 ? fmt::format("{:.3g}ms", seconds(limit) * 1e3)
                                           : fmt::format("{:.3g}s", seconds(limit)));
}

void append_flows(std::string& to, const service_figures& what) {
    if (what.flows.empty()) {
        return;
    }
    std::vector<row> rows{{"listener", "family", "active", "accepted", "received", "sent"}};
    for (const auto& each : what.flows) {
        rows.push_back({each.listener, std::string{to_text(each.family)},
                        std::to_string(each.active), std::to_string(each.accepted),
                        bytes_text(each.received), bytes_text(each.sent)});
    }
    to += '\n';
    append(to, rows, 2);
    std::string ends;
    for (std::size_t i = 0; i < what.flows.front().ended.size(); ++i) {
        std::uint64_t sum = 0;
        for (const auto& each : what.flows) {
            sum += each.ended[i].second;
        }
        if (sum != 0) {
            ends += fmt::format("{}{} {}", ends.empty() ? "" : ", ",
                                what.flows.front().ended[i].first, sum);
        }
    }
    to += fmt::format("ended: {}\n", ends.empty() ? "none" : ends);
}

std::string state_text(const service_figures& what, const way_state& one) {
    if (!one.has_addresses) {
        return "no address";
    }
    if (one.condition == relay::way_health::condition::resting) {
        const auto rest = std::ceil(seconds(one.retry_at.remaining(what.now)));
        return rest > 0 ? fmt::format("resting {:.0f}s", rest) : "trial due";
    }
    return std::string{relay::to_text(one.condition)};
}

void append_targets(std::string& to, const service_figures& what) {
    std::vector<row> rows{{"target", "family", "state", "active", "connected", "failed",
                           "connect 50%", "99%", "weight", "priority"}};
    for (const auto& each : what.targets) {
        row shared{std::to_string(each.state.active), limit_text(each.took, 50),
                   limit_text(each.took, 99), std::to_string(each.state.weight),
                   std::to_string(each.state.priority)};
        auto name = each.name + (each.over == ip::transport::udp ? " (udp)" : "") +
                    (each.state.is_leaving ? " (leaving)" : "");
        bool is_first = true;
        const auto add = [&](std::string_view family, std::string state, const way_state& one) {
            rows.push_back({std::exchange(name, ""), std::string{family}, std::move(state),
                            is_first ? shared[0] : "", std::to_string(one.connected),
                            std::to_string(one.failed), is_first ? shared[1] : "",
                            is_first ? shared[2] : "", is_first ? shared[3] : "",
                            is_first ? shared[4] : ""});
            is_first = false;
        };
        for (const auto over : all_ways) {
            const auto& one = each.state.over[static_cast<std::size_t>(over)];
            if (is_used(one)) {
                add(relay::to_text(over), state_text(what, one), one);
            }
        }
        if (is_first) {
            add("-", "no address", {});
        }
    }
    to += '\n';
    append(to, rows, 3);
    for (const auto& each : what.targets) {
        for (const auto over : all_ways) {
            const auto& one = each.state.over[static_cast<std::size_t>(over)];
            if (one.failures != 0 && one.last_error) {
                to += fmt::format("{} over {}: {}\n", each.name, relay::to_text(over),
                                  one.last_error->code.message());
            }
        }
    }
}

void append_datagrams(std::string& to, const service_figures::datagrams& what) {
    std::vector<row> rows{{"datagrams", "received", "bytes", "sent", "bytes", "dropped"}};
    std::string drops;
    for (const auto& [from, flow] : {std::pair{"from clients", &what.counts.from_clients},
                                     std::pair{"from targets", &what.counts.from_targets}}) {
        rows.push_back({from, std::to_string(flow->received), bytes_text(flow->received_bytes),
                        std::to_string(flow->sent), bytes_text(flow->sent_bytes),
                        std::to_string(flow->all_dropped())});
        for (std::size_t i = 0; i < run::datagram_drops; ++i) {
            if (flow->dropped[i] != 0) {
                drops +=
                    fmt::format("dropped {}: {} {}\n", from,
                                run::to_text(static_cast<run::datagram_drop>(i)), flow->dropped[i]);
            }
        }
    }
    to += '\n';
    append(to, rows, 1);
    to += drops;
    std::string ends;
    for (std::size_t i = 0; i < relay::association_drops; ++i) {
        if (const auto count = what.counts.associations.dropped[i]; count != 0) {
            ends += fmt::format("{}{} {}", ends.empty() ? "" : ", ",
                                relay::to_text(static_cast<relay::association_drop>(i)), count);
        }
    }
    to += fmt::format("associations: {} began; ended: {}\n", what.counts.associations.opened,
                      ends.empty() ? "none" : ends);
}

void append_remarks(std::string& to, const service_figures& what) {
    const auto one = [&](std::uint64_t count, std::string_view text) {
        if (count != 0) {
            to += fmt::format("{} {}\n", count, text);
        }
    };
    to += '\n';
    const auto before = to.size();
    one(what.times_full, "times the limit of connections was reached");
    one(what.shed, "clients were refused: no descriptor or memory");
    one(what.accept_failed, "clients were gone before they were accepted");
    one(what.buffers_short, "times reading had to wait for a buffer");
    one(what.ends_untold, "ends of connections were not logged");
    for (std::size_t i = 0; i < what.bad_headers.size(); ++i) {
        const auto why = wire::to_text(static_cast<wire::proxy_header_refusal>(i));
        one(what.bad_headers[i], fmt::format("PROXY headers were refused: {}", why));
    }
    to += what.trouble.empty() ? "" : "trouble: " + what.trouble + '\n';
    if (to.size() == before) {
        to.pop_back();
    }
}

void append_programs(std::string& to, const service_figures::programs& what) {
    const auto& counts = what.counts;
    to += fmt::format("\nprograms: {} running, {} started, {} not started; ended: {} succeeded, {} "
                      "failed, {} crashed, {} overtime, {} stopped\n",
                      counts.running(), counts.started, counts.not_started, counts.succeeded,
                      counts.failed, counts.crashed, counts.overtime, counts.stopped);
    if (what.in_vain != 0) {
        to += fmt::format("{} runs took nothing\n", what.in_vain);
    }
}

void append_queries(std::string& to, const run::datagram_counters& what) {
    to += fmt::format("\nqueries: {} received, {} answered", what.received, what.answered);
    for (std::size_t i = 0; i < serve::drop_reasons; ++i) {
        const auto why = static_cast<serve::drop>(i);
        if (const auto count = what.dropped.of(why); count != 0) {
            to += fmt::format(", dropped {} {}", serve::to_text(why), count);
        }
    }
    to += '\n';
}

void append_socks(std::string& to, const run::socks_counters& what) {
    const auto sum = [](const auto& counts) {
        return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    };
    to += fmt::format("\nSOCKS: {} connected, {} associated, {} refused, {} late, {} destinations "
                      "not allowed\n",
                      what.connected, what.associated, sum(what.refused), what.late,
                      sum(what.not_allowed));
}

// How full it is.
std::string room_text(const service_figures& what) {
    std::string made;
    if (what.max_connections != 0) {
        made += fmt::format(", {} of {} connections", what.active, what.max_connections);
    }
    if (what.udp) {
        made += fmt::format(", {} of {} associations", what.udp->associations,
                            what.udp->max_associations);
    }
    if (what.threads != 0) {
        made =
            fmt::format(", {} {}", what.threads, what.threads == 1 ? "thread" : "threads") + made;
    }
    return what.kind == "relay" && made.empty() ? ", waiting for its targets" : made;
}

void append_service(std::string& to, const service_figures& what) {
    append_flows(to, what);
    if (what.started) {
        append_programs(to, *what.started);
    }
    if (what.queries) {
        append_queries(to, *what.queries);
    }
    if (what.socks) {
        append_socks(to, *what.socks);
    }
    if (what.udp) {
        append_datagrams(to, *what.udp);
    }
    if (!what.targets.empty()) {
        append_targets(to, what);
    }
    append_remarks(to, what);
}

std::string process_text(const process_figures& what) {
    auto made = fmt::format("descriptors: {}", what.descriptors.open);
    if (what.descriptors.most != SIZE_MAX) {
        made += fmt::format(" of {}", what.descriptors.most);
    }
    const auto add = [&](std::string_view text, std::optional<std::uint64_t> count) {
        if (count) {
            made += fmt::format("{} {} {}", made.ends_with(':') ? "" : ",", text, *count);
        }
    };
    made += "\nkernel:";
    add("full queues", what.kernel.listen_overflows);
    add("requests dropped", what.kernel.listen_drops);
    add("half-way dropped", what.kernel.request_drops);
    add("resets sent", what.kernel.resets_sent);
    return made + " (since boot, all programs of this network namespace)\n";
}

} // namespace

std::string to_table(const host_figures& what) {
    const auto& served = what.process.served;
    if (!served) {
        const auto& alone = what.services.front();
        auto made =
            fmt::format("portico {}: up {}{}\n", alone.kind, up_text(what.up), room_text(alone));
        append_service(made, alone);
        return made;
    }
    auto made = fmt::format("portico serve: up {}, {} {}, reloads {} ({} failed), handovers {} ({} "
                            "failed), {} connections of former services\n",
                            up_text(what.up), what.services.size(),
                            what.services.size() == 1 ? "service" : "services", served->reloads,
                            served->reloads_failed, served->handovers, served->handovers_failed,
                            served->leaving);
    made += process_text(what.process);
    for (const auto& each : what.services) {
        made += fmt::format("\nservice {}: {}{}\n", each.name, each.kind, room_text(each));
        append_service(made, each);
    }
    return made;
}

} // namespace portico::app
