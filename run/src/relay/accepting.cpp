// Listening sockets: taking clients from them without ever stopping or spinning, and closing them
// without losing any.

#include "portico/os/spawn.hpp"
#include "relay/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::run {
namespace {

constexpr unsigned most_in_queue = 65'536; // what a drain takes from a queue before it is closed
constexpr unsigned accepts_per_turn = 64;  // of one listening socket
// So long a listening socket rests when there was no memory for a connection.
constexpr duration out_of_memory = std::chrono::milliseconds{100};

error accept_error(int number) {
    return {{number, std::system_category()}, operation::accept, side::system, {}};
}

relay_family family_of(int socket) {
    const auto at = os::getsockname(socket);
    const auto* where = at ? std::get_if<ip::endpoint>(&*at) : nullptr;
    return where == nullptr         ? relay_family::local
           : where->address.is_v6() ? relay_family::v6
                                    : relay_family::v4;
}

} // namespace

result<void> relay_engine::loop::listen(os::fd socket, std::size_t wish, bool shared) {
    auto& made = listening_.emplace_back();
    made.family = family_of(socket.raw());
    made.socket = std::move(socket);
    made.wish = static_cast<std::uint32_t>(wish);
    made.shared = shared;
    // Who shares it may have made it block.
    static_cast<void>(os::set_blocking(made.socket.raw(), false));
    if (made.family != relay_family::local) { // accepted sockets inherit them
        static_cast<void>(os::set_no_delay(made.socket.raw(), settings_->no_delay));
        set_stream_options(made.socket.raw());
        if (settings_->fast_open > 0) {
            static_cast<void>(os::set_fast_open(made.socket.raw(), settings_->fast_open));
        }
    }
    watch_listening(made);
    if (!made.watched) {
        const int number = errno;
        listening_.pop_back();
        return tl::unexpected{accept_error(number)};
    }
    return {};
}

// Those of either side. Errors are those of sockets that have no such option.
void relay_engine::loop::set_stream_options(int which) const {
    if (settings_->dead_after) {
        static_cast<void>(os::set_dead_after(which, *settings_->dead_after));
    }
    if (settings_->socket_buffer) {
        static_cast<void>(os::set_buffers(which, *settings_->socket_buffer));
    }
}

void relay_engine::loop::watch_listening(listening& which) {
    if (which.watched || which.paused || is_paused_) {
        return;
    }
    const auto number = static_cast<std::uint32_t>(&which - &listening_.front());
    const auto exclusive = which.shared ? std::uint32_t{EPOLLEXCLUSIVE} : 0U;
    which.watched = calls::watch(epoll_.raw(), which.socket.raw(), EPOLLIN | exclusive,
                                 tag::make(tag::listener, 0, number)) == 0;
}

void relay_engine::loop::unwatch_listening(listening& which) {
    if (std::exchange(which.watched, false)) {
        calls::unwatch(epoll_.raw(), which.socket.raw());
    }
}

void relay_engine::loop::pause_listening(listening& which, instant until) {
    which.paused = until;
    unwatch_listening(which);
}

// After a pause, or when there is room again.
void relay_engine::loop::resume_listening() {
    for (auto& each : listening_) {
        if (each.paused && *each.paused <= now_) {
            each.paused.reset(); // else it would wake us again and again
        }
    }
    if (!accepting_ || (waits_for_room_ && !door_->has_room(number_at_door_))) {
        return;
    }
    waits_for_room_ = false;
    for (auto& each : listening_) {
        watch_listening(each);
    }
}

void relay_engine::loop::accept_from(listening& from) {
    // To be told that nobody waits costs nearly as much as a connection, so it is not asked again
    // and again: if there are more, epoll says so in the next turn.
    for (unsigned i = 0; i < from.expected; ++i) {
        const auto room = door_->take_place(number_at_door_);
        if (room == admission::room::wait) {
            counters_->times_full.add();
            waits_for_room_ = true;
            for (auto& each : listening_) {
                unwatch_listening(each); // the queue is theirs to wait in
            }
            return;
        }
        calls::peer_name peer;
        const int got = calls::accept(from.socket.raw(), peer);
        if (got >= 0) {
            from.policy.handle_accepted();
            if (!begin(from, os::fd{got}, peer, room)) {
                return pause_listening(from, now_ + out_of_memory);
            }
            continue;
        }
        if (room == admission::room::taken) {
            door_->give_back(number_at_door_);
        }
        const auto decided = from.policy.handle_failure({-got, std::system_category()},
                                                        static_cast<bool>(spare_), now_);
        if (decided.passed_over) {
            counters_->accept_failed.add();
        }
        switch (decided.step) {
        case admit::accept_step::again:
            break;
        case admit::accept_step::wait:
            from.expected = std::max(i, 1U);
            return;
        case admit::accept_step::shed:
            if (!shed(from)) {
                return;
            }
            break;
        case admit::accept_step::pause:
            return pause_listening(from, decided.until);
        }
    }
    from.expected = std::min(from.expected + 1, accepts_per_turn);
}

// False when there was no memory for it.
bool relay_engine::loop::begin(listening& from, os::fd client, const calls::peer_name& peer,
                               admission::room room) {
    connection* c = nullptr;
    try {
        c = &make_connection(std::move(client), peer, from.family, from.wish);
        c->has_place = room == admission::room::taken;
        if (room != admission::room::refuse) {
            greet(*c);
        } else {
            turn_away(*c, relay_end::full, "as many connections are open as may be");
        }
        return true;
    } catch (const std::bad_alloc&) {
        counters_->shed.add();
        if (c != nullptr && c->stage != phase::unused) {
            finish(*c, relay_end::no_memory, true, true);
        } else if (c == nullptr && room == admission::room::taken) {
            door_->give_back(number_at_door_);
        }
        return false;
    }
}

// One client is taken on the spare descriptor and reset. False when that is to be left for now.
bool relay_engine::loop::shed(listening& from) {
    spare_.reset();
    calls::peer_name peer;
    const int got = calls::accept(from.socket.raw(), peer);
    if (got >= 0) {
        calls::close(got, true);
        counters_->shed.add();
    }
    spare_ = os::fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const auto decided =
        from.policy.handle_shed({got < 0 ? -got : 0, std::system_category()}, now_);
    if (decided.step == admit::accept_step::pause) {
        pause_listening(from, decided.until);
    }
    return decided.step == admit::accept_step::again;
}

void relay_engine::loop::pause_accepting(bool on) {
    is_paused_ = on;
    for (auto& each : listening_) {
        if (on) {
            unwatch_listening(each);
        } else { // who went on with it meanwhile may have made it block
            static_cast<void>(os::set_blocking(each.socket.raw(), false));
            watch_listening(each);
        }
    }
}

void relay_engine::loop::begin_drain() {
    if (!accepting_ || close_listening_at_) {
        return;
    }
    close_listening_at_ = now_ + half_way;
}

void relay_engine::loop::close_listening() {
    for (auto& each : listening_) {
        // The queue of a shared one may be somebody else's, and that of a paused one is; where
        // somebody goes on with the socket there may be no end of it.
        for (unsigned i = 0; i < most_in_queue && !each.shared && !is_paused_; ++i) {
            const auto room = door_->take_place(number_at_door_); // `wait` is no reason any more
            calls::peer_name peer;
            const int got = calls::accept(each.socket.raw(), peer);
            if (got < 0) {
                if (room == admission::room::taken) {
                    door_->give_back(number_at_door_);
                }
                break;
            }
            static_cast<void>(begin(each, os::fd{got}, peer, room));
        }
        unwatch_listening(each);
    }
    listening_.clear();
    accepting_ = false;
}

} // namespace portico::run
