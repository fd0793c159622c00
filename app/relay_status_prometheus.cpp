// The text format of Prometheus: HELP and TYPE once for each name, and all its series behind them.

#include "relay_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace portico::app {
namespace {

using label = std::pair<std::string_view, std::string_view>;
using labels = std::vector<label>;

constexpr std::array<relay::way, relay::ways> all_ways{relay::way::v4, relay::way::v6,
                                                       relay::way::local};

std::string escaped(std::string_view text) {
    std::string made;
    for (const char each : text) {
        if (each == '\\' || each == '"') {
            made += '\\';
            made += each;
        } else if (each == '\n') {
            made += "\\n";
        } else {
            made += each;
        }
    }
    return made;
}

// Writes families of metrics.
class page {
public:
    void begin(std::string_view name, std::string_view type, std::string_view help) {
        name_ = fmt::format("portico_relay_{}", name);
        fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name_, help,
                       name_, type);
    }
    template <class Number>
    void add(const labels& with, Number value, std::string_view suffix = {}) {
        text_ += name_;
        text_ += suffix;
        char before = '{';
        for (const auto& [name, what] : with) {
            fmt::format_to(std::back_inserter(text_), "{}{}=\"{}\"", std::exchange(before, ','),
                           name, escaped(what));
        }
        fmt::format_to(std::back_inserter(text_), "{} {}\n", with.empty() ? "" : "}", value);
    }
    [[nodiscard]] std::string text() && { return std::move(text_); }

private:
    std::string name_;
    std::string text_;
};

void add_flows(page& to, const relay_figures& what) {
    using flow = relay_figures::flow;
    const auto each_flow = [&](std::string_view name, std::string_view type, std::string_view help,
                               std::uint64_t flow::*value) {
        to.begin(name, type, help);
        for (const auto& each : what.flows) {
            to.add({{"listener", each.listener}, {"family", to_text(each.family)}}, each.*value);
        }
    };
    each_flow("connections_accepted_total", "counter", "Connections of clients that were accepted.",
              &flow::accepted);
    each_flow("connections_active", "gauge", "Connections of clients that are open.",
              &flow::active);
    each_flow("received_bytes_total", "counter", "Bytes from clients.", &flow::received);
    each_flow("sent_bytes_total", "counter", "Bytes to clients.", &flow::sent);
    to.begin("connections_ended_total", "counter",
             "Connections that ended or were not let in, by reason.");
    for (const auto& each : what.flows) {
        for (std::size_t i = 0; i < each.ended.size(); ++i) {
            to.add({{"listener", each.listener},
                    {"family", to_text(each.family)},
                    {"reason", run::to_text(static_cast<run::relay_end>(i))}},
                   each.ended[i]);
        }
    }
}

void add_totals(page& to, const relay_figures& what) {
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                         std::uint64_t value) {
        to.begin(name, type, help);
        to.add({}, value);
    };
    one("threads", "gauge", "Threads that move bytes.", what.threads);
    one("connections_max", "gauge", "The limit of connections.", what.max_connections);
    one("full_total", "counter", "Times that the limit of connections was reached.",
        what.times_full);
    one("accept_failed_total", "counter", "Clients that were gone before they were accepted.",
        what.accept_failed);
    one("accept_shed_total", "counter",
        "Clients that were refused as there was no descriptor or memory.", what.shed);
    one("buffers_short_total", "counter", "Times that reading had to wait for a buffer.",
        what.buffers_short);
    one("ends_untold_total", "counter", "Connections that ended and were not logged.",
        what.ends_untold);
    to.begin("bad_headers_total", "counter", "PROXY headers that were refused, by reason.");
    for (std::size_t i = 0; i < what.bad_headers.size(); ++i) {
        to.add({{"reason", wire::to_text(static_cast<wire::proxy_header_refusal>(i))}},
               what.bad_headers[i]);
    }
}

labels labels_of(const relay_figures::target& which) {
    return {{"target", which.name}, {"transport", ip::to_text(which.over)}};
}

void add_targets(page& to, const relay_figures& what) {
    using target = relay_figures::target;
    const auto each_target = [&](std::string_view name, std::string_view type,
                                 std::string_view help,
                                 const std::function<std::uint64_t(const target&)>& value) {
        to.begin(name, type, help);
        for (const auto& each : what.targets) {
            to.add(labels_of(each), value(each));
        }
    };
    each_target("target_leaving", "gauge", "1: it gets no new connections, and is gone after them.",
                [](const target& one) { return one.state.is_leaving ? 1U : 0U; });
    each_target("target_addresses", "gauge", "Addresses that its name has.",
                [](const target& one) { return one.state.addresses; });
    each_target("target_weight", "gauge", "Its share among those of the same priority.",
                [](const target& one) { return one.state.weight; });
    each_target("target_priority", "gauge", "The lowest that can be reached gets everything.",
                [](const target& one) { return one.state.priority; });
    each_target("target_chosen_total", "counter", "Times that it was chosen for a connection.",
                [](const target& one) { return one.state.chosen; });
    each_target("target_joining", "gauge", "Connections to it that are being made.",
                [](const target& one) { return one.state.joining; });
    each_target("target_active", "gauge", "Connections to it.",
                [](const target& one) { return one.state.active; });
}

void add_ways(page& to, const relay_figures& what) {
    using way_state = relay::target_state::way_state;
    const auto each_way = [&](std::string_view name, std::string_view type, std::string_view help,
                              const std::function<std::uint64_t(const way_state&)>& value) {
        to.begin(name, type, help);
        for (const auto& each : what.targets) {
            for (const auto over : all_ways) {
                const auto& one = each.state.over[static_cast<std::size_t>(over)];
                if (is_used(one)) {
                    auto with = labels_of(each);
                    with.emplace_back("family", relay::to_text(over));
                    to.add(with, value(one));
                }
            }
        }
    };
    each_way(
        "target_up", "gauge", "1: it is healthy and has an address.", [](const way_state& one) {
            return one.has_addresses && one.condition == relay::way_health::condition::up ? 1U : 0U;
        });
    each_way("target_failures", "gauge", "Connects that failed in a row.",
             [](const way_state& one) { return one.failures; });
    each_way("target_connected_total", "counter", "Connections that were made to it.",
             [](const way_state& one) { return one.connected; });
    each_way("target_failed_total", "counter", "Attempts to connect to it that failed.",
             [](const way_state& one) { return one.failed; });
    each_way("target_checks_passed_total", "counter", "Active checks that it passed.",
             [](const way_state& one) { return one.checks_passed; });
    each_way("target_checks_failed_total", "counter", "Active checks that it failed.",
             [](const way_state& one) { return one.checks_failed; });
}

void add_connect_times(page& to, const relay_figures& what) {
    to.begin("target_connect_seconds", "histogram", "How long connects that worked took.");
    for (const auto& each : what.targets) {
        if (each.over != ip::transport::tcp) {
            continue;
        }
        const auto with = labels_of(each);
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < each.took.below.size(); ++i) {
            sum += each.took.below[i];
            const bool is_last = i + 1 == each.took.below.size();
            const std::chrono::duration<double> limit = run::connect_bucket_limit(i);
            const auto text = is_last ? "+Inf" : fmt::format("{}", limit.count());
            auto bucket = with;
            bucket.emplace_back("le", text);
            to.add(bucket, sum, "_bucket");
        }
        to.add(with, static_cast<double>(each.took.sum) / 1e6, "_sum");
        to.add(with, sum, "_count");
    }
}

void add_flow(page& to, const relay_figures::datagrams& what) {
    const std::array<std::pair<std::string_view, const run::datagram_flow*>, 2> sides{
        {{"clients", &what.counts.from_clients}, {"targets", &what.counts.from_targets}}};
    using flow = run::datagram_flow;
    const auto each_side = [&](std::string_view name, std::string_view help,
                               std::uint64_t flow::*value) {
        to.begin(name, "counter", help);
        for (const auto& [from, counts] : sides) {
            to.add({{"from", from}}, counts->*value);
        }
    };
    each_side("datagrams_received_total", "Datagrams that came.", &flow::received);
    each_side("datagrams_received_bytes_total", "Bytes of datagrams that came.",
              &flow::received_bytes);
    each_side("datagrams_sent_total", "Datagrams that went on to the other side.", &flow::sent);
    each_side("datagrams_sent_bytes_total", "Bytes of those.", &flow::sent_bytes);
    to.begin("datagrams_dropped_total", "counter", "Datagrams that went no further, by reason.");
    for (const auto& [from, counts] : sides) {
        for (std::size_t i = 0; i < run::datagram_drops; ++i) {
            to.add({{"from", from}, {"reason", run::to_text(static_cast<run::datagram_drop>(i))}},
                   counts->dropped[i]);
        }
    }
}

void add_datagrams(page& to, const relay_figures::datagrams& what) {
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                         std::uint64_t value) {
        to.begin(name, type, help);
        to.add({}, value);
    };
    add_flow(to, what);
    one("datagrams_failed_reads_total", "counter", "Errors of reading from clients.",
        what.counts.failed_reads);
    one("datagrams_target_failures_total", "counter", "Sends to targets that failed, and refusals.",
        what.counts.target_failures);
    one("associations_active", "gauge", "Clients that are known.", what.associations);
    one("associations_max", "gauge", "The limit of them.", what.max_associations);
    one("associations_opened_total", "counter", "Associations that began.",
        what.counts.associations.opened);
    to.begin("associations_ended_total", "counter",
             "Associations that ended or did not begin, by reason.");
    for (std::size_t i = 0; i < relay::association_drops; ++i) {
        to.add({{"reason", relay::to_text(static_cast<relay::association_drop>(i))}},
               what.counts.associations.dropped[i]);
    }
}

} // namespace

std::string to_prometheus(const relay_figures& what) {
    page made;
    if (what.threads != 0) {
        add_flows(made, what);
        add_totals(made, what);
    }
    if (what.udp) {
        add_datagrams(made, *what.udp);
    }
    add_targets(made, what);
    add_ways(made, what);
    if (what.threads != 0) {
        add_connect_times(made, what);
    }
    return std::move(made).text();
}

} // namespace portico::app
