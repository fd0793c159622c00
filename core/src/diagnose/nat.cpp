#include "examiner.hpp"

#include "portico/ip/prefix.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace portico::diagnose {
namespace {

enum class match : std::uint8_t { no, perhaps, yes };

bool is_in(const ip::address& which, const nat_rule& rule) {
    const auto block = ip::prefix::make(*rule.to, rule.to_length);
    return !block || block->contains(which.with_zone({}));
}

// Whether packets to one of our addresses meet the rule.
bool names_ours(const nat_rule& rule, const facts& known) {
    const auto& all = known.host.addresses;
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& each) { return is_in(each.address, rule); });
}

bool may_match(const nat_rule& rule, ip::transport over, const ip::endpoint& at) {
    const bool other = (rule.over && *rule.over != over) ||
                       (rule.family && *rule.family != at.address.family()) ||
                       (rule.first_port && at.port < *rule.first_port) ||
                       (rule.last_port && at.port > *rule.last_port);
    return !other && (!rule.to || at.address.is_unspecified() || is_in(at.address, rule));
}

match match_of(const nat_rule& rule, ip::transport over, const ip::endpoint& at,
               const facts& known) {
    const bool of_some = rule.to && at.address.is_unspecified();
    if (!may_match(rule, over, at) || (of_some && !names_ours(rule, known))) {
        return match::no;
    }
    return rule.partly_read || !rule.interface.empty() || of_some ? match::perhaps : match::yes;
}

std::string destination_of(const nat_rule& rule) {
    if (rule.goes_by_map) {
        return "the place that a map gives";
    }
    const auto port = rule.new_port ? ":" + std::to_string(*rule.new_port) : std::string{};
    if (!rule.new_address) {
        return "this host" + (port.empty() ? "" : ", port " + port.substr(1));
    }
    return rule.new_port ? ip::to_text(ip::endpoint{*rule.new_address, *rule.new_port})
                         : ip::to_text(*rule.new_address);
}

std::string interface_text(const nat_rule& rule) {
    return std::string{rule.where == nat_rule::hook::output ? "for packets that go out by "
                                                            : "for packets that come in by "} +
           (rule.other_interface ? "another interface than " : "") + rule.interface;
}

finding rule_found(const nat_rule& rule, const ip::endpoint& at, sureness sure) {
    const auto chain = rule.table + " " + rule.chain;
    finding made{
        cause::nat_rule,
        sure,
        "a NAT rule sends packets to " + ip::to_text(at) + " to " + destination_of(rule) +
            " instead",
        {"nftables: table " + rule.table + ", chain " + rule.chain + ", handle " +
         std::to_string(rule.handle)},
        {"see it: nft -a list chain " + chain,
         "take it away: nft delete rule " + chain + " handle " + std::to_string(rule.handle)}};
    if (rule.partly_read) {
        made.evidence.emplace_back("it has further conditions that were not looked at");
    }
    if (!rule.interface.empty()) {
        made.evidence.push_back(interface_text(rule));
    }
    return made;
}

// As match_of(), of packets that come in, or go out, by this interface; empty: by any but the
// loopback one.
match filter_match(const nat_rule& rule, ip::transport over, const ip::endpoint& at,
                   const facts& known, std::string_view by) {
    const bool of_some = rule.to && at.address.is_unspecified();
    if (!may_match(rule, over, at) || (of_some && !names_ours(rule, known))) {
        return match::no;
    }
    bool by_some = false;
    if (!rule.interface.empty()) {
        const bool excluded = by.empty() && rule.interface == "lo";
        by_some = by.empty() && !excluded;
        if (!by_some && (rule.interface == by) == rule.other_interface) {
            return match::no;
        }
    }
    return rule.partly_read || of_some || by_some ? match::perhaps : match::yes;
}

bool names_port(const nat_rule& rule, const ip::endpoint& at) {
    return rule.first_port == at.port && rule.last_port == at.port;
}

// A filter that packets come to; `doubtful`: unless an earlier one lets them pass.
finding filter_found(const question& asked, const nat_rule& rule, const ip::endpoint& at,
                     sureness sure, bool doubtful) {
    const auto chain = rule.table + " " + rule.chain;
    const bool is_policy = rule.handle == 0;
    const std::string does = rule.does == nat_rule::deed::drops ? "drops" : "rejects";
    finding made{
        cause::filter_rule,
        sure,
        "a firewall of this host " + does + " packets to " + ip::to_text(at) +
            (is_policy ? ": no rule of it accepts them, and that is its policy" : ""),
        {"nftables: table " + rule.table + ", chain " + rule.chain +
         (is_policy ? ", its policy" : ", handle " + std::to_string(rule.handle))},
        {"see it: nft -a list chain " + chain,
         std::string{"let them pass: nft "} +
             (is_policy ? "add rule " + chain
                        : "insert rule " + chain + " handle " + std::to_string(rule.handle)) +
             " " + std::string{ip::to_text(asked.over)} + " dport " + std::to_string(at.port) +
             " accept"}};
    if (doubtful) {
        made.evidence.emplace_back(
            "unless an earlier rule accepts them, of which not all conditions were looked at");
    }
    if (rule.partly_read) {
        made.evidence.emplace_back("it has further conditions that were not looked at");
    }
    if (!rule.interface.empty()) {
        made.evidence.push_back(interface_text(rule));
    }
    return made;
}

// The first one at a hook that surely has the packets; else the first that may be meant for them.
std::optional<finding> filter_at(const examiner& into, const ip::endpoint& at, nat_rule::hook where,
                                 std::string_view by) {
    const auto& all = into.known().filters;
    std::optional<finding> perhaps;
    std::size_t doubtful = 0; // up to this one, as of examine_nat()
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& each = all[i];
        const auto met = each.where == where
                             ? filter_match(each, into.asked().over, at, into.known(), by)
                             : match::no;
        if (met == match::no) {
            continue;
        }
        if (each.spares) {
            doubtful = std::max(doubtful, i + each.passes_over + 1);
            i += met == match::yes ? each.passes_over : 0;
            continue;
        }
        if (met == match::yes && i >= doubtful) {
            return filter_found(into.asked(), each, at, sureness::certain, false);
        }
        // Of many conditions that are not known, most are about others.
        const bool meant = names_port(each, at) || (met == match::yes && each.handle == 0);
        if (!perhaps && meant && into.asked().what == act::accept) {
            perhaps = filter_found(into.asked(), each, at, sureness::possible, i < doubtful);
        }
    }
    return perhaps;
}

} // namespace

bool takes_away(const nat_rule& rule, ip::transport over, const ip::endpoint& at) {
    const bool same_port = !rule.new_port || *rule.new_port == at.port;
    const bool same_address = !rule.new_address || *rule.new_address == at.address;
    const bool stays = rule.spares || (same_port && same_address && !rule.goes_by_map);
    return !stays && may_match(rule, over, at);
}

bool examine_nat(examiner& into, const ip::endpoint& at, nat_rule::hook where) {
    const auto& all = into.known().nat;
    bool probably = false;
    std::size_t doubtful = 0; // up to this one: an earlier rule may have spared the packets
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& each = all[i];
        const auto met =
            each.where == where ? match_of(each, into.asked().over, at, into.known()) : match::no;
        if (met == match::no) {
            continue;
        }
        if (each.spares) {
            doubtful = std::max(doubtful, i + each.passes_over + 1);
            i += met == match::yes ? each.passes_over : 0;
            continue;
        }
        if (!takes_away(each, into.asked().over, at)) {
            continue;
        }
        const bool named = names_port(each, at);
        const bool guess = each.partly_read && !named;
        const auto sure = guess                                   ? sureness::possible
                          : met == match::perhaps || i < doubtful ? sureness::likely
                                                                  : sureness::certain;
        const bool of_one = each.to && at.address.is_unspecified();
        into.find(rule_found(each, of_one ? ip::endpoint{*each.to, at.port} : at, sure));
        probably |= sure != sureness::possible && !of_one;
        if (sure == sureness::certain) {
            break; // later ones do not see them
        }
    }
    into.exclude(cause::nat_rule, "no NAT rule of nftables is about " + ip::to_text(at));
    return probably;
}

void examine_filters(examiner& into, const ip::endpoint& at, std::span<const nat_rule::hook> hooks,
                     std::string_view by) {
    for (const auto where : hooks) {
        if (auto found = filter_at(into, at, where, by)) {
            into.find(std::move(*found));
            return;
        }
    }
    into.exclude(cause::filter_rule,
                 "no rule of nftables that could be read whole drops packets to " +
                     ip::to_text(at));
}

} // namespace portico::diagnose
