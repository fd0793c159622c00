#include "portico/relay/streams.hpp"

#include <algorithm>

namespace portico::relay {

void streams::conclude(ending how) noexcept {
    if (ending_ == ending::none) {
        ending_ = how;
    }
}

void streams::handle_failed(end which) noexcept {
    if (dying_ || ending_ != ending::none) {
        return;
    }
    dying_ = true;
    dead_ = which;
    auto& last_words = flow_from(which);
    if (last_words.ended || last_words.held != 0) {
        conclude(which == end::client ? ending::client_failed : ending::target_failed);
        return;
    }
    last_words.source_ready = true; // the read that finds the error ends it
}

void streams::handle_moved(instant now, end which, const moved& what) noexcept {
    auto& flow = flow_from(which);
    if (what.received != 0 || what.sent != 0) {
        last_ = now;
    }
    flow.received += what.received;
    flow.held += what.received - what.sent;
    flow.source_ready = what.from == moved::source::more;
    flow.sink_ready = what.to == moved::sink::open;
    const bool dead = dying_ && dead_ == which;
    if (what.from == moved::source::ended) {
        flow.ended = true;
    }
    if (what.from == moved::source::failed) {
        dying_ = true;
        dead_ = which;
        conclude(which == end::client ? ending::client_failed : ending::target_failed);
    } else if (what.to == moved::sink::failed) {
        // What the dead sink had sent may still be there to be read. The rest of this flow has
        // nowhere to go.
        handle_failed(other(which));
    } else if (dead && (flow.ended || flow.held != 0 || what.from == moved::source::drained)) {
        conclude(which == end::client ? ending::client_failed : ending::target_failed);
    }
    if (flow_from(end::client).over() && flow_from(end::target).over()) {
        conclude(ending::both_ended);
    }
}

void streams::handle_held(end from, std::uint32_t bytes) noexcept {
    auto& flow = flow_from(from);
    flow.received += bytes;
    flow.held += bytes;
}

void streams::handle_deadline(instant now) noexcept {
    if (!poll_deadline().has_passed(now)) {
        return;
    }
    const bool half = flow_from(end::client).ended || flow_from(end::target).ended;
    conclude(half && limits_->half_closed <= limits_->idle ? ending::half_closed : ending::idle);
}

step streams::poll_step() const noexcept {
    switch (ending_) {
    case ending::none:
        break;
    case ending::both_ended:
        return step::close;
    case ending::client_failed:
    case ending::target_failed:
        return flow_from(dead_).over() ? step::close_reset_when_sent : step::close_reset;
    case ending::idle:
    case ending::half_closed:
        return step::close_reset;
    }
    for (const auto from : {end::client, end::target}) {
        const auto& flow = flow_from(from);
        if (dying_ && from != dead_) {
            continue; // its sink is gone
        }
        const bool to_send = flow.held != 0;
        const bool to_read = flow.source_ready && !flow.ended;
        if (flow.sink_ready && (to_send || to_read)) {
            return from == end::client ? step::move_from_client : step::move_from_target;
        }
        if (flow.over() && !flow.passed) {
            return from == end::client ? step::end_to_target : step::end_to_client;
        }
    }
    return step::wait;
}

deadline streams::poll_deadline() const noexcept {
    if (ending_ != ending::none) {
        return deadline::never();
    }
    const bool half = flow_from(end::client).ended || flow_from(end::target).ended;
    const auto limit = half ? std::min(limits_->idle, limits_->half_closed) : limits_->idle;
    return limit == duration::max() ? deadline::never() : deadline::after(last_, limit);
}

} // namespace portico::relay
