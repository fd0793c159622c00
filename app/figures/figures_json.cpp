// The figures as JSON.

#include "figures/plain_json.hpp"
#include "figures/service_figures.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace portico::app {
namespace {

namespace json = boost::json;
using way_state = relay::target_state::way_state;

double seconds(duration span) {
    return std::chrono::duration<double>{span}.count();
}

json::object flow_json(const service_figures::flow& what) {
    json::object ended;
    for (const auto& [reason, count] : what.ended) {
        ended[reason] = count;
    }
    return {{"listener", what.listener},       {"family", to_text(what.family)},
            {"active", what.active},           {"accepted", what.accepted},
            {"received_bytes", what.received}, {"sent_bytes", what.sent},
            {"ended", std::move(ended)}};
}

json::object way_json(const service_figures& what, relay::way over, const way_state& one) {
    json::object made{{"family", relay::to_text(over)},
                      {"has_addresses", one.has_addresses},
                      {"state", relay::to_text(one.condition)},
                      {"failures", one.failures},
                      {"connected", one.connected},
                      {"failed", one.failed},
                      {"checks_passed", one.checks_passed},
                      {"checks_failed", one.checks_failed}};
    if (!one.retry_at.is_never()) {
        made["retry_in_seconds"] = seconds(one.retry_at.remaining(what.now));
    }
    if (one.last_error) {
        made["last_error"] = one.last_error->code.message();
    }
    return made;
}

json::object times_json(const service_figures::connect_times& took) {
    json::array below;
    for (std::size_t i = 0; i < took.below.size(); ++i) {
        json::object bucket{{"count", took.below[i]}};
        if (i + 1 < took.below.size()) {
            bucket["below"] = seconds(run::connect_bucket_limit(i));
        }
        below.push_back(std::move(bucket));
    }
    return {{"count", took.count()},
            {"sum", static_cast<double>(took.sum) / 1e6},
            {"buckets", std::move(below)}};
}

json::object target_json(const service_figures& what, const service_figures::target& one) {
    json::array families;
    for (const auto over : {relay::way::v4, relay::way::v6, relay::way::local}) {
        const auto& state = one.state.over[static_cast<std::size_t>(over)];
        if (is_used(state)) {
            families.push_back(way_json(what, over, state));
        }
    }
    json::object made{{"target", one.name},
                      {"transport", ip::to_text(one.over)},
                      {"weight", one.state.weight},
                      {"priority", one.state.priority},
                      {"leaving", one.state.is_leaving},
                      {"addresses", one.state.addresses},
                      {"chosen", one.state.chosen},
                      {"joining", one.state.joining},
                      {"active", one.state.active},
                      {"families", std::move(families)}};
    if (one.over == ip::transport::tcp) {
        made["connect_seconds"] = times_json(one.took);
    }
    return made;
}

json::object side_json(const run::datagram_flow& what) {
    json::object dropped;
    for (std::size_t i = 0; i < what.dropped.size(); ++i) {
        dropped[run::to_text(static_cast<run::datagram_drop>(i))] = what.dropped[i];
    }
    return {{"received", what.received},
            {"received_bytes", what.received_bytes},
            {"sent", what.sent},
            {"sent_bytes", what.sent_bytes},
            {"dropped", std::move(dropped)}};
}

json::object datagrams_json(const service_figures::datagrams& what) {
    json::object ended;
    for (std::size_t i = 0; i < relay::association_drops; ++i) {
        ended[relay::to_text(static_cast<relay::association_drop>(i))] =
            what.counts.associations.dropped[i];
    }
    return {{"associations", what.associations},
            {"max_associations", what.max_associations},
            {"opened", what.counts.associations.opened},
            {"ended", std::move(ended)},
            {"from_clients", side_json(what.counts.from_clients)},
            {"from_targets", side_json(what.counts.from_targets)},
            {"failed_reads", what.counts.failed_reads},
            {"target_failures", what.counts.target_failures}};
}

template <class Reason, std::size_t Count>
json::object reasons_json(const std::array<std::uint64_t, Count>& counts) {
    json::object made;
    for (std::size_t i = 0; i < Count; ++i) {
        made[to_text(static_cast<Reason>(i))] = counts[i];
    }
    return made;
}

json::object programs_json(const service_figures::programs& what) {
    const auto& counts = what.counts;
    return {{"running", counts.running()},
            {"started", counts.started},
            {"not_started", counts.not_started},
            {"succeeded", counts.succeeded},
            {"failed", counts.failed},
            {"crashed", counts.crashed},
            {"overtime", counts.overtime},
            {"stopped", counts.stopped},
            {"lost", counts.lost},
            {"killed", counts.killed},
            {"run_seconds", seconds(counts.run_time)},
            {"stderr_lines", counts.lines},
            {"stderr_lines_cut", counts.lines_cut},
            {"stderr_lines_dropped", counts.lines_dropped},
            {"in_vain", what.in_vain}};
}

json::object queries_json(const run::datagram_counters& what) {
    json::object dropped;
    for (std::size_t i = 0; i < serve::drop_reasons; ++i) {
        const auto why = static_cast<serve::drop>(i);
        dropped[serve::to_text(why)] = what.dropped.of(why);
    }
    return {{"received", what.received},
            {"answered", what.answered},
            {"failed_reads", what.failed_reads},
            {"dropped", std::move(dropped)}};
}

json::object socks_json(const run::socks_counters& what) {
    return {{"connected", what.connected},
            {"associated", what.associated},
            {"late", what.late},
            {"refused", reasons_json<wire::socks5_refusal>(what.refused)},
            {"not_allowed", reasons_json<admit::destination_refusal>(what.not_allowed)},
            {"datagrams_to_targets", what.to_targets},
            {"datagrams_to_clients", what.to_clients},
            {"datagrams_dropped", reasons_json<run::socks_drop>(what.dropped)}};
}

// What only a relay has.
void add_relay(json::object& to, const service_figures& what) {
    json::array targets;
    for (const auto& each : what.targets) {
        targets.push_back(target_json(what, each));
    }
    to["threads"] = what.threads;
    to["targets"] = std::move(targets);
    to["buffers_short"] = what.buffers_short;
    to["ends_untold"] = what.ends_untold;
    to["bad_headers"] = reasons_json<wire::proxy_header_refusal>(what.bad_headers);
    to["trouble"] = what.trouble;
    if (what.udp) {
        to["datagrams"] = datagrams_json(*what.udp);
    }
}

json::object service_json(const service_figures& what) {
    json::array listeners;
    for (const auto& each : what.flows) {
        listeners.push_back(flow_json(each));
    }
    json::object made{{"kind", what.kind},
                      {"active", what.active},
                      {"max_connections", what.max_connections},
                      {"listeners", std::move(listeners)},
                      {"times_full", what.times_full},
                      {"accept_shed", what.shed},
                      {"accept_failed", what.accept_failed}};
    if (what.kind == "relay") {
        add_relay(made, what);
    }
    if (what.started) {
        made["programs"] = programs_json(*what.started);
    }
    if (what.queries) {
        made["queries"] = queries_json(*what.queries);
    }
    if (what.socks) {
        made["socks"] = socks_json(*what.socks);
    }
    return made;
}

void add_process(json::object& to, const process_figures& what) {
    json::object descriptors{{"open", what.descriptors.open}};
    if (what.descriptors.most != SIZE_MAX) {
        descriptors["max"] = what.descriptors.most;
    }
    to["descriptors"] = std::move(descriptors);
    json::object kernel;
    const auto add = [&](std::string_view name, std::optional<std::uint64_t> count) {
        if (count) {
            kernel[name] = *count;
        }
    };
    add("listen_overflows", what.kernel.listen_overflows);
    add("listen_drops", what.kernel.listen_drops);
    add("request_drops", what.kernel.request_drops);
    add("resets_sent", what.kernel.resets_sent);
    to["kernel"] = std::move(kernel);
}

} // namespace

std::string to_json(const host_figures& what) {
    json::object made{{"up_seconds", seconds(what.up)}};
    add_process(made, what.process);
    if (const auto& served = what.process.served) {
        made["reloads"] = served->reloads;
        made["reloads_failed"] = served->reloads_failed;
        made["handovers"] = served->handovers;
        made["handovers_failed"] = served->handovers_failed;
        made["leaving_connections"] = served->leaving;
        json::object services;
        for (const auto& each : what.services) {
            services[each.name] = service_json(each);
        }
        made["services"] = std::move(services);
    } else {
        for (const auto& each : service_json(what.services.front())) {
            made.insert(each);
        }
    }
    return to_plain_json(made) + '\n';
}

} // namespace portico::app
