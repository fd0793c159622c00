// Which target gets the next connection. The set of them and what is reported: target_set.cpp.

#include "portico/relay/targets.hpp"

#include "relay/rendezvous.hpp"

#include <algorithm>

namespace portico::relay {
namespace {

constexpr std::array<std::string_view, 3> policies{"round-robin", "least-connections", "hash"};

bool is_among(std::span<const target_id> some, target_id id) noexcept {
    return std::find(some.begin(), some.end(), id) != some.end();
}

} // namespace

std::string_view to_text(policy which) noexcept {
    return policies[static_cast<std::size_t>(which)];
}

std::optional<policy> parse_policy(std::string_view text) noexcept {
    const auto* const found = std::find(policies.begin(), policies.end(), text);
    if (found == policies.end()) {
        return std::nullopt;
    }
    return static_cast<policy>(found - policies.begin());
}

std::optional<target_choice> balancer::choose(instant now, const ip::any_endpoint& client,
                                              std::span<const target_id> tried) {
    const group live{live_};
    for (std::size_t first = 0; first < live.size();) {
        const auto priority = targets_[live[first]].wish.priority;
        auto last = first + 1;
        while (last < live.size() && targets_[live[last]].wish.priority == priority) {
            ++last;
        }
        const auto among = live.subspan(first, last - first);
        if (gather(now, among, tried)) {
            return chosen(now, pick(client, among), false);
        }
        first = last;
    }
    const auto found = least_bad(tried);
    if (!found) {
        ++counts_.none_left;
        return std::nullopt;
    }
    ++counts_.panics;
    return chosen(now, *found, true);
}

bool balancer::gather(instant now, group among, std::span<const target_id> tried) noexcept {
    bool any = false;
    for (const auto id : among) {
        auto& which = targets_[id];
        which.over = is_among(tried, id) ? way_set{} : usable(now, which);
        any = any || !which.over.empty();
    }
    return any;
}

target_id balancer::pick(const ip::any_endpoint& client, group among) noexcept {
    switch (how_.policy) {
    case policy::hash:
        return closest(client, among);
    case policy::least_connections:
        keep_least_loaded(among);
        return next_turn(among);
    case policy::round_robin:
        break;
    }
    return next_turn(among);
}

// Smooth: each candidate gains its weight, and the winner pays what all have gained.
target_id balancer::next_turn(group among) noexcept {
    std::int64_t gained = 0;
    const target_id* best = nullptr;
    for (const auto& id : among) {
        auto& which = targets_[id];
        if (which.over.empty()) {
            continue;
        }
        which.standing += which.weight;
        gained += which.weight;
        if (best == nullptr || which.standing > targets_[*best].standing) {
            best = &id;
        }
    }
    targets_[*best].standing -= gained;
    return *best;
}

void balancer::keep_least_loaded(group among) noexcept {
    // All idle ones are equal. Were the next connection counted too, light ones would get none as
    // long as connections are short.
    const auto load = [](const target& which) {
        return std::int64_t{which.joining} + which.active;
    };
    const target* least = nullptr;
    for (const auto id : among) {
        const auto& which = targets_[id];
        if (!which.over.empty() &&
            (least == nullptr || load(which) * least->weight < load(*least) * which.weight)) {
            least = &which;
        }
    }
    const auto& best = *least;
    for (const auto id : among) {
        auto& which = targets_[id];
        if (load(which) * best.weight != load(best) * which.weight) {
            which.over = {};
        }
    }
}

target_id balancer::closest(const ip::any_endpoint& client, group among) const noexcept {
    const auto key = client_key(seed_, client);
    std::optional<distance> best;
    target_id nearest = 0;
    for (const auto id : among) {
        const auto& which = targets_[id];
        if (which.over.empty()) {
            continue;
        }
        const distance here{key, which.name_hash, which.weight};
        if (!best || here.is_nearer_than(*best)) {
            best = here;
            nearest = id;
        }
    }
    return nearest;
}

std::optional<target_id> balancer::least_bad(std::span<const target_id> tried) noexcept {
    const way_health* best = nullptr;
    std::optional<target_id> found;
    for (const auto id : live_) { // of two equal ones that of the lower priority
        auto& which = targets_[id];
        which.over = is_among(tried, id) ? way_set{} : which.reachable;
        for (std::size_t i = 0; i < ways; ++i) {
            if (which.over.has(static_cast<way>(i)) &&
                (best == nullptr || which.health[i].is_less_bad_than(*best))) {
                best = &which.health[i];
                found = id;
            }
        }
    }
    return found;
}

target_choice balancer::chosen(instant now, target_id id, bool is_panic) noexcept {
    auto& which = targets_[id];
    for (std::size_t i = 0; i < ways; ++i) {
        if (which.over.has(static_cast<way>(i))) {
            which.health[i].handle_chosen(now);
        }
    }
    ++which.joining;
    ++which.chosen;
    return {id, which.over, is_panic};
}

} // namespace portico::relay
