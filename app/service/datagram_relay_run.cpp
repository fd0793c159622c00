#include "service/datagram_relay_run.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace portico::app {
namespace {

// Some are kept for what a name look-up needs for a moment.
std::size_t associations_that_fit(std::size_t descriptors) {
    return std::max<std::size_t>(1, descriptors - std::min<std::size_t>(16, descriptors / 2));
}

hash_seed new_seed() {
    std::random_device source;
    const auto word = [&] { return std::uint64_t{source()} << 32 | source(); };
    return {word(), word()};
}

void add_drops(fields& to, std::string_view from, const run::datagram_flow& flow) {
    for (std::size_t i = 0; i < run::datagram_drops; ++i) {
        const auto why = static_cast<run::datagram_drop>(i);
        if (flow.of(why) != 0) {
            to.push_back(
                {std::string{from} + ".dropped." + std::string{to_text(why)}, flow.of(why)});
        }
    }
}

} // namespace

datagram_relay_run::datagram_relay_run(boost::asio::io_context& context, event_log& log,
                                       run::relay_options how,
                                       const relay::association_settings& table,
                                       std::size_t descriptors, run::admission_settings who,
                                       std::function<void()> over)
    : context_{context}, log_{log}, targets_how_{std::move(how)}, over_{std::move(over)} {
    for (auto& each : targets_how_.targets) {
        each.over = ip::transport::udp;
    }
    targets_how_.check_every.reset(); // they connect, which says nothing about a UDP service
    how_.table = table;
    how_.table.capacity = std::min(table.capacity, associations_that_fit(descriptors));
    how_.seed = new_seed();
    how_.from = targets_how_.settings.from;
    how_.interface = targets_how_.settings.interface;
    how_.socket_buffer = targets_how_.settings.socket_buffer;
    who.max_connections = how_.table.capacity + 1; // who comes to a full table may evict another
    who_ = std::make_shared<run::admission>(std::move(who));
    at_door_ = who_->join([] {}); // datagrams do not wait
    if (how_.table.capacity < table.capacity) {
        log_.write(severity::warning, "fewer associations than asked for fit",
                   {{"associations", std::uint64_t{how_.table.capacity}},
                    {"hint", std::string{"raise the limit of open files: ulimit -n, "
                                         "LimitNOFILE="}}});
    }
}

tl::expected<void, std::string> datagram_relay_run::prepare(std::function<void()> known) {
    auto targets =
        run::resolve_relay_targets(context_.get_executor(), targets_how_, std::move(known));
    if (!targets) {
        return tl::unexpected{std::move(targets.error())};
    }
    targets_ = *std::move(targets);
    return {};
}

result<void> datagram_relay_run::start(std::span<const run::bound_socket> sockets) {
    is_running_ = true;
    if (const auto trouble = targets_->trouble(); !trouble.empty()) {
        log_.write(severity::warning, "a target cannot be found; it is asked for again",
                   {{"detail", trouble}});
    }
    run::datagram_relay::ended tell;
    if (log_.wants(severity::info)) {
        tell = [this](const run::association_end& end) { log_end(end); };
    }
    auto made = run::datagram_relay::make(context_.get_executor(), sockets, targets_, how_, door(),
                                          std::move(tell));
    if (!made) {
        return tl::unexpected{made.error()};
    }
    relay_ = *std::move(made);
    return watch_egress();
}

run::association_door datagram_relay_run::door() const {
    if (who_->asks_nothing() && !who_->settings().descriptors) {
        return {};
    }
    run::association_door made;
    made.let_in = [who = who_,
                   us = at_door_](instant now,
                                  const ip::endpoint& client) -> std::optional<run::datagram_drop> {
        if (who->refuse(now, client)) {
            return run::datagram_drop::denied;
        }
        if (who->take_place(us) != run::admission::room::taken) {
            who->forget(client);
            return run::datagram_drop::no_socket;
        }
        return std::nullopt;
    };
    made.left = [who = who_, us = at_door_](const ip::endpoint& client) {
        who->forget(client);
        who->give_back(us);
    };
    return made;
}

// ---- the way out ----

result<void> datagram_relay_run::watch_egress() {
    auto watch = run::egress_watch::open(
        context_.get_executor(), targets_how_.settings.interface, targets_how_.settings.from,
        [this](bool is_there, const std::string& why) { handle_egress(is_there, why); });
    if (!watch) {
        return tl::unexpected{watch.error()};
    }
    egress_ = *std::move(watch);
    return {};
}

void datagram_relay_run::handle_egress(bool is_there, const std::string& why) {
    relay_->set_egress(is_there);
    if (is_there) {
        log_.write(severity::warning, "the way out is back", {});
    } else {
        log_.write(severity::error, "the way out is gone: datagrams are dropped",
                   {{"detail", why}});
    }
}

// ---- the end ----

void datagram_relay_run::drain() {
    if (std::exchange(is_ending_, true)) {
        return;
    }
    if (!relay_) {
        is_running_ = false;
        return;
    }
    relay_->drain([this] { handle_over(); });
}

void datagram_relay_run::handle_over() {
    log_counters();
    is_running_ = false;
    over_();
}

void datagram_relay_run::stop_now() {
    is_ending_ = true;
    is_running_ = false;
    if (relay_) {
        relay_->stop();
    }
}

std::size_t datagram_relay_run::associations() const {
    return relay_ ? relay_->active() : 0;
}

void datagram_relay_run::read(service_figures& to) const {
    auto& made = to.udp.emplace(service_figures::datagrams{});
    made.associations = associations();
    made.max_associations = capacity();
    if (relay_) {
        made.counts = relay_->counters();
    }
    if (targets_) {
        add_targets(to, *targets_, ip::transport::udp);
    }
}

// ---- the log ----

// Who never got an answer may not exist: such a line for each would be a stranger's way to fill the
// disk.
void datagram_relay_run::log_end(const run::association_end& end) {
    const auto weight = end.sent == 0 ? severity::debug : severity::info;
    if (!log_.wants(weight)) {
        return;
    }
    fields what{{"association", end.number}};
    add_endpoints(what, ip::transport::udp, end.local, end.client);
    add_duration(what, end.lasted);
    what.push_back({"received", end.received_bytes});
    what.push_back({"sent", end.sent_bytes});
    what.push_back({"datagrams.received", end.received});
    what.push_back({"datagrams.sent", end.sent});
    if (!std::holds_alternative<std::monostate>(end.target)) {
        what.push_back({"target", ip::to_text(end.target)});
    }
    what.push_back({"reason", std::string{relay::to_text(end.why)}});
    log_.write(weight, "association ended", what);
}

void datagram_relay_run::log_counters() {
    if (!relay_) {
        return;
    }
    const auto now = relay_->counters();
    if (now.target_failures != told_.target_failures && now.last_failure) {
        fields what{{"failures", now.target_failures},
                    {"target", ip::to_text(now.last_failure->at)}};
        add_error(what, *now.last_failure);
        log_.write(severity::warning, "a target refuses datagrams, or cannot be sent to", what);
    }
    log_drops(now);
    told_ = now;
}

void datagram_relay_run::log_drops(const run::datagram_relay_counters& now) {
    const auto lost = [](const run::datagram_relay_counters& counts) {
        return counts.from_clients.all_dropped() + counts.from_targets.all_dropped() +
               counts.failed_reads;
    };
    if (lost(now) != lost(told_)) {
        fields what;
        add_drops(what, "clients", now.from_clients);
        add_drops(what, "targets", now.from_targets);
        if (now.failed_reads != 0) {
            what.push_back({"failed_reads", now.failed_reads});
        }
        log_.write(severity::warning, "datagrams were dropped", what);
    }
    const auto evicted = now.associations.of(relay::association_drop::evicted);
    if (evicted != told_.associations.of(relay::association_drop::evicted)) {
        log_.write(severity::warning, "associations made room for others",
                   {{"evicted", evicted}, {"associations", std::uint64_t{associations()}}});
    }
}

} // namespace portico::app
