#include "portico/admit/destinations.hpp"

#include "admit/bits.hpp"
#include "admit/host_name.hpp"
#include "ip/reading.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace portico::admit {
namespace {

struct built_in {
    ip::prefix block;
    destination_refusal why;
};

constexpr ip::prefix v4(std::uint8_t a, std::uint8_t b, unsigned length) {
    return *ip::prefix::make(ip::address::v4(a, b, 0, 0), length);
}
constexpr ip::prefix v6(std::uint8_t a, std::uint8_t b, unsigned length) {
    return *ip::prefix::make(ip::address::v6({a, b}), length);
}

constexpr std::array<built_in, 9> guarded{{
    built_in{v4(0, 0, 8), destination_refusal::unspecified}, // RFC 1122 section 3.2.1.3
    built_in{*ip::prefix::make(ip::address::any(ip::family::v6), 128),
             destination_refusal::unspecified},
    built_in{v4(127, 0, 8), destination_refusal::loopback},
    built_in{*ip::prefix::make(ip::address::loopback(ip::family::v6), 128),
             destination_refusal::loopback},
    built_in{v4(169, 254, 16), destination_refusal::link_local},
    built_in{v6(0xfe, 0x80, 10), destination_refusal::link_local},
    built_in{v4(224, 0, 4), destination_refusal::multicast},
    built_in{v6(0xff, 0, 8), destination_refusal::multicast},
    built_in{*ip::prefix::make(ip::address::v4(255, 255, 255, 255), 32),
             destination_refusal::broadcast},
}};

// The IPv4 address in an IPv4-compatible or a 6to4 one.
std::optional<ip::address> carried(const ip::address& which) noexcept {
    if (which.is_v4()) {
        return std::nullopt;
    }
    const auto bytes = which.to_v6();
    if (bytes[0] == 0x20 && bytes[1] == 0x02) { // RFC 3056 section 2
        return ip::address::v4(bytes[2], bytes[3], bytes[4], bytes[5]);
    }
    const bits whole = bits_of(which); // :: and ::1 are not IPv4-compatible
    if (whole.high == 0 && whole.low > 1 && whole.low >> 32 == 0) {
        return ip::address::v4(bytes[12], bytes[13], bytes[14], bytes[15]);
    }
    return std::nullopt;
}

bool counts_before(const destination_rule& a, const destination_rule& b) noexcept {
    const auto rank = [](const destination_rule& each) {
        const auto* block = std::get_if<ip::prefix>(&each.where);
        const auto* pattern = std::get_if<name_pattern>(&each.where);
        const std::size_t known = block != nullptr     ? block->length()
                                  : pattern != nullptr ? pattern->name.size()
                                                       : 0;
        return std::tuple{~known, pattern != nullptr && pattern->below, each.ports.width(),
                          each.what == ruling::allow};
    };
    return rank(a) < rank(b);
}

bool matches(const name_pattern& pattern, std::string_view name) noexcept {
    if (pattern.below) {
        const auto behind_dot = name.size() - std::min(name.size(), pattern.name.size());
        return behind_dot >= 2 && name[behind_dot - 1] == '.' &&
               same_name(name.substr(behind_dot), pattern.name);
    }
    return same_name(name, pattern.name);
}

} // namespace

struct destinations::finding {
    std::optional<destination_refusal> guarded_by;
    bool denied = false;
    bool allowed = false;
};

std::string_view to_text(destination_refusal why) noexcept {
    constexpr std::array<std::string_view, destination_refusals> names{
        "malformed_name", "unspecified", "loopback", "link_local", "multicast",
        "broadcast",      "own_address", "rule",     "not_listed"};
    return names[static_cast<std::size_t>(why)];
}

destinations::destinations(std::span<const destination_rule> rules) {
    for (auto each : rules) {
        any_allows_ = any_allows_ || each.what == ruling::allow;
        if (auto* block = std::get_if<ip::prefix>(&each.where)) {
            *block = canonical_block(*block);
            blocks_.push_back(each);
        } else if (std::holds_alternative<name_pattern>(each.where)) {
            names_.push_back(each);
        } else {
            everything_.push_back(each);
        }
    }
    for (auto* list : {&blocks_, &names_, &everything_}) {
        std::stable_sort(list->begin(), list->end(), counts_before);
    }
}

void destinations::handle_own_addresses(std::span<const ip::address> all) {
    own_.clear();
    for (const auto& each : all) {
        const auto known = ip::canonical(each).with_zone({});
        if (!known.is_loopback()) { // a rule for its block is enough
            own_.push_back(known);
        }
    }
    std::sort(own_.begin(), own_.end());
}

void destinations::handle_nat64(std::span<const ip::prefix> all) {
    nat64_.assign(all.begin(), all.end());
}

std::optional<destination_refusal> destinations::refuse(const ip::endpoint& to) const {
    return judge(std::nullopt, to);
}

std::optional<destination_refusal> destinations::refuse(std::string_view name,
                                                        const ip::endpoint& resolved) const {
    const auto plain = without_last_dot(name);
    if (!is_host_name(plain)) {
        return destination_refusal::malformed_name;
    }
    return judge(opinion_on_name(plain, resolved.port), resolved);
}

std::optional<destination_refusal> destinations::refuse_unresolved(std::string_view name,
                                                                   std::uint16_t port) const {
    const auto plain = without_last_dot(name);
    if (!is_host_name(plain)) {
        return destination_refusal::malformed_name;
    }
    const auto on_name = opinion_on_name(plain, port);
    if (on_name == ruling::deny) {
        return destination_refusal::rule;
    }
    const bool an_address_may = std::any_of(blocks_.begin(), blocks_.end(), [&](const auto& each) {
        return each.what == ruling::allow && each.ports.contains(port);
    });
    return on_name == ruling::allow || an_address_may ? std::nullopt : otherwise(port);
}

std::optional<destination_refusal> destinations::judge(opinion on_name,
                                                       const ip::endpoint& to) const noexcept {
    const auto known = ip::canonical(to.address);
    finding found;
    look_at(known, to.port, true, found);
    if (const auto inside = ip::nat64_extract(ip::nat64_well_known(), known)) {
        look_at(*inside, to.port, true, found);
    }
    for (const auto& each : nat64_) {
        if (const auto inside = ip::nat64_extract(each, known)) {
            look_at(*inside, to.port, true, found);
        }
    }
    if (const auto inside = carried(known)) {
        look_at(*inside, to.port, false, found);
    }
    if (found.guarded_by) {
        return found.guarded_by;
    }
    if (found.denied || on_name == ruling::deny) {
        return destination_refusal::rule;
    }
    return found.allowed || on_name == ruling::allow ? std::nullopt : otherwise(to.port);
}

// One of the addresses that the destination is.
void destinations::look_at(const ip::address& which, std::uint16_t port, bool may_allow,
                           finding& so_far) const noexcept {
    const auto rule = std::find_if(blocks_.begin(), blocks_.end(), [&](const auto& each) {
        return each.ports.contains(port) && std::get<ip::prefix>(each.where).contains(which);
    });
    const bool allows = rule != blocks_.end() && rule->what == ruling::allow;
    so_far.denied = so_far.denied || (rule != blocks_.end() && !allows);
    so_far.allowed = so_far.allowed || (allows && may_allow);
    const unsigned named = allows ? std::get<ip::prefix>(rule->where).length() : 0;
    if (so_far.guarded_by) {
        return;
    }
    for (const auto& each : guarded) {
        if (each.block.contains(which) && named < each.block.length()) {
            so_far.guarded_by = each.why;
        }
    }
    if (named < (which.is_v4() ? 32U : 128U) &&
        std::binary_search(own_.begin(), own_.end(), which.with_zone({}))) {
        so_far.guarded_by = destination_refusal::own_address;
    }
}

destinations::opinion destinations::opinion_on_name(std::string_view name,
                                                    std::uint16_t port) const noexcept {
    const auto rule = std::find_if(names_.begin(), names_.end(), [&](const auto& each) {
        return each.ports.contains(port) && matches(std::get<name_pattern>(each.where), name);
    });
    return rule == names_.end() ? std::nullopt : std::optional{rule->what};
}

std::optional<destination_refusal> destinations::otherwise(std::uint16_t port) const noexcept {
    const auto rule = std::find_if(everything_.begin(), everything_.end(),
                                   [&](const auto& each) { return each.ports.contains(port); });
    if (rule != everything_.end()) {
        return rule->what == ruling::allow ? std::nullopt
                                           : std::optional{destination_refusal::rule};
    }
    return any_allows_ ? std::optional{destination_refusal::not_listed} : std::nullopt;
}

} // namespace portico::admit
