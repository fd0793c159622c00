#include "relay/target_walk.hpp"

#include <algorithm>
#include <utility>

namespace portico::run {

const target_place* target_walk::next(instant now) {
    first_sent_.reset();
    if (!at_ || place_ == at_->places->size()) {
        leave();
        at_ = targets_->choose(now, client_, tried_);
        if (!at_) {
            tried_.clear();
            return nullptr;
        }
        tried_.push_back(at_->target);
        sort_places();
    }
    ++place_;
    return &place();
}

// The one that was given last.
const target_place& target_walk::place() const {
    return (*at_->places)[order_.empty() ? place_ - 1 : order_[place_ - 1]];
}

std::optional<relay::target_id> target_walk::target() const noexcept {
    return at_ ? std::optional{at_->target} : std::nullopt;
}

void target_walk::sort_places() {
    order_.clear();
    place_ = 0;
    const auto& places = *at_->places;
    if (places.size() == 1) {
        return;
    }
    std::vector<ip::destination> sorted;
    for (const auto& each : places) {
        if (const auto* where = std::get_if<ip::endpoint>(&each.at)) {
            sorted.push_back({where->address, each.from});
        }
    }
    ip::sort_destinations(sorted);
    // An address may be there with several ports.
    for (const auto& each : sorted) {
        for (std::size_t i = 0; i < places.size(); ++i) {
            const auto* where = std::get_if<ip::endpoint>(&places[i].at);
            if (where != nullptr && where->address == each.address &&
                std::find(order_.begin(), order_.end(), i) == order_.end()) {
                order_.push_back(i);
                break;
            }
        }
    }
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (std::holds_alternative<ip::unix_name>(places[i].at)) {
            order_.push_back(i);
        }
    }
}

void target_walk::handle_sent(instant now) {
    if (!first_sent_) {
        first_sent_ = now;
    } else if (deadline::after(*first_sent_, silence).has_passed(now)) {
        handle_opened();
    }
}

void target_walk::handle_answer() {
    handle_opened();
    if (at_ && tried_.size() > 1) {
        tried_.assign(1, at_->target); // when it fails some day, all the others are worth a try
    }
}

void target_walk::handle_opened() {
    if (at_ && !std::exchange(opened_, true)) {
        targets_->handle_opened(at_->target, relay::way_of(place().at));
    }
}

void target_walk::handle_failed(instant now, const error& why) {
    if (at_) {
        targets_->handle_failed(now, at_->target, relay::way_of(place().at), why);
    }
}

void target_walk::leave() {
    if (const auto left = std::exchange(at_, std::nullopt)) {
        if (std::exchange(opened_, false)) {
            targets_->handle_closed(left->target);
        } else {
            targets_->handle_given_up(left->target);
        }
    }
}

} // namespace portico::run
