// The metrics of programs, of built-in services over datagrams, and of SOCKS servers.

#include "figures/metrics_page.hpp"

#include <array>
#include <chrono>

namespace portico::app {
namespace {

std::array<std::pair<std::string_view, std::uint64_t>, 6>
ends_of(const run::program_counters& counts) {
    return {{{"succeeded", counts.succeeded},
             {"failed", counts.failed},
             {"crashed", counts.crashed},
             {"overtime", counts.overtime},
             {"stopped", counts.stopped},
             {"lost", counts.lost}}};
}

// Counts by the values of an enumeration, each with its name.
template <class Reason, std::size_t Count>
void add_reasons(service_metrics& to, std::string_view name, std::string_view help,
                 std::array<std::uint64_t, Count> run::socks_counters::*counts) {
    to.each(name, metric::counter, help, [&](const service_figures& each, const labels& of) {
        for (std::size_t i = 0; each.socks && i < Count; ++i) {
            to.out().add(with(of, {{"reason", to_text(static_cast<Reason>(i))}}),
                         ((*each.socks).*counts)[i]);
        }
    });
}

} // namespace

void add_program_metrics(service_metrics& to) {
    if (!to.any([](const service_figures& one) { return one.started.has_value(); })) {
        return;
    }
    using counters = run::program_counters;
    const auto one = [&](std::string_view name, metric type, std::string_view help,
                         std::uint64_t (*value)(const counters&)) {
        to.each_value(name, type, help, [value](const service_figures& each) {
            return each.started ? std::optional{value(each.started->counts)} : std::nullopt;
        });
    };
    one("programs_running", metric::gauge, "Programs that run.",
        [](const counters& each) { return each.running(); });
    one("programs_started_total", metric::counter, "Programs that were started.",
        [](const counters& each) { return each.started; });
    one("programs_not_started_total", metric::counter, "Programs that could not be started.",
        [](const counters& each) { return each.not_started; });
    to.each("programs_ended_total", metric::counter, "Programs that ended, by how.",
            [&](const service_figures& each, const labels& of) {
                if (each.started) {
                    for (const auto& [how, count] : ends_of(each.started->counts)) {
                        to.out().add(with(of, {{"how", how}}), count);
                    }
                }
            });
    one("programs_killed_total", metric::counter, "Programs that did not end without SIGKILL.",
        [](const counters& each) { return each.killed; });
    to.each("programs_run_seconds_total", metric::counter, "How long the ended programs ran.",
            [&](const service_figures& each, const labels& of) {
                if (each.started) {
                    const std::chrono::duration<double> sum = each.started->counts.run_time;
                    to.out().add(of, sum.count());
                }
            });
    one("programs_stderr_lines_total", metric::counter, "Lines of stderr that went to the log.",
        [](const counters& each) { return each.lines; });
    one("programs_stderr_lines_cut_total", metric::counter, "Of them, those that were too long.",
        [](const counters& each) { return each.lines_cut; });
    one("programs_stderr_lines_dropped_total", metric::counter,
        "Lines of stderr that were too many for the log.",
        [](const counters& each) { return each.lines_dropped; });
    to.each_value("programs_in_vain_total", metric::counter,
                  "Runs that took nothing, of programs that take their clients themselves.",
                  [](const service_figures& each) {
                      return each.started ? std::optional{each.started->in_vain} : std::nullopt;
                  });
}

void add_query_metrics(service_metrics& to) {
    if (!to.any([](const service_figures& one) { return one.queries.has_value(); })) {
        return;
    }
    using counters = run::datagram_counters;
    const auto one = [&](std::string_view name, std::string_view help,
                         std::uint64_t counters::*value) {
        to.each_value(name, metric::counter, help, [value](const service_figures& each) {
            return each.queries ? std::optional{(*each.queries).*value} : std::nullopt;
        });
    };
    one("queries_received_total", "Datagrams that came to built-in services.", &counters::received);
    one("queries_answered_total", "Datagrams that were answered.", &counters::answered);
    one("queries_failed_reads_total", "Errors of reading datagrams.", &counters::failed_reads);
    to.each("queries_dropped_total", metric::counter,
            "Datagrams that were not answered, by reason.",
            [&](const service_figures& each, const labels& of) {
                for (std::size_t i = 0; each.queries && i < serve::drop_reasons; ++i) {
                    const auto why = static_cast<serve::drop>(i);
                    to.out().add(with(of, {{"reason", serve::to_text(why)}}),
                                 each.queries->dropped.of(why));
                }
            });
}

void add_socks_metrics(service_metrics& to) {
    if (!to.any([](const service_figures& one) { return one.socks.has_value(); })) {
        return;
    }
    using counters = run::socks_counters;
    const auto one = [&](std::string_view name, std::string_view help,
                         std::uint64_t counters::*value) {
        to.each_value(name, metric::counter, help, [value](const service_figures& each) {
            return each.socks ? std::optional{(*each.socks).*value} : std::nullopt;
        });
    };
    one("socks_connected_total", "Clients that were connected to what they asked for.",
        &counters::connected);
    one("socks_associated_total", "Clients that got an association for datagrams.",
        &counters::associated);
    one("socks_late_total", "Clients whose request did not come in time.", &counters::late);
    add_reasons<wire::socks5_refusal>(to, "socks_refused_total", "Clients refused, by reason.",
                                      &counters::refused);
    add_reasons<admit::destination_refusal>(to, "socks_not_allowed_total",
                                            "Destinations that were not allowed, by reason.",
                                            &counters::not_allowed);
    one("socks_datagrams_to_targets_total", "Datagrams that went to targets.",
        &counters::to_targets);
    one("socks_datagrams_to_clients_total", "Datagrams that went to clients.",
        &counters::to_clients);
    add_reasons<run::socks_drop>(to, "socks_datagrams_dropped_total",
                                 "Datagrams that went no further, by reason.", &counters::dropped);
}

} // namespace portico::app
