// The rules of nftables that give packets another destination, or drop or reject them.
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
        drops,   // nobody sees them
        rejects, // and their sender is told so
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
        bool by_set = false;        // the elements of the set have the verdicts
        bool of_ports = true;       // its elements are destination ports
        bool of_states = false;     // or states of connections
        bool of_sources = false;    // or source ports
        std::uint32_t states = ~0U; // the connections that it is about, by a bit for each state
    };
    static constexpr std::uint32_t state_established = 2; // as conntrack has it
    static constexpr std::uint32_t state_new = 8;
    struct chain {
        bool prerouting = false; // of nat, or a filter, at this hook
        bool output = false;
        std::optional<diagnose::nat_rule::hook> filters{}; // of packets to or from this host
        bool filters_elsewhere = false; // on their way, at a hook that is not followed here
        bool drops = false;             // what no rule decides about
        bool has_rules = false;
        std::vector<rule> rules; // in order, those that matter here
    };
    std::map<chain_key, chain> chains;
    // What is in sets and maps, by their tables: what a dump of elements said.
    struct element {
        diagnose::port_range ports;
        std::optional<verdict> does{};
        std::uint32_t state = 0;
    };
    std::map<chain_key, std::vector<element>> sets;
    bool done = false;
    bool interrupted = false;
    bool malformed = false;
    int error = 0;

    // The rules of NAT that packets meet, in order, chains that are jumped to included; one with a
    // set of ports is a rule for each of them, if the set is here. nullopt: following them took
    // more than `most` steps, which bounds time and memory.
    static constexpr std::size_t most = 200'000;
    [[nodiscard]] std::optional<std::vector<diagnose::nat_rule>> rules() const;
    // The same of filters, policies that drop included.
    [[nodiscard]] std::optional<std::vector<diagnose::nat_rule>> filters() const;
};

// Reads messages of nfnetlink about chains, rules and elements of sets into the listing, bounds
// checked: any bytes are safe. Rules of dnat, redirect and tproxy are kept, those that iptables
// wrote (xtables) too, and all that have a verdict about new connections, or about answers. Pure.
void parse_nat(std::span<const std::byte> bytes, nat_listing& into);

// All of this network namespace. EPERM without CAP_NET_ADMIN; EINVAL and the like without nftables;
// EOVERFLOW: they are too many.
// Rules of the older iptables are not there: see has_legacy_nat().
struct nat_reading {
    std::vector<diagnose::nat_rule> rules;
    std::vector<diagnose::nat_rule> filters;
    bool more_filters = false; // there are others, which are not read, or not whole
};
[[nodiscard]] sys_result<nat_reading> nat_rules();

// Whether there are tables of iptables-legacy, whose rules are not read.
struct legacy_tables {
    bool nat = false;
    bool filter = false;
};
[[nodiscard]] legacy_tables find_legacy_tables();

} // namespace portico::os
