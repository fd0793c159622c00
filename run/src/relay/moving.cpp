// Bytes: from a readable socket to a writable one, by way of one buffer for all connections, or
// through a pipe when there are many of them.

#include "relay/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace portico::run {

using relay::end;
using relay::moved;
using relay::step;

namespace {

constexpr unsigned moves_per_turn = 8; // of one connection, before others have their turn
// So many whole buffers in a row are taken for bulk.
constexpr std::uint8_t bulk_after = 4;

} // namespace

void relay_engine::loop::handle_joined(connection& c, end which, std::uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        c.at(which).hung_up = true;
    }
    if ((events & EPOLLERR) != 0) {
        c.streams.handle_failed(which);
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) {
        c.streams.handle_readable(which);
    }
    if ((events & EPOLLOUT) != 0) {
        c.streams.handle_writable(which);
    }
    pump(c);
}

void relay_engine::loop::pump(connection& c) {
    for (unsigned moves = 0;;) {
        const auto what = c.streams.poll_step();
        switch (what) {
        case step::wait:
            return wheel_.set_at_latest(c, c.streams.poll_deadline());
        case step::move_from_client:
        case step::move_from_target:
            if (++moves > moves_per_turn) {
                return make_ready(c);
            }
            if (!move(c, what == step::move_from_client ? end::client : end::target)) {
                return; // it waits for a buffer
            }
            break;
        case step::end_to_client:
        case step::end_to_target: {
            const auto to = what == step::end_to_client ? end::client : end::target;
            calls::shutdown_send(c.at(to).socket);
            c.streams.handle_end_passed(to);
            break;
        }
        case step::close_reset_when_sent:
            return linger(c);
        case step::close:
            return finish(c, relay_end::both_ended, false, false);
        case step::close_reset:
            // Who has failed needs no reset of ours.
            switch (c.streams.how_it_ended()) {
            case relay::ending::client_failed:
                return finish(c, relay_end::client_failed, false, true);
            case relay::ending::target_failed:
                return finish(c, relay_end::target_failed, true, false);
            case relay::ending::idle:
                return finish(c, relay_end::idle, true, true);
            default:
                return finish(c, relay_end::half_closed, true, true);
            }
        }
    }
}

bool relay_engine::loop::move(connection& c, end from) {
    auto& flow = c.from(from);
    const bool holds = c.streams.held(from) != 0;
    if (!holds && flow.pipe == nullptr && buffers_.is_empty()) {
        // What the sink does not take would have nowhere to go.
        if (!c.is_starved) {
            c.is_starved = true;
            starved_.push_back(&c);
            counters_->buffers_short.add();
        }
        return false;
    }
    const auto did = flow.pipe != nullptr ? splice(c, from)
                     : holds              ? send_held(c, from)
                                          : copy(c, from);
    c.streams.handle_moved(now_, from, did);
    auto& counts = count(c);
    if (from == end::client) {
        counts.received.add(did.received);
    } else {
        counts.sent.add(did.sent);
    }
    if (did.to == moved::sink::full) {
        want_writable(c, other(from));
    }
    return true;
}

moved relay_engine::loop::copy(connection& c, end from) {
    moved did;
    auto& source = c.at(from);
    const auto got = calls::recv(source.socket, scratch_);
    if (got <= 0) {
        did.from = got == 0         ? moved::source::ended
                   : got == -EAGAIN ? moved::source::drained
                                    : moved::source::failed;
        if (did.from == moved::source::failed && c.failure == 0) {
            c.failure = static_cast<int>(-got);
        }
        return did;
    }
    auto& flow = c.from(from);
    const auto bytes = std::span{scratch_}.first(static_cast<std::size_t>(got));
    const bool whole = bytes.size() == scratch_.size();
    // A stream that gave less than it was asked for has no more (epoll(7)), except for its end.
    did.from = whole || source.hung_up ? moved::source::more : moved::source::drained;
    did.received = static_cast<std::uint32_t>(bytes.size());
    const auto sent = send(c, other(from), bytes);
    if (sent < 0) {
        did.to = moved::sink::failed;
        did.received = 0; // nobody has them
        return did;
    }
    did.sent = static_cast<std::uint32_t>(sent);
    if (did.sent < did.received) {
        did.to = moved::sink::full;
        hold(c, from, bytes.subspan(did.sent));
    }
    flow.full_reads = whole ? std::min<std::uint8_t>(flow.full_reads + 1, bulk_after) : 0;
    if (flow.full_reads == bulk_after && did.to == moved::sink::open) {
        flow.pipe = pipes_.borrow();
        flow.full_reads = flow.pipe == nullptr ? 0 : bulk_after; // and is tried again later
    }
    return did;
}

moved relay_engine::loop::send_held(connection& c, end from) {
    moved did;
    auto& flow = c.from(from);
    const auto bytes = std::span{flow.held.get() + flow.held_at, c.streams.held(from)};
    const auto sent = send(c, other(from), bytes);
    if (sent < 0) {
        did.to = moved::sink::failed;
        return did;
    }
    did.sent = static_cast<std::uint32_t>(sent);
    flow.held_at += did.sent;
    if (did.sent < bytes.size()) {
        did.to = moved::sink::full;
    } else {
        let_go(flow, true);
    }
    return did;
}

// The bytes that a sink takes go to it without being copied.
moved relay_engine::loop::splice(connection& c, end from) {
    moved did;
    auto& flow = c.from(from);
    std::size_t in_pipe = c.streams.held(from);
    if (in_pipe == 0) {
        const auto got = calls::splice(c.at(from).socket, flow.pipe->in.raw(), flow.pipe->capacity);
        if (got <= 0) {
            did.from = got == 0         ? moved::source::ended
                       : got == -EAGAIN ? moved::source::drained
                                        : moved::source::failed;
            if (did.from == moved::source::failed && c.failure == 0) {
                c.failure = static_cast<int>(-got);
            }
            let_go(flow, true);
            return did;
        }
        in_pipe = static_cast<std::size_t>(got);
        did.received = static_cast<std::uint32_t>(in_pipe);
        if (in_pipe < settings_->buffer) {
            flow.full_reads = 0; // copying so few costs less
        }
    }
    const auto sent = calls::splice(flow.pipe->out.raw(), c.at(other(from)).socket, in_pipe);
    if (sent < 0 && sent != -EAGAIN) {
        if (sent == -EPIPE) {
            quiet_->take();
        }
        if (c.failure == 0) {
            c.failure = static_cast<int>(-sent);
        }
        did.to = moved::sink::failed;
        return did;
    }
    did.sent = static_cast<std::uint32_t>(std::max<ssize_t>(sent, 0));
    if (did.sent < in_pipe) {
        did.to = moved::sink::full;
    } else if (flow.full_reads == 0) {
        let_go(flow, true);
    }
    return did;
}

// 0 when it is full; negative when it failed.
ssize_t relay_engine::loop::send(connection& c, end to, std::span<const std::byte> bytes) {
    auto& sink = c.at(to);
    if (sink.sent_before && settings_->no_delay && !sink.told_no_delay) {
        sink.told_no_delay = true;
        static_cast<void>(os::set_no_delay(sink.socket, true));
    }
    sink.sent_before = true;
    const auto sent = calls::send(sink.socket, bytes);
    if (sent == -EAGAIN) {
        return 0;
    }
    if (sent < 0 && c.failure == 0) {
        c.failure = static_cast<int>(-sent);
    }
    return sent;
}

void relay_engine::loop::hold(connection& c, end from, std::span<const std::byte> bytes) {
    auto& flow = c.from(from);
    flow.held = buffers_.borrow();
    flow.held_at = 0;
    std::memcpy(flow.held.get(), bytes.data(), bytes.size());
}

void relay_engine::loop::let_go(flow_state& flow, bool is_empty) {
    if (flow.held != nullptr) {
        buffers_.give_back(std::move(flow.held));
    }
    if (flow.pipe != nullptr) {
        pipes_.give_back(std::move(flow.pipe), is_empty);
    }
}

// Most sockets never are full, so that they are not watched for it until they are: being writable
// would be told with each of their events, and once at the start.
void relay_engine::loop::want_writable(connection& c, end which) {
    auto& sink = c.at(which);
    if (sink.told_writable) {
        return;
    }
    sink.told_writable = true;
    calls::watch_again(
        epoll_.raw(), sink.socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        tag::make(which == end::client ? tag::client : c.target_what, c.generation, c.index));
}

// The last bytes towards the other end are on their way; a reset now would destroy them.
void relay_engine::loop::linger(connection& c) {
    const bool client_failed = c.streams.how_it_ended() == relay::ending::client_failed;
    const auto alive = client_failed ? end::target : end::client;
    const auto why = client_failed ? relay_end::client_failed : relay_end::target_failed;
    if (c.stage != phase::lingering) {
        c.stage = phase::lingering;
        c.linger_until = now_ + settings_->linger;
    }
    if (now_ >= c.linger_until || calls::unsent(c.at(alive).socket) == 0) {
        return finish(c, why, true, true);
    }
    wheel_.set_at_latest(c, deadline::after(now_, relay::deadline_wheel::tick));
}

void relay_engine::loop::make_ready(connection& c) {
    if (!c.is_ready) {
        c.is_ready = true;
        ready_.push_back(&c);
    }
}

void relay_engine::loop::run_ready_ones() {
    auto now = std::exchange(ready_, {});
    for (auto* each : now) {
        if (std::exchange(each->is_ready, false) && each->stage == phase::joined) {
            guarded(*each, [&] { pump(*each); });
        }
    }
}

void relay_engine::loop::feed_starved() {
    for (auto left = starved_.size(); left != 0 && !buffers_.is_empty(); --left) {
        auto& c = *starved_.front();
        starved_.pop_front();
        if (std::exchange(c.is_starved, false) && c.stage == phase::joined) {
            guarded(c, [&] { pump(c); });
        }
    }
}

} // namespace portico::run
