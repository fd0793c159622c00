#include "portico/race/memory.hpp"

#include "portico/base/deadline.hpp"

namespace portico::race {

memory::memory(std::size_t capacity, duration lifetime)
    : capacity_{capacity}, lifetime_{lifetime} {}

void memory::remember(instant now, std::string_view destination, const ip::address& winner,
                      duration connect_time) {
    if (capacity_ == 0 || destination.size() > max_destination) {
        return;
    }
    if (const auto known = index_.find(destination); known != index_.end()) {
        auto& kept = *known->second;
        kept.winner = winner;
        kept.connect_time = connect_time;
        kept.since = now;
        by_use_.splice(by_use_.begin(), by_use_, known->second);
        return;
    }
    if (by_use_.size() == capacity_) {
        index_.erase(by_use_.back().destination);
        by_use_.pop_back();
    }
    by_use_.push_front({std::string{destination}, winner, connect_time, now});
    index_.emplace(by_use_.front().destination, by_use_.begin());
}

void memory::forget(std::string_view destination, const ip::address& which) {
    const auto known = index_.find(destination);
    if (known == index_.end() || known->second->winner != which) {
        return;
    }
    const auto kept = known->second;
    index_.erase(known);
    by_use_.erase(kept);
}

void memory::clear() {
    index_.clear();
    by_use_.clear();
}

void memory::apply(instant now, std::string_view destination, std::span<ip::destination> places) {
    const auto known = index_.find(destination);
    if (known == index_.end()) {
        return;
    }
    const auto kept = known->second;
    if (deadline::after(kept->since, lifetime_).has_passed(now)) {
        index_.erase(known);
        by_use_.erase(kept);
        return;
    }
    by_use_.splice(by_use_.begin(), by_use_, kept);
    for (auto& place : places) {
        if (place.address == kept->winner) {
            place.used_before = true;
            place.rtt_ns = kept->connect_time.count();
        }
    }
}

} // namespace portico::race
