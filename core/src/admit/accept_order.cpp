#include "portico/admit/accept_order.hpp"

namespace portico::admit {

void accept_order::handle_readable(std::size_t which) {
    if (states_[which] == state::idle) {
        states_[which] = state::ready;
        ready_.push_back(which);
    }
}

void accept_order::handle_more(std::size_t which) {
    states_[which] = state::ready;
    ready_.push_back(which);
}

void accept_order::handle_idle(std::size_t which) {
    states_[which] = state::idle;
}

void accept_order::handle_pause(std::size_t which, instant until) {
    states_[which] = state::paused;
    paused_.emplace(until, which);
}

std::optional<std::size_t> accept_order::poll_next(instant now) {
    while (!paused_.empty() && paused_.top().first <= now) {
        handle_more(paused_.top().second);
        paused_.pop();
    }
    if (ready_.empty()) {
        return std::nullopt;
    }
    const std::size_t which = ready_.front();
    ready_.pop_front();
    states_[which] = state::asked;
    return which;
}

std::optional<instant> accept_order::poll_wake() const {
    return paused_.empty() ? std::nullopt : std::optional{paused_.top().first};
}

} // namespace portico::admit
