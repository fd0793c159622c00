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
    bool changes_destination = false;
    std::string jumps_to; // empty: nowhere
    std::string set;      // the destination port is in it; empty: none
    bool unknown = false; // it has conditions that are not known here
};

// `family`: of the table (NFPROTO_...). nullopt: it is malformed.
[[nodiscard]] std::optional<rule_reading> read_expressions(bytes_view list, std::uint8_t family);

} // namespace portico::os
