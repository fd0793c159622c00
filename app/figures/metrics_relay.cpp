// The metrics of relays, and of their targets.

#include "figures/metrics_page.hpp"

#include <array>

namespace portico::app {
namespace {

constexpr std::array<relay::way, relay::ways> all_ways{relay::way::v4, relay::way::v6,
                                                       relay::way::local};

// Its threads run.
bool moves_bytes(const service_figures& one) {
    return one.threads != 0;
}

auto value_if(std::uint64_t service_figures::*value) {
    return [value](const service_figures& one) {
        return moves_bytes(one) ? std::optional{one.*value} : std::nullopt;
    };
}

void add_relays(service_metrics& to) {
    to.each_value(
        "relay_threads", metric::gauge, "Threads that move bytes.", [](const service_figures& one) {
            return moves_bytes(one) ? std::optional<std::uint64_t>{one.threads} : std::nullopt;
        });
    to.each_value("relay_buffers_short_total", metric::counter,
                  "Times that reading had to wait for a buffer.",
                  value_if(&service_figures::buffers_short));
    to.each_value("relay_ends_untold_total", metric::counter,
                  "Connections that ended and were not logged.",
                  value_if(&service_figures::ends_untold));
    to.each("relay_bad_headers_total", metric::counter,
            "PROXY headers that were refused, by reason.",
            [&](const service_figures& one, const labels& of) {
                for (std::size_t i = 0; moves_bytes(one) && i < one.bad_headers.size(); ++i) {
                    const auto why = static_cast<wire::proxy_header_refusal>(i);
                    to.out().add(with(of, {{"reason", wire::to_text(why)}}), one.bad_headers[i]);
                }
            });
}

labels labels_of(const labels& of, const service_figures::target& which) {
    return with(of, {{"target", which.name}, {"transport", ip::to_text(which.over)}});
}

void add_targets(service_metrics& to) {
    using target = service_figures::target;
    const auto each_target = [&](std::string_view name, metric type, std::string_view help,
                                 const std::function<std::uint64_t(const target&)>& value) {
        to.each(name, type, help, [&](const service_figures& one, const labels& of) {
            for (const auto& each : one.targets) {
                to.out().add(labels_of(of, each), value(each));
            }
        });
    };
    each_target("relay_target_leaving", metric::gauge,
                "1: it gets no new connections, and is gone after them.",
                [](const target& one) { return one.state.is_leaving ? 1U : 0U; });
    each_target("relay_target_addresses", metric::gauge, "Addresses that its name has.",
                [](const target& one) { return one.state.addresses; });
    each_target("relay_target_weight", metric::gauge, "Its share among those of the same priority.",
                [](const target& one) { return one.state.weight; });
    each_target("relay_target_priority", metric::gauge,
                "The lowest that can be reached gets everything.",
                [](const target& one) { return one.state.priority; });
    each_target("relay_target_chosen_total", metric::counter,
                "Times that it was chosen for a connection.",
                [](const target& one) { return one.state.chosen; });
    each_target("relay_target_joining", metric::gauge, "Connections to it that are being made.",
                [](const target& one) { return one.state.joining; });
    each_target("relay_target_active", metric::gauge, "Connections to it.",
                [](const target& one) { return one.state.active; });
}

void add_ways(service_metrics& to) {
    using way_state = relay::target_state::way_state;
    const auto each_way = [&](std::string_view name, metric type, std::string_view help,
                              const std::function<std::uint64_t(const way_state&)>& value) {
        to.each(name, type, help, [&](const service_figures& one, const labels& of) {
            for (const auto& each : one.targets) {
                for (const auto over : all_ways) {
                    const auto& way = each.state.over[static_cast<std::size_t>(over)];
                    if (is_used(way)) {
                        to.out().add(with(labels_of(of, each), {{"family", relay::to_text(over)}}),
                                     value(way));
                    }
                }
            }
        });
    };
    each_way("relay_target_up", metric::gauge, "1: it is healthy and has an address.",
             [](const way_state& one) {
                 return one.has_addresses && one.condition == relay::way_health::condition::up ? 1U
                                                                                               : 0U;
             });
    each_way("relay_target_failures", metric::gauge, "Connects that failed in a row.",
             [](const way_state& one) { return one.failures; });
    each_way("relay_target_connected_total", metric::counter, "Connections that were made to it.",
             [](const way_state& one) { return one.connected; });
    each_way("relay_target_failed_total", metric::counter, "Attempts to connect to it that failed.",
             [](const way_state& one) { return one.failed; });
    each_way("relay_target_checks_passed_total", metric::counter, "Active checks that it passed.",
             [](const way_state& one) { return one.checks_passed; });
    each_way("relay_target_checks_failed_total", metric::counter, "Active checks that it failed.",
             [](const way_state& one) { return one.checks_failed; });
}

void add_connect_time(metrics_page& to, const service_figures::target& which, const labels& of) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < which.took.below.size(); ++i) {
        sum += which.took.below[i];
        const bool is_last = i + 1 == which.took.below.size();
        const std::chrono::duration<double> limit = run::connect_bucket_limit(i);
        const auto text = is_last ? "+Inf" : fmt::format("{}", limit.count());
        to.add(with(of, {{"le", text}}), sum, "_bucket");
    }
    to.add(of, static_cast<double>(which.took.sum) / 1e6, "_sum");
    to.add(of, sum, "_count");
}

void add_connect_times(service_metrics& to) {
    to.each("relay_target_connect_seconds", metric::histogram,
            "How long connects that worked took.",
            [&](const service_figures& one, const labels& of) {
                for (const auto& each : one.targets) {
                    if (moves_bytes(one) && each.over == ip::transport::tcp) {
                        add_connect_time(to.out(), each, labels_of(of, each));
                    }
                }
            });
}

// ---- a relay's datagrams ----

void add_sides(service_metrics& to) {
    using flow = run::datagram_flow;
    const auto sides = [](const service_figures& one) {
        std::vector<std::pair<std::string_view, const flow*>> made;
        if (one.udp) {
            made = {{"clients", &one.udp->counts.from_clients},
                    {"targets", &one.udp->counts.from_targets}};
        }
        return made;
    };
    const auto each_side = [&](std::string_view name, std::string_view help,
                               std::uint64_t flow::*value) {
        to.each(name, metric::counter, help, [&](const service_figures& one, const labels& of) {
            for (const auto& [from, counts] : sides(one)) {
                to.out().add(with(of, {{"from", from}}), counts->*value);
            }
        });
    };
    each_side("relay_datagrams_received_total", "Datagrams that came.", &flow::received);
    each_side("relay_datagrams_received_bytes_total", "Bytes of datagrams that came.",
              &flow::received_bytes);
    each_side("relay_datagrams_sent_total", "Datagrams that went on to the other side.",
              &flow::sent);
    each_side("relay_datagrams_sent_bytes_total", "Bytes of those.", &flow::sent_bytes);
    to.each(
        "relay_datagrams_dropped_total", metric::counter,
        "Datagrams that went no further, by reason.",
        [&](const service_figures& one, const labels& of) {
            for (const auto& [from, counts] : sides(one)) {
                for (std::size_t i = 0; i < run::datagram_drops; ++i) {
                    const auto why = run::to_text(static_cast<run::datagram_drop>(i));
                    to.out().add(with(of, {{"from", from}, {"reason", why}}), counts->dropped[i]);
                }
            }
        });
}

void add_datagrams(service_metrics& to) {
    using datagrams = service_figures::datagrams;
    add_sides(to);
    const auto one = [&](std::string_view name, metric type, std::string_view help,
                         std::uint64_t (*value)(const datagrams&)) {
        to.each_value(name, type, help, [value](const service_figures& each) {
            return each.udp ? std::optional{value(*each.udp)} : std::nullopt;
        });
    };
    one("relay_datagrams_failed_reads_total", metric::counter, "Errors of reading from clients.",
        [](const datagrams& each) { return each.counts.failed_reads; });
    one("relay_datagrams_target_failures_total", metric::counter,
        "Sends to targets that failed, and refusals.",
        [](const datagrams& each) { return each.counts.target_failures; });
    one("relay_associations_active", metric::gauge, "Clients that are known.",
        [](const datagrams& each) { return each.associations; });
    one("relay_associations_max", metric::gauge, "The limit of them.",
        [](const datagrams& each) { return each.max_associations; });
    one("relay_associations_opened_total", metric::counter, "Associations that began.",
        [](const datagrams& each) { return each.counts.associations.opened; });
    to.each(
        "relay_associations_ended_total", metric::counter,
        "Associations that ended or did not begin, by reason.",
        [&](const service_figures& each, const labels& of) {
            for (std::size_t i = 0; each.udp && i < relay::association_drops; ++i) {
                const auto why = relay::to_text(static_cast<relay::association_drop>(i));
                to.out().add(with(of, {{"reason", why}}), each.udp->counts.associations.dropped[i]);
            }
        });
}

} // namespace

void add_relay_metrics(service_metrics& to) {
    if (to.any(moves_bytes)) {
        add_relays(to);
    }
    if (to.any([](const service_figures& one) { return one.udp.has_value(); })) {
        add_datagrams(to);
    }
    if (to.any([](const service_figures& one) { return !one.targets.empty(); })) {
        add_targets(to);
        add_ways(to);
    }
    if (to.any(moves_bytes)) {
        add_connect_times(to);
    }
}

} // namespace portico::app
