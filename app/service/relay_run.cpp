#include "service/relay_run.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace portico::app {
namespace {

// A sixteenth of the descriptors, as a pipe has two of them and there may be as many for a moment.
std::size_t pipes_that_fit(std::size_t engines, std::size_t descriptors) {
    return std::min<std::size_t>(256, descriptors / 32 / engines);
}

// Whether who connects there comes to this socket. Of this host are the addresses that are their
// own source.
bool leads_to(const run::target_place& place, const run::bound_socket& socket) {
    const auto* to = std::get_if<ip::endpoint>(&place.at);
    const auto* at = std::get_if<ip::endpoint>(&socket.at);
    if (socket.over != ip::transport::tcp || to == nullptr || at == nullptr) {
        return socket.over == ip::transport::tcp && place.at == socket.at;
    }
    const bool is_here =
        place.from && place.from->address.with_zone({}) == to->address.with_zone({});
    const bool has_all = at->address.is_unspecified() && is_here &&
                         (at->address.is_v4() == to->address.is_v4() || !socket.v6only);
    return at->port == to->port && (has_all || at->address == to->address);
}

} // namespace

relay_run::relay_run(boost::asio::io_context& context, event_log& log, run::relay_options how,
                     std::size_t engines, std::size_t descriptors, std::function<void()> over)
    : context_{context}, log_{log}, how_{std::move(how)}, engines_{engines}, over_{
                                                                                 std::move(over)} {
    how_.settings.max_pipes = pipes_that_fit(engines_, descriptors);
}

tl::expected<void, std::string> relay_run::prepare(std::function<void()> known) {
    auto targets = run::resolve_relay_targets(context_.get_executor(), how_, std::move(known));
    if (!targets) {
        return tl::unexpected{std::move(targets.error())};
    }
    targets_ = *std::move(targets);
    meter_ = relay_meter::make(targets_);
    return {};
}

result<void> relay_run::start(const run::listener& sockets, std::span<const plan::wish> wishes,
                              std::shared_ptr<run::admission> door, run::relay_group::ended tell) {
    if (const auto trouble = targets_->trouble(); !trouble.empty()) {
        log_.write(severity::warning, "a target cannot be found; it is asked for again",
                   {{"detail", trouble}});
    }
    warn_of_rings(sockets.sockets());
    const auto max_connections = door->settings().max_connections;
    auto group = std::make_unique<run::relay_group>(context_.get_executor(), how_.settings,
                                                    targets_, std::move(door), wishes.size(),
                                                    engines_, std::move(tell));
    if (auto done = group->listen(sockets.sockets()); !done) {
        return done;
    }
    try {
        threads_ = std::make_unique<relay_threads>(context_, std::move(group), over_);
    } catch (const std::system_error& why) {
        return tl::unexpected{error{why.code(), operation::open, side::system, {}}};
    }
    meter_->attach(threads_->group(), sockets.sockets(), wishes, max_connections);
    return watch_egress();
}

void relay_run::warn_of_rings(std::span<const run::bound_socket> sockets) {
    for (const auto& place : targets_->places()) {
        if (std::any_of(sockets.begin(), sockets.end(),
                        [&](const auto& each) { return leads_to(place, each); })) {
            log_.write(severity::warning,
                       "a target is an address that this service listens at itself: each "
                       "connection comes back, until there are no more",
                       {{"target", ip::to_text(place.at)}});
        }
    }
}

result<void> relay_run::watch_egress() {
    auto watch = run::egress_watch::open(
        context_.get_executor(), how_.settings.interface, how_.settings.from,
        [this](bool is_there, const std::string& why) { handle_egress(is_there, why); });
    if (!watch) {
        return tl::unexpected{watch.error()};
    }
    egress_ = *std::move(watch);
    return {};
}

// Nothing may leave by another way: better no connection than one.
void relay_run::handle_egress(bool is_there, const std::string& why) {
    threads_->set_egress(is_there);
    if (is_there) {
        log_.write(severity::warning, "the way out is back", {});
    } else {
        log_.write(severity::error, "the way out is gone: connections are reset",
                   {{"detail", why}});
    }
}

void relay_run::pause(bool on) {
    if (threads_) {
        threads_->pause(on);
    }
}

void relay_run::drain() {
    if (threads_) {
        threads_->drain();
    }
}

void relay_run::stop_now() {
    if (threads_) {
        threads_->stop_now();
    }
}

std::uint64_t relay_run::connections() const {
    return threads_ ? threads_->group().active() : 0;
}

// Each engine has a loop, a way to wake it, a spare descriptor and sockets of its own; ten are for
// all of them, for what finds targets and for attempts at further addresses.
std::size_t relay_run::connections_that_fit(std::size_t left, std::size_t sockets) const {
    const auto kept = 10 + engines_ * (4 + sockets + 2 * how_.settings.max_pipes);
    return std::max<std::size_t>(1, (left - std::min(left, kept)) / 2);
}

bool relay_run::log_counters() {
    if (!threads_) {
        return false;
    }
    auto now = decltype(told_){};
    for (std::size_t i = 0; i < threads_->group().size(); ++i) {
        const auto& each = threads_->group().counters(i);
        now.shed += each.shed.value();
        now.accept_failed += each.accept_failed.value();
        now.times_full += each.times_full.value();
        now.untold += each.ends_untold.value();
    }
    const auto before = std::exchange(told_, now);
    if (now.shed != before.shed) {
        log_.write(severity::error, "out of descriptors or memory", {{"accept.shed", now.shed}});
    }
    if (now.accept_failed != before.accept_failed) {
        log_.write(severity::debug, "clients were gone before they were accepted",
                   {{"accept.aborted", now.accept_failed}});
    }
    if (now.untold != before.untold) {
        log_.write(severity::warning, "connections ended that have no line of their own",
                   {{"connections", now.untold}});
    }
    return now.times_full != before.times_full;
}

} // namespace portico::app
