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
    struct jump {
        chain_key to;
        bool conditional = false; // on something that is not known here
    };
    // A rule without its hook; of the ports in a set when it names one.
    struct rule {
        diagnose::nat_rule what;
        std::string set; // of the same table; empty: none
    };
    struct chain {
        bool prerouting = false; // a nat chain of this hook
        bool output = false;
        std::vector<jump> jumps;
        std::vector<rule> rules;
    };
    std::map<chain_key, chain> chains;
    // Ports that are in sets, by their tables: what a dump of elements said.
    std::map<chain_key, std::vector<diagnose::port_range>> sets;
    bool done = false;
    bool interrupted = false;
    bool malformed = false;
    int error = 0;

    // The rules that packets meet, chains that are jumped to included; one with a set of ports is a
    // rule for each of them, if the set is here. Time: rules times chains.
    [[nodiscard]] std::vector<diagnose::nat_rule> rules() const;
};

// Reads messages of nfnetlink about chains, rules and elements of sets into the listing, bounds
// checked: any bytes are safe. Rules of dnat and redirect are kept, those that iptables wrote
// (xtables) too. Pure.
void parse_nat(std::span<const std::byte> bytes, nat_listing& into);

// All of this network namespace. EPERM without CAP_NET_ADMIN; EINVAL and the like without nftables.
// Rules of the older iptables are not there: see has_legacy_nat().
[[nodiscard]] sys_result<std::vector<diagnose::nat_rule>> nat_rules();

// Whether there is a nat table of iptables-legacy, whose rules are not read.
[[nodiscard]] bool has_legacy_nat();

} // namespace portico::os
