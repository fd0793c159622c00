// Which targets there are, and what is reported about them.

#include "portico/relay/targets.hpp"

#include "relay/rendezvous.hpp"

#include <algorithm>

namespace portico::relay {
namespace {

constexpr std::int64_t whole_weight = 100;

std::int64_t scaled(std::uint16_t weight) noexcept {
    return std::max<std::int64_t>(weight * whole_weight, 1);
}

bool is_among(std::span<const ip::any_endpoint> some, const ip::any_endpoint& which) noexcept {
    return std::find(some.begin(), some.end(), which) != some.end();
}

template <class Number>
void take_one(Number& from) noexcept {
    from -= from != 0 ? 1 : 0;
}

} // namespace

balancer::balancer(const balancer_settings& how, const hash_seed& seed) : how_{how}, seed_{seed} {}

std::vector<std::optional<target_id>>
balancer::handle_targets(std::span<const target_wish> wishes) {
    std::vector<std::optional<target_id>> places;
    for (const auto& wish : wishes) {
        places.push_back(named(wish.name, places));
    }
    bool is_changed = let_go_but(places);
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (!places[i]) {
            places[i] = begin(wishes[i].name);
        }
    }
    live_.clear();
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (!places[i]) {
            ++counts_.without_place;
            continue;
        }
        is_changed = keep(targets_[*places[i]], wishes[i]) || is_changed;
        live_.push_back(*places[i]);
    }
    std::stable_sort(live_.begin(), live_.end(), [&](target_id left, target_id right) {
        return targets_[left].wish.priority < targets_[right].wish.priority;
    });
    if (is_changed) { // what one has gained, the others owe: that holds only among the same ones
        for (auto& each : targets_) {
            each.standing = 0;
        }
    }
    return places;
}

// Of those with that name the first that is not among `taken`.
std::optional<target_id> balancer::named(std::string_view name,
                                         std::span<const std::optional<target_id>> taken) const {
    for (target_id id = 0; id < targets_.size(); ++id) {
        const auto& which = targets_[id];
        if (which.in_use && which.wish.name == name &&
            std::find(taken.begin(), taken.end(), id) == taken.end()) {
            return id;
        }
    }
    return std::nullopt;
}

bool balancer::let_go_but(std::span<const std::optional<target_id>> kept) {
    bool any = false;
    for (const auto id : live_) {
        if (std::find(kept.begin(), kept.end(), id) == kept.end()) {
            targets_[id].is_leaving = true;
            forget_if_over(targets_[id]);
            any = true;
        }
    }
    return any;
}

std::optional<target_id> balancer::begin(const std::string& name) {
    const auto unused = std::find_if(targets_.begin(), targets_.end(),
                                     [](const target& each) { return !each.in_use; });
    if (unused == targets_.end() && targets_.size() == how_.capacity) {
        return std::nullopt;
    }
    const auto twins = std::count_if(targets_.begin(), targets_.end(), [&](const target& each) {
        return each.in_use && each.wish.name == name;
    });
    auto& made = unused == targets_.end() ? targets_.emplace_back() : *unused;
    made.in_use = true;
    made.is_leaving = true; // until it is kept
    made.wish.name = name;
    made.name_hash = text_key(seed_, name, 2 + static_cast<std::uint64_t>(twins));
    return static_cast<target_id>(&made - targets_.data());
}

// Whether the balance is another one.
bool balancer::keep(target& which, const target_wish& wish) {
    const bool is_same = !which.is_leaving && which.wish.weight == wish.weight &&
                         which.wish.priority == wish.priority;
    which.is_leaving = false;
    which.wish.weight = wish.weight;
    which.wish.priority = wish.priority;
    which.weight = scaled(wish.weight);
    set_addresses(which, wish.addresses);
    return !is_same;
}

void balancer::handle_addresses(target_id id, std::span<const ip::any_endpoint> addresses) {
    if (auto* const which = known(id)) {
        set_addresses(*which, addresses);
    }
}

void balancer::set_addresses(target& which, std::span<const ip::any_endpoint> addresses) {
    way_set reachable;
    way_set kept;
    std::vector<ip::any_endpoint> now_there;
    for (const auto& each : addresses) {
        if (std::holds_alternative<std::monostate>(each) || is_among(now_there, each)) {
            continue;
        }
        now_there.push_back(each);
        reachable.add(way_of(each));
        if (is_among(which.wish.addresses, each)) {
            kept.add(way_of(each));
        }
    }
    for (std::size_t i = 0; i < ways; ++i) {
        if (!kept.has(static_cast<way>(i))) {
            which.health[i] = {};
        }
    }
    which.reachable = reachable;
    which.wish.addresses = std::move(now_there);
}

void balancer::forget_if_over(target& which) {
    if (which.is_leaving && which.joining == 0 && which.active == 0) {
        which = {};
    }
}

balancer::target* balancer::known(target_id id) noexcept {
    if (id >= targets_.size() || !targets_[id].in_use) {
        ++counts_.unknown_target;
        return nullptr;
    }
    return &targets_[id];
}

void balancer::handle_opened(target_id id, way over) {
    if (auto* const which = known(id)) {
        const auto i = static_cast<std::size_t>(over);
        take_one(which->joining);
        ++which->active;
        ++which->counts[i].connected;
        which->health[i].handle_connected(how_.health);
    }
}

void balancer::handle_given_up(target_id id) {
    if (auto* const which = known(id)) {
        take_one(which->joining);
        forget_if_over(*which);
    }
}

void balancer::handle_closed(target_id id) {
    if (auto* const which = known(id)) {
        take_one(which->active);
        forget_if_over(*which);
    }
}

void balancer::handle_failed(instant now, target_id id, way over, const error& why) {
    if (auto* const which = known(id)) {
        const auto i = static_cast<std::size_t>(over);
        ++which->counts[i].failed;
        which->counts[i].last_error = why;
        if (speaks_of_target(why)) {
            which->health[i].handle_failed(now, how_.health);
        }
    }
}

void balancer::handle_check(target_id id, way over, bool passed) {
    if (auto* const which = known(id)) {
        const auto i = static_cast<std::size_t>(over);
        ++(passed ? which->counts[i].checks_passed : which->counts[i].checks_failed);
        which->health[i].handle_check(how_.health, passed);
    }
}

way_set balancer::usable(instant now, const target& which) noexcept {
    way_set made;
    for (std::size_t i = 0; i < ways; ++i) {
        const auto each = static_cast<way>(i);
        if (which.reachable.has(each) && which.health[i].is_usable(now)) {
            made.add(each);
        }
    }
    return made;
}

way_set balancer::usable(instant now, target_id id) const noexcept {
    const bool is_there = id < targets_.size() && targets_[id].in_use && !targets_[id].is_leaving;
    return is_there ? usable(now, targets_[id]) : way_set{};
}

std::span<const ip::any_endpoint> balancer::addresses(target_id id) const noexcept {
    return id < targets_.size() ? std::span{targets_[id].wish.addresses}
                                : std::span<const ip::any_endpoint>{};
}

std::vector<target_state> balancer::snapshot() const {
    std::vector<target_state> made;
    for (target_id id = 0; id < targets_.size(); ++id) {
        const auto& which = targets_[id];
        if (!which.in_use) {
            continue;
        }
        target_state state{.id = id,
                           .name = which.wish.name,
                           .weight = which.wish.weight,
                           .priority = which.wish.priority,
                           .is_leaving = which.is_leaving,
                           .addresses = which.wish.addresses.size(),
                           .chosen = which.chosen,
                           .joining = which.joining,
                           .active = which.active,
                           .over = which.counts};
        for (std::size_t i = 0; i < ways; ++i) {
            state.over[i].has_addresses = which.reachable.has(static_cast<way>(i));
            state.over[i].condition = which.health[i].state();
            state.over[i].retry_at = which.health[i].retry_at();
            state.over[i].failures = which.health[i].failures();
        }
        made.push_back(std::move(state));
    }
    return made;
}

} // namespace portico::relay
