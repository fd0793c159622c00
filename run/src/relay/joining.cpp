// From the accepted client to the connected target. A target with one address is connected to
// directly; several addresses are raced (RFC 8305). When none answers the next target is tried,
// and the client sees nothing of it.

#include "relay/loop.hpp"

#include <algorithm>
#include <cerrno>

namespace portico::run {
namespace {

constexpr std::uint32_t watched_events = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr std::size_t most_places = tag::last_attempt - tag::first_attempt;

relay_family counted_family(const ip::any_endpoint& at) {
    const auto* where = std::get_if<ip::endpoint>(&at);
    return where == nullptr         ? relay_family::local
           : where->address.is_v6() ? relay_family::v6
                                    : relay_family::v4;
}

error connect_error(int number, const ip::any_endpoint& at) {
    const bool of_the_host = number == EMFILE || number == ENFILE || number == ENOMEM ||
                             number == ENOBUFS || number == EADDRNOTAVAIL || number == ENODEV ||
                             number == ENETDOWN;
    return {{number, std::system_category()},
            operation::connect,
            of_the_host ? side::system : side::peer,
            at};
}

std::size_t bucket_of(duration took) {
    std::size_t bucket = 0;
    while (bucket + 1 < connect_buckets && took >= connect_bucket_limit(bucket)) {
        ++bucket;
    }
    return bucket;
}

// Which place a raced address is; the race knows only addresses.
std::uint16_t place_of(const std::vector<target_place>& places, const ip::endpoint& to) {
    const auto found = std::find_if(places.begin(), places.end(), [&](const auto& each) {
        const auto* where = std::get_if<ip::endpoint>(&each.at);
        return where != nullptr && *where == to;
    });
    return static_cast<std::uint16_t>(found - places.begin());
}

} // namespace

// `c.joining` is there, and the client is watched.
void relay_engine::loop::begin_joining(connection& c) {
    c.stage = phase::joining;
    try_next_target(c);
}

void relay_engine::loop::try_next_target(connection& c) {
    auto& joining = *c.joining;
    for (;;) {
        give_up_choice(c);
        auto chosen = targets_->choose(now_, client_of(c), joining.tried);
        if (!chosen) {
            return finish(c, is_egress_gone_ ? relay_end::egress_gone : relay_end::no_target, true,
                          true);
        }
        joining.tried.push_back(chosen->target);
        joining.choice = *std::move(chosen);
        joining.is_chosen = true;
        joining.began = now_;
        joining.attempts.clear();
        joining.race.reset();
        const auto& places = *joining.choice.places;
        if (is_egress_gone_ && leaves_host(places)) {
            note_failed(c, places.front().at, connect_error(ENETDOWN, places.front().at));
            continue;
        }
        if (places.size() > 1) {
            break;
        }
        if (begin_attempt(c, 0, places.front())) {
            return wheel_.set_at_latest(c, deadline::after(now_, settings_->connect_timeout));
        }
    }
    begin_race(c);
}

void relay_engine::loop::begin_race(connection& c) {
    auto& joining = *c.joining;
    const auto& places = *joining.choice.places;
    race::config how;
    how.attempt_delay = settings_->attempt_delay;
    how.resolution_delay = duration::zero(); // both families are here
    how.max_addresses = std::min(places.size(), most_places);
    how.until = deadline::after(now_, settings_->connect_timeout);
    std::vector<ip::destination> v4;
    std::vector<ip::destination> v6;
    for (const auto& each : places) {
        if (const auto* at = std::get_if<ip::endpoint>(&each.at)) {
            how.port = at->port;
            (at->address.is_v6() ? v6 : v4).push_back({at->address, each.from});
        }
    }
    how.expect_v4 = !v4.empty();
    how.expect_v6 = !v6.empty();
    auto& race = joining.race.emplace(how, now_);
    // The family that is preferred is started with (RFC 6724); both answers are there.
    if (how.expect_v6) {
        race.handle_addresses(now_, ip::family::v6, v6);
    }
    if (how.expect_v4) {
        race.handle_addresses(now_, ip::family::v4, v4);
    }
    pump_race(c);
}

void relay_engine::loop::pump_race(connection& c) {
    auto& joining = *c.joining;
    while (const auto todo = joining.race->poll_action()) {
        if (const auto* abandoned = std::get_if<race::abandon>(&*todo)) {
            close_attempt(c, abandoned->id, false);
            continue;
        }
        const auto& begun = std::get<race::start>(*todo);
        const auto& places = *joining.choice.places;
        if (!begin_attempt(c, begun.id, places[place_of(places, begun.to)])) {
            joining.race->handle_failed(now_, begun.id, joining.why);
        }
    }
    const auto& story = joining.race->story();
    if (!joining.race->is_decided()) {
        return wheel_.set_at_latest(c, joining.race->poll_deadline());
    }
    if (!story.winner) {
        for (const auto& each : story.attempts) {
            if (each.how == race::attempt_report::outcome::abandoned) {
                note_failed(c, each.to, connect_error(ETIMEDOUT, each.to));
            }
        }
        try_next_target(c);
    }
}

int relay_engine::loop::open_socket(const target_place& to) {
    auto made = os::socket(to.at, ip::transport::tcp);
    if (!made) {
        return -made.error().value();
    }
    const bool is_local = std::holds_alternative<ip::unix_name>(to.at);
    const auto failed = [](const os::sys_status& done) { return -done.error().value(); };
    if (!settings_->interface.empty() && !is_local) {
        if (const auto done = os::set_bind_to_device(*made, settings_->interface); !done) {
            return failed(done);
        }
    }
    if (settings_->from && !is_local) {
        static_cast<void>(os::set_bind_address_no_port(*made));
        if (const auto done = os::bind(*made, *settings_->from); !done) {
            return failed(done);
        }
    }
    if (!is_local) {
        set_stream_options(made->raw());
    }
    return std::move(*made).release();
}

// False when it failed at once.
bool relay_engine::loop::begin_attempt(connection& c, std::uint32_t id, const target_place& to) {
    auto& joining = *c.joining;
    const int made = open_socket(to);
    int why = -std::min(made, 0);
    if (made >= 0) {
        if (joining.attempts.size() <= id) {
            joining.attempts.resize(id + 1, -1);
        }
        joining.attempts[id] = made;
        const int connected = calls::connect(made, to.raw);
        why = connected == -EINPROGRESS ? 0 : -connected;
        if (why == 0) {
            why = -calls::watch(epoll_.raw(), made, watched_events | EPOLLOUT,
                                tag::make(tag::first_attempt + id, c.generation, c.index));
        }
    }
    if (why == 0) {
        return true; // that it is connected is told like any other event
    }
    close_attempt(c, id, false);
    note_failed(c, to.at, connect_error(why, to.at));
    return false;
}

void relay_engine::loop::note_failed(connection& c, const ip::any_endpoint& at, const error& why) {
    auto& joining = *c.joining;
    joining.why = why;
    if (tell_) {
        joining.story +=
            (joining.story.empty() ? "" : "; ") + ip::to_text(at) + " " + why.code.message();
    }
    targets_->handle_failed(now_, joining.choice.target, relay::way_of(at), why);
    counters_->targets[joining.choice.target]
        .failed[static_cast<std::size_t>(counted_family(at))]
        .add();
}

// Reading is left for later; only that it is gone matters now.
void relay_engine::loop::handle_client_while_joining(connection& c, std::uint32_t events) {
    auto& client = c.at(relay::end::client);
    c.client_readable = true;
    client.hung_up = client.hung_up || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if ((events & EPOLLERR) != 0) {
        if (const auto state = os::so_error(client.socket); !state) {
            c.failure = state.error().value();
            finish(c, relay_end::client_gone, false, true);
        }
    }
}

void relay_engine::loop::handle_attempt(connection& c, std::uint32_t id, std::uint32_t events) {
    auto& joining = *c.joining;
    if (id >= joining.attempts.size() || joining.attempts[id] < 0) {
        return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        const auto state = os::so_error(joining.attempts[id]);
        if (!state) {
            return attempt_failed(c, id, state.error().value());
        }
    } else if ((events & EPOLLOUT) == 0) {
        return;
    }
    join(c, id, (events & ~std::uint32_t{EPOLLOUT}) != 0);
}

void relay_engine::loop::attempt_failed(connection& c, std::uint32_t id, int why) {
    auto& joining = *c.joining;
    const auto at = joining.race ? ip::any_endpoint{joining.race->story().attempts[id].to}
                                 : joining.choice.places->front().at;
    const auto failed = connect_error(why, at);
    close_attempt(c, id, false);
    note_failed(c, at, failed);
    if (joining.race) {
        joining.race->handle_failed(now_, id, failed);
        return pump_race(c);
    }
    try_next_target(c);
}

void relay_engine::loop::give_up_choice(connection& c) {
    if (c.joining && std::exchange(c.joining->is_chosen, false)) {
        targets_->handle_given_up(c.joining->choice.target);
    }
}

void relay_engine::loop::close_attempt(connection& c, std::uint32_t id, bool reset) {
    auto& attempts = c.joining->attempts;
    if (id < attempts.size() && attempts[id] >= 0) {
        calls::close(std::exchange(attempts[id], -1), reset);
    }
}

void relay_engine::loop::close_attempts(connection& c, bool reset) {
    if (!c.joining) {
        return;
    }
    for (std::uint32_t id = 0; id < c.joining->attempts.size(); ++id) {
        close_attempt(c, id, reset);
    }
}

void relay_engine::loop::join(connection& c, std::uint32_t id, bool readable) {
    auto& joining = *c.joining;
    auto& target = c.at(relay::end::target);
    target.socket = std::exchange(joining.attempts[id], -1);
    target.told_writable = true;
    target.hung_up = readable; // it may have ended already: read until that shows
    c.target_what = static_cast<std::uint8_t>(tag::first_attempt + id);
    c.target = joining.choice.target;
    c.has_target = true;
    auto started = joining.began;
    if (joining.race) {
        joining.race->handle_connected(now_, id);
        started = joining.race->story().attempts[id].started;
        c.place = place_of(*joining.choice.places, joining.race->story().attempts[id].to);
        close_attempts(c, true); // the losers
    } else {
        c.place = 0;
    }
    c.places = joining.choice.places;
    const auto& at = (*c.places)[c.place].at;
    joining.is_chosen = false;
    targets_->handle_opened(c.target, relay::way_of(at));
    auto& counts = counters_->targets[c.target];
    counts.connected[static_cast<std::size_t>(counted_family(at))].add();
    counts.connect_time[bucket_of(now_ - started)].add();
    counts.connect_time_sum.add(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now_ - started).count()));
    c.stage = phase::joined;
    c.streams = relay::streams{settings_->limits, now_};
    const bool held = send_header(c) && hold_early(c, relay::end::client, joining.from_client);
    if (joining.story.empty()) {
        c.joining.reset(); // else it is told at the end
    }
    if (!held) {
        return finish(c, relay_end::no_memory, true, true);
    }
    // Who has not been told of yet is not asked.
    const relay::moved nothing{0, 0, relay::moved::source::drained, relay::moved::sink::open};
    if (!c.client_readable) {
        c.streams.handle_moved(now_, relay::end::client, nothing);
    }
    if (!readable) {
        c.streams.handle_moved(now_, relay::end::target, nothing);
    }
    pump(c);
}

} // namespace portico::run
