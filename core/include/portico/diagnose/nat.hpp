// Rules that give packets another destination, or let them go no further.
#pragma once

#include "portico/ip/endpoint.hpp"
#include "portico/ip/service.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace portico::diagnose {

// One rule of nftables that gives packets another destination, drops or rejects them, or keeps them
// from such a rule, as far as it can be read. Those of one hook are in the order in which packets
// meet them. Of connections it is about the first packet, and of answers about the first of them.
struct nat_rule {
    enum class hook : std::uint8_t {
        prerouting, // packets that come in
        input,      // those that are for this host
        output,     // packets of this host
        answers,    // the same, of connections that others have begun
    };
    hook where = hook::prerouting;
    enum class deed : std::uint8_t { moves, drops, rejects };
    deed does = deed::moves;
    std::optional<ip::family> family{}; // unset: both
    std::string table;                  // "ip nat"
    std::string chain;
    bool by_iptables = false; // the table is one that iptables-nft manages
    std::uint64_t handle = 0; // 0: it is the policy of the chain
    // What it matches; unset: anything.
    std::optional<ip::transport> over{};
    std::optional<std::uint16_t> first_port{};
    std::optional<std::uint16_t> last_port{};
    std::optional<std::uint16_t> first_source_port{};
    std::optional<std::uint16_t> last_source_port{};
    std::optional<ip::address> to{}; // the destination as the packet has it
    unsigned to_length = 0;          // of its prefix
    std::optional<ip::address> from{};
    unsigned from_length = 0;
    std::string interface;        // that it comes in by, or goes out by; empty: any
    bool other_interface = false; // any but that one
    bool partly_read = false;     // it has further conditions that are not known here
    // Where packets go then. Unset port: the same; unset address: this host (redirect).
    std::optional<ip::address> new_address{};
    std::optional<std::uint16_t> new_port{};
    bool goes_by_map = false; // where to is not known here
    // Packets that it matches stay as they are, and do not meet so many of the next rules.
    bool spares = false;
    std::size_t passes_over = 0;
};

// Whether it takes packets of this transport to this place away to another one. To all addresses:
// some of them, perhaps.
[[nodiscard]] bool takes_away(const nat_rule& rule, ip::transport over, const ip::endpoint& at);

} // namespace portico::diagnose
