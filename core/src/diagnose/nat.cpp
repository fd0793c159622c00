#include "examiner.hpp"

#include "portico/ip/prefix.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace portico::diagnose {
namespace {

enum class match : std::uint8_t { no, perhaps, yes };

bool is_in(const ip::address& which, const ip::address& first, unsigned length) {
    const auto block = ip::prefix::make(first, length);
    return !block || block->contains(which.with_zone({}));
}
bool is_in(const ip::address& which, const nat_rule& rule) {
    return is_in(which, *rule.to, rule.to_length);
}

// Whether one of our addresses is among those.
bool has_ours(const facts& known, const ip::address& first, unsigned length) {
    const auto& all = known.host.addresses;
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& each) { return is_in(each.address, first, length); });
}
bool names_ours(const nat_rule& rule, const facts& known) {
    return has_ours(known, *rule.to, rule.to_length);
}

bool names_sources(const nat_rule& rule) {
    return rule.from || rule.first_source_port || rule.last_source_port;
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
    const bool more = rule.partly_read || names_sources(rule) || !rule.interface.empty();
    return more || of_some ? match::perhaps : match::yes;
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

bool goes_out(const nat_rule& rule) {
    return rule.where == nat_rule::hook::output || rule.where == nat_rule::hook::answers;
}

std::string interface_text(const nat_rule& rule) {
    return std::string{goes_out(rule) ? "for packets that go out by "
                                      : "for packets that come in by "} +
           (rule.other_interface ? "another interface than " : "") + rule.interface;
}

std::string block_text(const ip::address& first, unsigned length) {
    return ip::to_text(first) +
           (length == (first.is_v6() ? 128U : 32U) ? "" : "/" + std::to_string(length));
}

std::string place_text(const nat_rule& rule) {
    return "nftables: table " + rule.table + ", chain " + rule.chain +
           (rule.handle == 0 ? ", its policy" : ", handle " + std::to_string(rule.handle));
}

void add_conditions(std::vector<std::string>& to, const nat_rule& rule) {
    const bool answers = rule.where == nat_rule::hook::answers;
    const auto& clients = answers ? rule.to : rule.from;
    if (clients) {
        to.push_back("for clients of " +
                     block_text(*clients, answers ? rule.to_length : rule.from_length) + " alone");
    }
    if (rule.partly_read) {
        to.emplace_back("it has further conditions that were not looked at");
    }
    if (!rule.interface.empty()) {
        to.push_back(interface_text(rule));
    }
}

// "iptables -t nat" of the table "ip nat".
std::string iptables_for(const nat_rule& rule) {
    const auto space = rule.table.find(' ');
    const auto name = rule.table.substr(space + 1);
    return std::string{rule.table.starts_with("ip6") ? "ip6tables" : "iptables"} +
           (name == "filter" ? "" : " -t " + name);
}

std::string way_to_see(const nat_rule& rule) {
    return rule.by_iptables
               ? "see it: " + iptables_for(rule) + " -nvL " + rule.chain + " --line-numbers"
               : "see it: nft -a list chain " + rule.table + " " + rule.chain;
}

finding rule_found(const nat_rule& rule, const ip::endpoint& at, sureness sure) {
    finding made{cause::nat_rule,
                 sure,
                 "a NAT rule sends packets to " + ip::to_text(at) + " to " + destination_of(rule) +
                     " instead",
                 {place_text(rule)},
                 {way_to_see(rule),
                  rule.by_iptables
                      ? "take it away: " + iptables_for(rule) + " -D " + rule.chain + " NUMBER"
                      : "take it away: nft delete rule " + rule.table + " " + rule.chain +
                            " handle " + std::to_string(rule.handle)}};
    add_conditions(made.evidence, rule);
    return made;
}

match match_address(const std::optional<ip::address>& first, unsigned length,
                    const std::optional<ip::address>& which) {
    if (!first || !which) {
        return first ? match::perhaps : match::yes;
    }
    return is_in(*which, *first, length) ? match::yes : match::no;
}

match match_ours(const std::optional<ip::address>& first, unsigned length, const ip::address& ours,
                 const facts& known) {
    if (first && ours.is_unspecified()) {
        return has_ours(known, *first, length) ? match::perhaps : match::no;
    }
    return match_address(first, length, ours);
}

// Clients take a port of 1024 or above, which one is not known.
match match_their_port(const std::optional<std::uint16_t>& first,
                       const std::optional<std::uint16_t>& last) {
    constexpr std::uint16_t lowest = 1024;
    if (last && *last < lowest) {
        return match::no;
    }
    return first.value_or(0) <= lowest && last.value_or(UINT16_MAX) == UINT16_MAX ? match::yes
                                                                                  : match::perhaps;
}

// By this interface; empty: by any but the loopback one.
match match_interface(const nat_rule& rule, std::string_view by, const facts& known) {
    if (rule.interface.empty()) {
        return match::yes;
    }
    const auto& all = known.host.interfaces;
    const bool there =
        all.empty() || std::find(all.begin(), all.end(), rule.interface) != all.end();
    if (by.empty() && rule.interface != "lo" && there) {
        return match::perhaps;
    }
    return (rule.interface == by) == rule.other_interface ? match::no : match::yes;
}

// As match_of(), of packets between this place and clients.
match filter_match(const nat_rule& rule, const examiner& into, const ip::endpoint& at,
                   std::string_view by) {
    const auto& known = into.known();
    const bool answers = rule.where == nat_rule::hook::answers;
    const auto& first = answers ? rule.first_source_port : rule.first_port;
    const auto& last = answers ? rule.last_source_port : rule.last_port;
    if ((rule.over && *rule.over != into.asked().over) ||
        (rule.family && *rule.family != at.address.family()) || (first && at.port < *first) ||
        (last && at.port > *last)) {
        return match::no;
    }
    const auto client =
        into.asked().what == act::accept ? known.client : std::optional<ip::address>{};
    return std::min({rule.partly_read ? match::perhaps : match::yes,
                     answers ? match_ours(rule.from, rule.from_length, at.address, known)
                             : match_ours(rule.to, rule.to_length, at.address, known),
                     answers ? match_address(rule.to, rule.to_length, client)
                             : match_address(rule.from, rule.from_length, client),
                     answers ? match_their_port(rule.first_port, rule.last_port)
                             : match_their_port(rule.first_source_port, rule.last_source_port),
                     match_interface(rule, by, known)});
}

bool names_port(const nat_rule& rule, const ip::endpoint& at) {
    return rule.where == nat_rule::hook::answers
               ? rule.first_source_port == at.port && rule.last_source_port == at.port
               : rule.first_port == at.port && rule.last_port == at.port;
}

// A rule that lets the packets pass: of one client, when the firewall may be meant for others.
std::string way_to_pass(const examiner& into, const nat_rule& rule, const ip::endpoint& at,
                        sureness sure, std::string_view by) {
    const bool accept = into.asked().what == act::accept;
    const bool answers = rule.where == nat_rule::hook::answers;
    const bool sources = accept && into.known().client;
    const bool one = sources || sure != sureness::certain;
    const auto client = sources ? ip::to_text(into.known().client->with_zone({})) : "CLIENT";
    const auto over = std::string{ip::to_text(into.asked().over)};
    const auto port = std::to_string(at.port);
    const auto interface = rule.interface.empty() || by.empty() ? std::string{} : std::string{by};
    std::string command;
    if (rule.by_iptables) {
        command = iptables_for(rule) +
                  (rule.handle == 0 ? " -A " + rule.chain : " -I " + rule.chain + " NUMBER") +
                  (interface.empty() ? "" : (goes_out(rule) ? " -o " : " -i ") + interface) +
                  (one ? (answers ? " -d " : " -s ") + client : "") + " -p " + over +
                  (answers ? " --sport " : " --dport ") + port + " -j ACCEPT";
    } else {
        const std::string family = at.address.is_v6() ? "ip6" : "ip";
        command =
            "nft " +
            (rule.handle == 0 ? "add rule " + rule.table + " " + rule.chain
                              : "insert rule " + rule.table + " " + rule.chain + " handle " +
                                    std::to_string(rule.handle)) +
            (interface.empty() ? "" : (goes_out(rule) ? " oifname " : " iifname ") + interface) +
            (one ? " " + family + (answers ? " daddr " : " saddr ") + client : "") + " " + over +
            (answers ? " sport " : " dport ") + port + " accept";
    }
    return (one ? "let this client pass: " : "let them pass: ") + command;
}

// A filter that packets come to; `doubt`: an earlier one that may let them pass.
finding filter_found(const examiner& into, const nat_rule& rule, const ip::endpoint& at,
                     sureness sure, const nat_rule* doubt, std::string_view by) {
    const std::string does = rule.does == nat_rule::deed::drops ? "drops" : "rejects";
    const std::string what =
        rule.where == nat_rule::hook::answers ? " the answers from " : " packets to ";
    finding made{
        cause::filter_rule,
        sure,
        "a firewall of this host " + does + what + ip::to_text(at) +
            (rule.handle == 0 ? ": no rule of it accepts them, and that is its policy" : ""),
        {place_text(rule)},
        {way_to_see(rule), way_to_pass(into, rule, at, sure, by)}};
    if (sure != sureness::certain) {
        made.fixes.emplace_back("for every client at once it would open the port to those, too, "
                                "that the firewall is to keep out");
    }
    if (doubt != nullptr) {
        made.evidence.push_back("unless an earlier rule accepts them, of which not all conditions "
                                "are known: chain " +
                                doubt->chain + ", handle " + std::to_string(doubt->handle));
        add_conditions(made.evidence, *doubt);
    }
    if (rule.handle != 0) {
        add_conditions(made.evidence, rule);
    }
    return made;
}

// The first one at a hook that surely has the packets; else the first that may be meant for them.
std::optional<finding> filter_at(examiner& into, const ip::endpoint& at, nat_rule::hook where,
                                 std::string_view by) {
    const auto& all = into.known().filters;
    std::optional<finding> perhaps;
    bool about_others = false; // as it seems
    const nat_rule* doubt = nullptr;
    std::size_t doubtful = 0; // up to this one, as of examine_nat()
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto& each = all[i];
        const auto met = each.where == where ? filter_match(each, into, at, by) : match::no;
        if (met == match::no) {
            continue;
        }
        if (each.spares) {
            if (i + each.passes_over + 1 > doubtful) {
                doubtful = i + each.passes_over + 1;
                doubt = &each;
            }
            i += met == match::yes ? each.passes_over : 0;
            continue;
        }
        if (met == match::yes && i >= doubtful) {
            return filter_found(into, each, at, sureness::certain, nullptr, by);
        }
        // Of many conditions that are not known, most are about others.
        const bool meant = names_port(each, at) || met == match::yes;
        if (!perhaps && meant && into.asked().what == act::accept) {
            perhaps = filter_found(into, each, at, sureness::possible,
                                   i < doubtful ? doubt : nullptr, by);
        }
        about_others |= !meant;
    }
    if (about_others && !perhaps) {
        into.not_seen(into.known().client
                          ? "conditions of filter rules, which may drop or reject packets: see "
                            "nft list ruleset"
                          : "filter rules for some clients, ports or interfaces alone, which may "
                            "drop or reject packets: see nft list ruleset; --from names a client");
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
        const bool guess = (each.partly_read || names_sources(each)) && !named;
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
            const bool certain = found->sure == sureness::certain;
            into.find(std::move(*found));
            if (certain) {
                return; // the next ones do not see them
            }
        }
    }
    into.exclude(cause::filter_rule,
                 "no rule of nftables that could be read whole drops packets to " +
                     ip::to_text(at));
}

} // namespace portico::diagnose
