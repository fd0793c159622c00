// The rules of nftables that give packets another destination.
#pragma once

#include "portico/diagnose/facts.hpp"
#include "portico/os/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace portico::os {

// What the kernel says of chains and rules. Chains of one table call each other by name.
struct nat_listing {
    using chain_key = std::tuple<std::uint8_t, std::string, std::string>; // family, table, name
    // What becomes of packets that match.
    enum class step : std::uint8_t {
        moves,   // they get another destination
        stays,   // no further rule of this hook's chain sees them
        returns, // nor of this chain, if it was jumped to
        jumps,   // another chain, and back
        goes,    // another chain
    };
    struct verdict {
        step then = step::moves;
        std::string chain{}; // of jumps and goes
    };
    // A rule without its hook; of the ports in a set when it names one.
    struct rule {
        diagnose::nat_rule what;
        std::string set{}; // of the same table; empty: none
        verdict does{};
        bool by_set = false;  // the elements of the set have the verdicts
        bool of_ports = true; // its elements are destination ports
    };
    struct chain {
        bool prerouting = false; // of nat, or a filter, at this hook
        bool output = false;
        bool filter = false; // of packets to or from this host
        bool drops = false;  // what no rule decides about
        bool has_rules = false;
        std::vector<rule> rules; // in order, those that matter here
    };
    std::map<chain_key, chain> chains;
    // What is in sets and maps, by their tables: what a dump of elements said.
    struct element {
        diagnose::port_range ports;
        std::optional<verdict> does{};
    };
    std::map<chain_key, std::vector<element>> sets;
    bool done = false;
    bool interrupted = false;
    bool malformed = false;
    int error = 0;

    // The rules that packets meet, in order, chains that are jumped to included; one with a set of
    // ports is a rule for each of them, if the set is here. nullopt: following them
    // took more than `most` steps, which bounds time and memory.
    static constexpr std::size_t most = 200'000;
    [[nodiscard]] std::optional<std::vector<diagnose::nat_rule>> rules() const;
};

// Reads messages of nfnetlink about chains, rules and elements of sets into the listing, bounds
// checked: any bytes are safe. Rules of dnat, redirect and tproxy are kept, those that iptables
// wrote (xtables) too, and which verdicts come before them. Pure.
void parse_nat(std::span<const std::byte> bytes, nat_listing& into);

// All of this network namespace. EPERM without CAP_NET_ADMIN; EINVAL and the like without nftables;
// EOVERFLOW: they are too many.
// Rules of the older iptables are not there: see has_legacy_nat().
struct nat_reading {
    std::vector<diagnose::nat_rule> rules;
    bool filters = false; // there are rules of filters, which are not read
};
[[nodiscard]] sys_result<nat_reading> nat_rules();

// Whether there are tables of iptables-legacy, whose rules are not read.
struct legacy_tables {
    bool nat = false;
    bool filter = false;
};
[[nodiscard]] legacy_tables find_legacy_tables();

} // namespace portico::os
