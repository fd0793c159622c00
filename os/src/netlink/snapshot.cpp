// What changes do to a snapshot, and what lies between two of them. Pure.

#include "portico/os/netlink.hpp"

#include <algorithm>
#include <tuple>

namespace portico::os {
namespace {

ip::address unzoned(const ip::address& which) noexcept {
    return which.with_zone({});
}

// Equal for same_place(); sorted by it, a snapshot is the same in whatever order it came about.
auto place_of(const link_address& which) noexcept {
    const auto peer = which.address.is_v4() ? which.peer : std::nullopt;
    return std::tuple{which.link, unzoned(which.address), which.prefix_length, peer};
}

bool before(const link_address& left, const link_address& right) noexcept {
    return place_of(left) < place_of(right);
}

// Sorted ranges: where an equal one is, or would be.
auto position(std::vector<link>& in, std::uint32_t index) noexcept {
    return std::lower_bound(in.begin(), in.end(), index,
                            [](const link& each, std::uint32_t i) { return each.index < i; });
}

auto position(std::vector<link_address>& in, const link_address& which) noexcept {
    return std::lower_bound(in.begin(), in.end(), which, before);
}

ip::zone zone_in(const snapshot& known, std::uint32_t index) noexcept {
    if (const auto* owner = known.find_link(index); owner != nullptr && !owner->name.empty()) {
        if (const auto named = ip::zone::from_text(owner->name)) {
            return *named;
        }
    }
    return ip::zone::from_index(index);
}

void write_zones(const snapshot& known, link_address& in) noexcept {
    for (auto* each : {&in.address, in.peer ? &*in.peer : nullptr}) {
        if (each != nullptr && each->needs_zone()) {
            *each = each->with_zone(zone_in(known, in.link));
        }
    }
}

bool put(snapshot& to, const link_set& what) {
    const auto at = position(to.links, what.link.index);
    if (at != to.links.end() && at->index == what.link.index) {
        if (*at == what.link) {
            return false;
        }
        *at = what.link;
    } else {
        to.links.insert(at, what.link);
    }
    for (auto& each : to.addresses) { // it may have another name now
        if (each.link == what.link.index) {
            write_zones(to, each);
        }
    }
    return true;
}

bool put(snapshot& to, const link_removed& what) {
    const auto at = position(to.links, what.index);
    if (at == to.links.end() || at->index != what.index) {
        return false;
    }
    to.links.erase(at);
    std::erase_if(to.addresses, [&](const auto& each) { return each.link == what.index; });
    return true;
}

bool put(snapshot& to, const address_set& what) {
    auto named = what.address;
    write_zones(to, named);
    const auto at = position(to.addresses, named);
    if (at == to.addresses.end() || !same_place(*at, named)) {
        to.addresses.insert(at, std::move(named));
        return true;
    }
    if (*at == named) {
        return false;
    }
    *at = std::move(named);
    return true;
}

bool put(snapshot& to, const address_removed& what) {
    const auto at = position(to.addresses, what.address);
    if (at == to.addresses.end() || !same_place(*at, what.address)) {
        return false;
    }
    to.addresses.erase(at);
    return true;
}

using lifetime = std::optional<std::chrono::seconds>;

// Time passes, and that alone is no news.
bool only_ran_down(const lifetime& earlier, const lifetime& later) noexcept {
    return earlier.has_value() == later.has_value() && (!later || *later <= *earlier);
}

bool unchanged(const link_address& earlier, const link_address& later) noexcept {
    auto aged = earlier;
    aged.address = later.address; // equal but for the zone, which follows the link
    if (earlier.peer && later.peer && unzoned(*earlier.peer) == unzoned(*later.peer)) {
        aged.peer = later.peer;
    }
    aged.preferred = later.preferred;
    aged.valid = later.valid;
    return aged == later && only_ran_down(earlier.preferred, later.preferred) &&
           only_ran_down(earlier.valid, later.valid);
}

} // namespace

bool same_place(const link_address& left, const link_address& right) noexcept {
    return place_of(left) == place_of(right);
}

const link* snapshot::find_link(std::uint32_t index) const noexcept {
    const auto at =
        std::lower_bound(links.begin(), links.end(), index,
                         [](const link& each, std::uint32_t i) { return each.index < i; });
    return at != links.end() && at->index == index ? &*at : nullptr;
}

bool snapshot::apply(const change& what) {
    return std::visit([this](const auto& each) { return put(*this, each); }, what);
}

std::vector<change> difference(const snapshot& before, const snapshot& after) {
    auto earlier = before; // position() wants something to point into
    auto later = after;
    std::vector<change> changes;
    for (const auto& each : before.addresses) {
        const auto at = position(later.addresses, each);
        if (at == later.addresses.end() || !same_place(*at, each)) {
            changes.emplace_back(address_removed{each});
        }
    }
    for (const auto& each : before.links) {
        if (after.find_link(each.index) == nullptr) {
            changes.emplace_back(link_removed{each.index, each.name});
        }
    }
    for (const auto& each : after.links) {
        const auto* known = before.find_link(each.index);
        if (known == nullptr || *known != each) {
            changes.emplace_back(link_set{each});
        }
    }
    for (const auto& each : after.addresses) {
        const auto at = position(earlier.addresses, each);
        const bool swept_away = before.find_link(each.link) != nullptr &&
                                after.find_link(each.link) == nullptr; // by its link_removed
        if (at == earlier.addresses.end() || !same_place(*at, each) || !unchanged(*at, each) ||
            swept_away) {
            changes.emplace_back(address_set{each});
        }
    }
    return changes;
}

} // namespace portico::os
