#include "portico/ip/select.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <tuple>

namespace portico::ip {
namespace {

constexpr prefix v6_block(const address::v6_bytes& base, unsigned length) {
    return *prefix::make(address::v6(base), length);
}

// RFC 6724 section 2.1.
constexpr std::array<policy, 9> default_table{{
    {v6_block({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128), 50, 0},
    {v6_block({}, 0), 40, 1},
    {v6_block({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96), 35, 4},
    {v6_block({0x20, 0x02}, 16), 30, 2},
    {v6_block({0x20, 0x01}, 32), 5, 5},
    {v6_block({0xfc}, 7), 3, 13},
    {v6_block({}, 96), 1, 3},
    {v6_block({0xfe, 0xc0}, 10), 1, 11},
    {v6_block({0x3f, 0xfe}, 16), 1, 12},
}};

constexpr policy no_policy{prefix{}, 0, std::numeric_limits<unsigned>::max()};

address mapped(const address& which) noexcept {
    return address::v6(which.to_v6());
}

policy as_v6(const policy& row) noexcept {
    if (row.block.base().is_v6()) {
        return row;
    }
    return {*prefix::make(mapped(row.block.base()), row.block.length() + 96), row.precedence,
            row.label};
}

policy look_up(const address& which, std::span<const policy> policies) noexcept {
    const auto wanted = mapped(which);
    std::optional<policy> best;
    for (const auto& each : policies) {
        const auto row = as_v6(each);
        if (row.block.contains(wanted) && (!best || row.block.length() > best->block.length())) {
            best = row;
        }
    }
    return best.value_or(no_policy);
}

scope v4_scope(const address& which) noexcept {
    return which.is_loopback() || which.is_link_local() ? scope::link_local : scope::global;
}

// ---- choosing a source ----

// Simultaneously home and care-of is best, just care-of worst (rule 4 of both sections).
int home_rank(const source& which) noexcept {
    if (!which.care_of) {
        return 1;
    }
    return which.home ? 2 : 0;
}

struct question {
    const ip::address& destination;
    const source_choice& how;
    std::span<const policy> policies;
};

using rule = bool (*)(const source& a, const source& b, const question& about);

bool same_address(const source& a, const source& b, const question& about) {
    const auto same = [&](const source& each) {
        return each.address.with_zone({}) == about.destination.with_zone({});
    };
    return same(a) && !same(b);
}

bool appropriate_scope(const source& a, const source& b, const question& about) {
    const auto of_a = scope_of(a.address);
    const auto of_b = scope_of(b.address);
    if (of_a == of_b) {
        return false;
    }
    const auto wanted = scope_of(about.destination);
    return of_a < of_b ? of_a >= wanted : of_b < wanted;
}

bool not_deprecated(const source& a, const source& b, const question& /*about*/) {
    return !a.deprecated && b.deprecated;
}

bool home_address(const source& a, const source& b, const question& /*about*/) {
    return home_rank(a) > home_rank(b);
}

bool outgoing_interface(const source& a, const source& b, const question& about) {
    const auto out = about.how.outgoing;
    return out != 0 && a.interface == out && b.interface != out;
}

bool announced_by_next_hop(const source& a, const source& b, const question& about) {
    const auto& hop = about.how.next_hop;
    return hop && a.next_hop_prefix_router == hop && b.next_hop_prefix_router &&
           b.next_hop_prefix_router != hop;
}

bool matching_label(const source& a, const source& b, const question& about) {
    const auto wanted = look_up(about.destination, about.policies).label;
    return look_up(a.address, about.policies).label == wanted &&
           look_up(b.address, about.policies).label != wanted;
}

bool temporary_address(const source& a, const source& b, const question& about) {
    return a.temporary != b.temporary && a.temporary == about.how.prefer_temporary;
}

unsigned shared_bits(const source& from, const address& to) noexcept {
    return common_prefix_length(from.address, to, from.prefix_length);
}

bool longest_prefix(const source& a, const source& b, const question& about) {
    return shared_bits(a, about.destination) > shared_bits(b, about.destination);
}

// RFC 6724 section 5, in order: 1, 2, 3, 4, 5, 5.5, 6, 7, 8.
constexpr std::array<rule, 9> source_rules{
    same_address,          appropriate_scope, not_deprecated,    home_address,   outgoing_interface,
    announced_by_next_hop, matching_label,    temporary_address, longest_prefix,
};

// RFC 6724 section 4: which addresses are candidates at all.
bool is_candidate(const source& which, const question& about) noexcept {
    const auto& to = about.destination;
    const auto& from = which.address;
    if (from.family() != to.family() || from.is_multicast() || from.is_unspecified()) {
        return false;
    }
    if (!to.is_link_local() && !to.is_multicast()) {
        return true;
    }
    const auto out = about.how.outgoing;
    const bool other_link = out != 0 && which.interface != 0 && which.interface != out;
    const bool other_zone = !to.zone().empty() && !from.zone().empty() && to.zone() != from.zone();
    return !other_link && !other_zone;
}

// ---- sorting destinations ----

// What rules 1 to 8 of RFC 6724 section 6 and the two of RFC 8305 section 4 look at, each as a
// number of which the smaller is better.
using rank = std::tuple<bool, bool, bool, int, bool, std::int64_t, bool, scope, std::int64_t, bool>;

rank rank_of(const destination& place, std::span<const policy> policies) noexcept {
    const auto row = look_up(place.address, policies);
    const auto reach = scope_of(place.address);
    const bool usable = place.from.has_value();
    return {
        !usable,
        !(usable && scope_of(place.from->address) == reach),
        usable && place.from->deprecated,
        usable ? -home_rank(*place.from) : 0,
        !(usable && look_up(place.from->address, policies).label == row.label),
        -std::int64_t{row.precedence},
        !place.native,
        reach,
        place.rtt_ns.value_or(std::numeric_limits<std::int64_t>::max()),
        !place.used_before,
    };
}

struct ranked {
    rank key;
    unsigned shared = 0; // rule 9
    destination place;
};

// Rule 9 within one run of equals: sorts the IPv6 destinations, IPv4 ones keep their places.
void sort_v6_by_prefix(std::span<ranked> equals) {
    std::vector<std::size_t> places;
    std::vector<ranked> v6;
    for (std::size_t i = 0; i < equals.size(); ++i) {
        if (equals[i].place.address.is_v6()) {
            places.push_back(i);
            v6.push_back(equals[i]);
        }
    }
    std::stable_sort(v6.begin(), v6.end(),
                     [](const ranked& a, const ranked& b) { return a.shared > b.shared; });
    for (std::size_t i = 0; i < v6.size(); ++i) {
        equals[places[i]] = std::move(v6[i]);
    }
}

} // namespace

scope scope_of(const address& which) noexcept {
    if (which.is_v4()) {
        return v4_scope(which);
    }
    const auto bytes = which.to_v6();
    if (which.is_v4_mapped()) {
        return v4_scope(address::v4(bytes[12], bytes[13], bytes[14], bytes[15]));
    }
    if (which.is_multicast()) {
        return static_cast<scope>(bytes[1] & 0x0f);
    }
    if (which.is_link_local() || which.is_loopback()) {
        return scope::link_local;
    }
    const bool site_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0xc0;
    return site_local ? scope::site_local : scope::global;
}

std::span<const policy> default_policies() noexcept {
    return default_table;
}

unsigned common_prefix_length(const address& source, const address& destination,
                              unsigned source_prefix_length) noexcept {
    if (source.family() != destination.family()) {
        return 0;
    }
    const auto a = source.to_v6();
    const auto b = destination.to_v6();
    const std::size_t first = source.is_v4() ? 12 : 0;
    unsigned bits = 0;
    for (std::size_t i = first; i < a.size(); ++i) {
        const auto same = std::countl_zero(static_cast<std::uint8_t>(a[i] ^ b[i]));
        bits += static_cast<unsigned>(same);
        if (same != 8) {
            break;
        }
    }
    return std::min(bits, source_prefix_length);
}

std::optional<std::size_t> choose_source(const address& destination,
                                         std::span<const source> candidates,
                                         const source_choice& how,
                                         std::span<const policy> policies) {
    const question about{destination, how, policies};
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (is_candidate(candidates[i], about)) {
            left.push_back(i);
        }
    }
    for (const auto better : source_rules) {
        const auto all = left;
        std::erase_if(left, [&](std::size_t each) {
            return std::any_of(all.begin(), all.end(), [&](std::size_t other) {
                return better(candidates[other], candidates[each], about);
            });
        });
    }
    return left.empty() ? std::nullopt : std::optional{left.front()};
}

void sort_destinations(std::vector<destination>& places, std::span<const policy> policies) {
    std::vector<ranked> order;
    order.reserve(places.size());
    for (auto& each : places) {
        const unsigned shared = each.from ? shared_bits(*each.from, each.address) : 0;
        order.push_back({rank_of(each, policies), shared, each});
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const ranked& a, const ranked& b) { return a.key < b.key; });
    for (auto first = order.begin(); first != order.end();) {
        const auto last = std::find_if(first, order.end(),
                                       [&](const ranked& each) { return each.key != first->key; });
        sort_v6_by_prefix({first, last});
        first = last;
    }
    std::transform(order.begin(), order.end(), places.begin(),
                   [](const ranked& each) { return each.place; });
}

} // namespace portico::ip
