// The datagrams of a service: built-in services, programs, and the groups of its sockets.

#include "service/service_run.hpp"

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

namespace portico::app {
namespace {

bool hears_broadcasts(const std::vector<plan::wish>& wishes) {
    return std::any_of(wishes.begin(), wishes.end(),
                       [](const plan::wish& each) { return each.broadcast; });
}

bool hears_groups(const std::vector<plan::wish>& wishes) {
    return std::any_of(wishes.begin(), wishes.end(),
                       [](const plan::wish& each) { return !each.groups.empty(); });
}

void add_interface(fields& to, std::uint32_t index) {
    if (index != 0) {
        const auto name = os::interface_name(index);
        to.push_back({"network.interface.name", name.empty() ? std::to_string(index) : name});
    }
}

} // namespace

// ---- starting ----

tl::expected<void, service_failure> service_run::start_datagrams() {
    if (datagram_relay_) {
        const auto begun = datagram_relay_->start(listener_->sockets());
        if (!begun) {
            return tl::unexpected{service_failure{{{}, to_text(begun.error())}, begun.error().who}};
        }
        return {};
    }
    if (!choice_.program.path.empty()) {
        start_datagram_program();
        return {};
    }
    if (!choice_.which) { // inherited ones; others were refused before
        log_.write(severity::error,
                   "datagram sockets are not served: the service needs connections");
        return {};
    }
    run::datagram_options how;
    how.seed = std::random_device{}();
    how.access = choice_.door.access;
    how.broadcasts = hears_broadcasts(wishes_);
    how.multicasts = hears_groups(wishes_);
    datagrams_ = std::make_unique<run::datagram_service>(
        context_.get_executor(), listener_->sockets(), *choice_.which, how,
        [this](const run::datagram_end& end) { handle_datagram(end); });
    return {};
}

void service_run::start_datagram_program() {
    run::datagram_program_options how;
    how.program = programs("query");
    how.broadcasts = hears_broadcasts(wishes_);
    how.multicasts = hears_groups(wishes_);
    datagram_programs_ = std::make_unique<run::datagram_program>(
        context_.get_executor(), std::move(how), door_, listener_->sockets(),
        [this](const run::query_end& end) { handle_query_end(end); });
}

void service_run::watch_groups() {
    if (run::group_watch::is_needed(listener_->sockets())) {
        groups_ = std::make_unique<run::group_watch>(
            context_.get_executor(), listener_->sockets(),
            [this](const run::group_news& news) { log_group(news); });
    }
}

void service_run::log_group(const run::group_news& news) {
    using kind = run::group_news::kind;
    const bool is_wrong = news.what == kind::refused || news.what == kind::unwatched;
    fields what;
    if (news.what != kind::unwatched) {
        add_endpoints(what, ip::transport::udp, news.socket, {});
        what.push_back({"group", ip::to_text(news.group)});
        what.push_back({"network.interface.name", news.interface});
    }
    if (is_wrong) {
        what.push_back({"detail", news.why.message()});
    }
    log_.write(is_wrong ? severity::error : severity::info,
               news.what == kind::joined    ? "group joined"
               : news.what == kind::left    ? "group left"
               : news.what == kind::refused ? "a group could not be joined"
                                            : "groups will not be joined on interfaces that come "
                                              "later",
               what);
}

// ---- what happened ----

// What is dropped is no line of its own, as whoever floods us with false sources would fill the
// log: see log_counters().
void service_run::handle_datagram(const run::datagram_end& end) {
    log_query(end.why ? severity::debug : severity::info, end, {});
}

void service_run::handle_query_end(const run::query_end& end) {
    const bool ours = end.why && end.why->who != side::peer && end.why->who != side::caller;
    const bool is_lost = end.query.why == serve::drop::too_long;
    const auto weight = ours || is_lost   ? severity::error
                        : end.number == 0 ? severity::debug
                                          : severity::info;
    if (log_.wants(weight)) {
        fields more;
        if (end.number != 0) {
            more.push_back({"query", end.number});
            add_duration(more, end.lasted);
        }
        if (end.exit_status) {
            more.push_back({"process.exit.code", static_cast<std::uint64_t>(*end.exit_status)});
        }
        if (end.why) {
            add_error(more, *end.why);
        }
        if (!end.detail.empty()) {
            more.push_back({"detail", end.detail});
        }
        log_query(weight, end.query, std::move(more));
    }
    if (has_streams_) {
        accept_next(); // they share the limit
    }
    end_if_idle();
}

void service_run::log_query(severity weight, const run::datagram_end& end, fields more) {
    if (!log_.wants(weight)) {
        return;
    }
    fields what;
    add_endpoints(what, ip::transport::udp, end.local, end.peer);
    add_interface(what, end.interface);
    what.push_back({"received", std::uint64_t{end.received}});
    what.push_back({"sent", std::uint64_t{end.sent}});
    if (end.why) {
        what.push_back({"reason", std::string{serve::to_text(*end.why)}});
    }
    if (end.failed) {
        add_error(what, *end.failed);
    }
    std::move(more.begin(), more.end(), std::back_inserter(what));
    log_.write(weight, end.why ? "query dropped" : "query served", what);
}

void service_run::log_dropped_queries() {
    if (!datagrams_ && !datagram_programs_) {
        return;
    }
    const auto dropped =
        datagrams_ ? datagrams_->counters().dropped : datagram_programs_->counters().dropped;
    if (std::exchange(dropped_told_, dropped.total()) != dropped.total()) {
        fields what;
        for (std::size_t i = 0; i < serve::drop_reasons; ++i) {
            const auto why = static_cast<serve::drop>(i);
            if (dropped.of(why) != 0) {
                what.push_back({"dropped." + std::string{serve::to_text(why)}, dropped.of(why)});
            }
        }
        log_.write(severity::warning, "queries were dropped", what);
    }
}

} // namespace portico::app
