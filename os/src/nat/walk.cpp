#include "nat/walk.hpp"
#include "nat/expressions.hpp"

#include "portico/ip/prefix.hpp"

#include <algorithm>
#include <array>
#include <linux/netfilter.h>
#include <string_view>
#include <utility>

namespace portico::os {
namespace {

using diagnose::nat_rule;
using step = nat_listing::step;

// Both conditions on one thing; false when no packet meets both.
template <class T>
bool meet(std::optional<T>& one, const std::optional<T>& other) {
    if (one && other) {
        return *one == *other;
    }
    one = one ? one : other;
    return true;
}

bool meet_block(std::optional<ip::address>& one, unsigned& length,
                const std::optional<ip::address>& other, unsigned other_length) {
    if (!other) {
        return true;
    }
    const auto wide = ip::prefix::make(*other, other_length);
    if (!one || (wide && other_length < length && wide->contains(*one))) {
        length = one ? length : other_length;
        one = one ? one : other;
        return true;
    }
    const auto narrow = ip::prefix::make(*one, length);
    if (narrow && narrow->contains(*other)) {
        one = other;
        length = other_length;
        return true;
    }
    return false;
}

bool meet_ports(std::optional<std::uint16_t>& first, std::optional<std::uint16_t>& last,
                const std::optional<std::uint16_t>& other_first,
                const std::optional<std::uint16_t>& other_last) {
    if (other_first) {
        first = std::max(first.value_or(0), *other_first);
    }
    if (other_last) {
        last = std::min(last.value_or(UINT16_MAX), *other_last);
    }
    return first.value_or(0) <= last.value_or(UINT16_MAX);
}

// The conditions of a jump hold in the chain that it leads to.
bool meet_all(nat_rule& one, const nat_rule& under) {
    one.partly_read |=
        under.partly_read ||
        (!one.interface.empty() && !under.interface.empty() &&
         (one.interface != under.interface || one.other_interface != under.other_interface));
    if (one.interface.empty()) {
        one.interface = under.interface;
        one.other_interface = under.other_interface;
    }
    return meet(one.family, under.family) && meet(one.over, under.over) &&
           meet_block(one.to, one.to_length, under.to, under.to_length) &&
           meet_block(one.from, one.from_length, under.from, under.from_length) &&
           meet_ports(one.first_port, one.last_port, under.first_port, under.last_port) &&
           meet_ports(one.first_source_port, one.last_source_port, under.first_source_port,
                      under.last_source_port);
}

} // namespace

void walk::hook(nat_rule::hook where, bool nat_listing::chain::*is_base) {
    where_ = where;
    for (const auto& [key, each] : all_.chains) {
        if (each.*is_base) {
            chain(key, {});
            end(to_base_end_);
        }
    }
}

void walk::filters(nat_rule::hook where) {
    const bool answers = where == nat_rule::hook::answers;
    const auto at = answers ? nat_rule::hook::output : where;
    where_ = where;
    of_filters_ = true;
    state_ = answers ? nat_listing::state_established : nat_listing::state_new;
    for (const auto& [key, each] : all_.chains) {
        if (each.filters == at) {
            chain(key, {});
            if (each.drops) {
                policy(key);
            }
            end(to_base_end_);
        }
    }
}

void walk::policy(const nat_listing::chain_key& key) {
    auto& made = made_.emplace_back();
    made.where = where_;
    made.does = nat_rule::deed::drops;
    const auto family = std::get<0>(key);
    made.table = table_text(family, std::get<1>(key));
    made.chain = std::get<2>(key);
    if (family == NFPROTO_IPV4 || family == NFPROTO_IPV6) {
        made.family = family == NFPROTO_IPV4 ? ip::family::v4 : ip::family::v6;
    }
}

// It makes base chains in capitals, those that it needs.
std::set<std::string> walk::tables_of_iptables() const {
    constexpr std::array<std::string_view, 5> names{"filter", "nat", "mangle", "raw", "security"};
    constexpr std::array<std::string_view, 5> bases{"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
                                                    "POSTROUTING"};
    const auto is_in = [](const auto& texts, const std::string& text) {
        return std::find(texts.begin(), texts.end(), text) != texts.end();
    };
    std::set<std::string> found;
    for (const auto& [key, each] : all_.chains) {
        const auto& [family, table, chain] = key;
        if (is_in(names, table) && is_in(bases, chain) &&
            (family == NFPROTO_IPV4 || family == NFPROTO_IPV6)) {
            found.insert(table_text(family, table));
        }
    }
    return found;
}

std::optional<std::vector<nat_rule>> walk::take() && {
    const auto tables = tables_of_iptables();
    for (auto& each : made_) {
        each.by_iptables = tables.contains(each.table);
    }
    return too_many() ? std::nullopt : std::optional{std::move(made_)};
}

void walk::chain(const nat_listing::chain_key& key, const nat_rule& under) {
    const auto at = all_.chains.find(key);
    // The kernel has no circles; a dump that was changed meanwhile may.
    if (at == all_.chains.end() || too_many() ||
        std::find(path_.begin(), path_.end(), key) != path_.end()) {
        return;
    }
    path_.push_back(key);
    auto outer = std::exchange(to_chain_end_, {});
    for (const auto& each : at->second.rules) {
        rule(key, each, under);
    }
    end(to_chain_end_);
    to_chain_end_ = std::move(outer);
    path_.pop_back();
}

void walk::rule(const nat_listing::chain_key& key, const nat_listing::rule& which,
                const nat_rule& under) {
    ++steps_;
    auto what = which.what;
    what.where = where_;
    if (too_many() || (which.states & state_) == 0 || !meet_all(what, under)) {
        return;
    }
    const auto set = which.set.empty()
                         ? all_.sets.end()
                         : all_.sets.find({std::get<0>(key), std::get<1>(key), which.set});
    if (set == all_.sets.end()) { // it may match any port
        what.partly_read |= !which.set.empty();
        if (!which.by_set) {
            one(key, what, which.does);
        }
        return;
    }
    for (const auto& each : set->second) {
        auto with = what;
        nat_rule ports;
        if (which.of_states && (each.state & state_) == 0) {
            continue;
        }
        if (which.of_ports) {
            ports.first_port = each.ports.first;
            ports.last_port = each.ports.last;
        }
        if (which.of_sources) {
            ports.first_source_port = each.ports.first;
            ports.last_source_port = each.ports.last;
        }
        if (meet_all(with, ports) && (!which.by_set || each.does)) {
            one(key, with, which.by_set ? *each.does : which.does);
        }
    }
}

void walk::one(const nat_listing::chain_key& key, const nat_rule& what,
               const nat_listing::verdict& does) {
    if (++steps_; too_many()) {
        return;
    }
    const bool ends = does.then == step::drops || does.then == step::rejects;
    switch (does.then) {
    case step::moves:
    case step::drops:
    case step::rejects:
        if (ends != of_filters_) { // what the others do, too, ends their way through this chain
            spare(what, to_base_end_);
            break;
        }
        made_.push_back(what);
        made_.back().does = does.then == step::moves   ? nat_rule::deed::moves
                            : does.then == step::drops ? nat_rule::deed::drops
                                                       : nat_rule::deed::rejects;
        break;
    case step::stays:
        spare(what, to_base_end_);
        break;
    case step::returns:
        spare(what, to_chain_end_);
        break;
    case step::jumps:
    case step::goes:
        chain({std::get<0>(key), std::get<1>(key), does.chain}, what);
        if (does.then == step::goes) {
            spare(what, to_chain_end_);
        }
        break;
    }
}

void walk::spare(nat_rule what, std::vector<std::size_t>& of) {
    what.spares = true;
    of.push_back(made_.size());
    made_.push_back(std::move(what));
}

void walk::end(std::vector<std::size_t>& all) {
    for (const auto each : all) {
        made_[each].passes_over = made_.size() - each - 1;
    }
    all.clear();
}

} // namespace portico::os
