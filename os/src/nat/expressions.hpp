// The expressions of one nftables rule, run without a packet: which bytes of it they compare, and
// what they do in the end.
#pragma once

#include "netlink/messages.hpp"
#include "portico/os/nat.hpp"

#include <optional>
#include <string>

namespace portico::os {

struct rule_reading {
    diagnose::nat_rule rule;
    std::optional<nat_listing::verdict> does; // unset: nothing about where packets go
    std::string set;                          // that is looked up; empty: none
    bool by_set = false;                      // the elements of the set have the verdicts
    bool of_ports = true;                     // they are destination ports
    bool of_states = false;                   // they are states of connections
    bool of_sources = false;                  // they are source ports
    std::uint32_t states = ~0U;               // as of nat_listing::rule
    bool unknown = false;                     // it has conditions that are not known here
};

// "inet filter".
[[nodiscard]] std::string table_text(std::uint8_t family, const std::string& name);

// The verdict that an NFTA_DATA_VERDICT has; nullopt for one that changes nothing.
[[nodiscard]] std::optional<nat_listing::verdict> read_verdict(bytes_view nested);

// `family`: of the table (NFPROTO_...). nullopt: it is malformed.
[[nodiscard]] std::optional<rule_reading> read_expressions(bytes_view list, std::uint8_t family);

} // namespace portico::os
