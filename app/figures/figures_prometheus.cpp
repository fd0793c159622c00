// The figures of all services and of the process, for Prometheus.

#include "figures/metrics_page.hpp"

#include <chrono>
#include <cstdint>

namespace portico::app {
namespace {

bool has_connections(const service_figures& one) {
    return one.max_connections != 0;
}

void add_flows(service_metrics& to) {
    using flow = service_figures::flow;
    const auto each_flow = [&](std::string_view name, metric type, std::string_view help,
                               std::uint64_t flow::*value) {
        to.each(name, type, help, [&](const service_figures& one, const labels& of) {
            for (const auto& each : one.flows) {
                to.out().add(
                    with(of, {{"listener", each.listener}, {"family", to_text(each.family)}}),
                    each.*value);
            }
        });
    };
    each_flow("connections_accepted_total", metric::counter,
              "Connections of clients that were accepted.", &flow::accepted);
    each_flow("connections_active", metric::gauge, "Connections of clients that are open.",
              &flow::active);
    each_flow("received_bytes_total", metric::counter,
              "Bytes from clients; those of a program do not come by here.", &flow::received);
    each_flow("sent_bytes_total", metric::counter,
              "Bytes to clients; those of a program do not come by here.", &flow::sent);
    to.each("connections_ended_total", metric::counter,
            "Connections that ended or were not let in, by reason.",
            [&](const service_figures& one, const labels& of) {
                for (const auto& each : one.flows) {
                    for (const auto& [reason, count] : each.ended) {
                        to.out().add(with(of, {{"listener", each.listener},
                                               {"family", to_text(each.family)},
                                               {"reason", reason}}),
                                     count);
                    }
                }
            });
}

void add_accepting(service_metrics& to) {
    const auto one = [&](std::string_view name, metric type, std::string_view help,
                         std::uint64_t service_figures::*value) {
        to.each_value(name, type, help, [value](const service_figures& each) {
            return has_connections(each) ? std::optional{each.*value} : std::nullopt;
        });
    };
    one("connections_max", metric::gauge, "The limit of connections.",
        &service_figures::max_connections);
    one("full_total", metric::counter, "Times that the limit of connections was reached.",
        &service_figures::times_full);
    one("accept_failed_total", metric::counter, "Clients that were gone before they were accepted.",
        &service_figures::accept_failed);
    one("accept_shed_total", metric::counter,
        "Clients that were refused as there was no descriptor or memory.", &service_figures::shed);
}

void add_process(metrics_page& to, const host_figures& what) {
    to.add_one("up_seconds", metric::gauge, "How long the process has been running.",
               std::chrono::duration<double>{what.up}.count());
    const auto& now = what.process;
    to.add_one("descriptors_open", metric::gauge, "Open descriptors of the process.",
               now.descriptors.open);
    if (now.descriptors.most != SIZE_MAX) {
        to.add_one("descriptors_max", metric::gauge, "The limit of them.", now.descriptors.most);
    }
    const auto kernel = [&](std::string_view name, std::string_view help,
                            std::optional<std::uint64_t> value) {
        if (value) {
            to.add_one(name, metric::counter, help, *value);
        }
    };
    kernel("kernel_listen_overflows_total", "Full accept queues, of the whole network namespace.",
           now.kernel.listen_overflows);
    kernel("kernel_listen_drops_total",
           "Connection requests that were dropped, of the whole network namespace.",
           now.kernel.listen_drops);
    kernel("kernel_request_drops_total",
           "Requests dropped as too many were half-way in, of the whole network namespace.",
           now.kernel.request_drops);
    kernel("kernel_resets_sent_total", "Resets that were sent, of the whole network namespace.",
           now.kernel.resets_sent);
}

void add_transitions(metrics_page& to, const transition_figures& what) {
    to.add_one("serve_reloads_total", metric::counter, "Reloads that were done.", what.reloads);
    to.add_one("serve_reloads_failed_total", metric::counter,
               "Reloads that changed nothing, for an error.", what.reloads_failed);
    to.add_one("serve_handovers_total", metric::counter, "Handovers that led to this process.",
               what.handovers);
    to.add_one("serve_handovers_failed_total", metric::counter,
               "Handovers from this process that failed.", what.handovers_failed);
    to.add_one("serve_leaving_connections", metric::gauge,
               "Connections of services that were replaced or taken away.", what.leaving);
}

} // namespace

std::string to_prometheus(const host_figures& what) {
    metrics_page made;
    service_metrics all{made, what};
    if (all.any(has_connections)) {
        add_flows(all);
        add_accepting(all);
    }
    add_relay_metrics(all);
    add_program_metrics(all);
    add_query_metrics(all);
    add_socks_metrics(all);
    add_process(made, what);
    if (what.process.served) {
        add_transitions(made, *what.process.served);
    }
    return std::move(made).text();
}

} // namespace portico::app
