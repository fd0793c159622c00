// A relay's figures as JSON.

#include "plain_json.hpp"
#include "relay_status.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace portico::app {
namespace {

namespace json = boost::json;
using way_state = relay::target_state::way_state;

double seconds(duration span) {
    return std::chrono::duration<double>{span}.count();
}

json::object flow_json(const relay_figures::flow& what) {
    json::object ended;
    for (std::size_t i = 0; i < what.ended.size(); ++i) {
        ended[run::to_text(static_cast<run::relay_end>(i))] = what.ended[i];
    }
    return {{"listener", what.listener},       {"family", to_text(what.family)},
            {"active", what.active},           {"accepted", what.accepted},
            {"received_bytes", what.received}, {"sent_bytes", what.sent},
            {"ended", std::move(ended)}};
}

json::object way_json(const relay_figures& what, relay::way over, const way_state& one) {
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

json::object times_json(const relay_figures::connect_times& took) {
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

json::object target_json(const relay_figures& what, const relay_figures::target& one) {
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

json::object datagrams_json(const relay_figures::datagrams& what) {
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

} // namespace

std::string to_json(const relay_figures& what) {
    json::array listeners;
    for (const auto& each : what.flows) {
        listeners.push_back(flow_json(each));
    }
    json::array targets;
    for (const auto& each : what.targets) {
        targets.push_back(target_json(what, each));
    }
    json::object bad_headers;
    for (std::size_t i = 0; i < what.bad_headers.size(); ++i) {
        bad_headers[wire::to_text(static_cast<wire::proxy_header_refusal>(i))] =
            what.bad_headers[i];
    }
    json::object made{{"up_seconds", seconds(what.up)},
                      {"threads", what.threads},
                      {"active", what.active},
                      {"max_connections", what.max_connections},
                      {"listeners", std::move(listeners)},
                      {"targets", std::move(targets)},
                      {"times_full", what.times_full},
                      {"accept_shed", what.shed},
                      {"accept_failed", what.accept_failed},
                      {"buffers_short", what.buffers_short},
                      {"ends_untold", what.ends_untold},
                      {"bad_headers", std::move(bad_headers)},
                      {"trouble", what.trouble}};
    if (what.udp) {
        made["datagrams"] = datagrams_json(*what.udp);
    }
    return to_plain_json(made) + '\n';
}

} // namespace portico::app
