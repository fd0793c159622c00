// What a SOCKS server may dial for its clients.
//
// A server that dials for others stands inside: its loopback, its links and its own addresses are
// what an attacker outside wants to reach. So these are denied however they are written, and
// whatever name resolves to them, unless a rule names them.
#pragma once

#include "portico/admit/access.hpp"
#include "portico/ip/endpoint.hpp"
#include "portico/ip/prefix.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace portico::admit {

struct port_range {
    std::uint16_t first = 0;
    std::uint16_t last = 65535;

    [[nodiscard]] constexpr bool contains(std::uint16_t port) const noexcept {
        return first <= port && port <= last;
    }
    // How many less one.
    [[nodiscard]] constexpr unsigned width() const noexcept {
        return static_cast<unsigned>(last) - first;
    }
    friend bool operator==(const port_range&, const port_range&) = default;
};

// "example.org", or with `below` the names that end in ".example.org" and not that one itself. In
// small letters, without a dot at the end.
struct name_pattern {
    std::string name;
    bool below = false;

    friend bool operator==(const name_pattern&, const name_pattern&) = default;
};

// std::monostate: every name and every address.
using destination_pattern = std::variant<std::monostate, ip::prefix, name_pattern>;

struct destination_rule {
    destination_pattern where;
    port_range ports;
    ruling what = ruling::allow;

    friend bool operator==(const destination_rule&, const destination_rule&) = default;
};

// "10.0.0.0/8:*", "[2001:db8::/32]:443", "*.example.org:8000-8099"; without the ruling.
[[nodiscard]] std::string to_text(const destination_rule& which);

// Reads such texts with commas between them; spaces around one do not count. Ports are a number, a
// range, a service name of the built-in table, or '*', and are not optional. Each becomes a rule
// with the same ruling; a block of IPv4-mapped addresses is read as the IPv4 one.
[[nodiscard]] ip::text_result<std::vector<destination_rule>>
parse_destination_rules(std::string_view text, ruling what);

// Why a destination is not dialled.
enum class destination_refusal : std::uint8_t {
    malformed_name, // not a host name: a byte or a length that no name has
    unspecified,    // 0.0.0.0/8 or ::, which some systems take for the host itself
    loopback,       // 127.0.0.0/8 or ::1
    link_local,     // 169.254.0.0/16 (clouds answer secrets there) or fe80::/10
    multicast,      // 224.0.0.0/4 or ff00::/8
    broadcast,      // 255.255.255.255
    own_address,    // one of the host's own
    rule,           // a rule denies it
    not_listed,     // there are allow rules, and none of them matches
};
inline constexpr std::size_t destination_refusals = 9;

// "malformed_name", ...
[[nodiscard]] std::string_view to_text(destination_refusal why) noexcept;

// The rules, in this order:
// 1. The built-in blocks (the reasons above) and the host's own addresses are denied, unless of the
//    rules for the address the one that counts (see 2) allows it and its block is not larger than
//    the denied one: "127.0.0.0/8:8080" or "[::1]:53" do, "*:*", "0.0.0.0/0:*" and names do not,
//    because who holds a name can let it resolve to anything. An own address has to be named alone.
// 2. Of all rules with a block that holds the address and with the port, the smallest block counts;
//    then the narrowest range of ports; then the denying one. Likewise of the rules for names the
//    one with the longest name counts, the name itself before those below it.
// 3. Refused if either denies, dialled if either allows. If neither says anything, the rules
// "*:..."
//    do; and if there is none for the port, it is refused when there is any allow rule.
// Addresses for private use (RFC 1918, RFC 4193) are not special.
//
// An IPv6 address may carry an IPv4 one. IPv4-mapped (RFC 4291 section 2.5.5.2): it is that one. In
// the well-known prefix of NAT64 or a given one (RFC 6052): it is both, so either can be allowed or
// denied. IPv4-compatible (RFC 4291 section 2.5.5.1) and 6to4 (RFC 3056): it is itself, and what 1
// or a rule with a block denies to the IPv4 address inside is denied to it. In every case 1 is
// lifted only by a rule for the IPv4 address.
//
// Time: linear in the rules, logarithmic in the own addresses; no allocation. Threads: the caller
// serialises the handle_ calls with all others.
class destinations {
public:
    // Only what is built in is denied.
    destinations() = default;
    explicit destinations(std::span<const destination_rule> rules);

    // The host's own addresses, all of them, each time they change.
    void handle_own_addresses(std::span<const ip::address> all);
    // The translators' prefixes besides the well-known one, each time they change.
    void handle_nat64(std::span<const ip::prefix> all);

    // A client asks for an address. nullopt: it may be dialled.
    [[nodiscard]] std::optional<destination_refusal> refuse(const ip::endpoint& to) const;
    // A client asks for a name that resolved to this endpoint. To be asked about each address that
    // it resolved to, just before that one is dialled. Names that are IPv6 addresses are malformed:
    // read those as addresses first.
    [[nodiscard]] std::optional<destination_refusal> refuse(std::string_view name,
                                                            const ip::endpoint& resolved) const;
    // Before a name is resolved: what is refused whatever it resolves to. nullopt is not yet a yes.
    [[nodiscard]] std::optional<destination_refusal> refuse_unresolved(std::string_view name,
                                                                       std::uint16_t port) const;

private:
    using opinion = std::optional<ruling>;

    [[nodiscard]] opinion opinion_on_name(std::string_view name, std::uint16_t port) const noexcept;
    [[nodiscard]] std::optional<destination_refusal> otherwise(std::uint16_t port) const noexcept;
    [[nodiscard]] std::optional<destination_refusal> judge(opinion on_name,
                                                           const ip::endpoint& to) const noexcept;

    struct finding; // about one address that was asked for
    void look_at(const ip::address& which, std::uint16_t port, bool may_allow,
                 finding& so_far) const noexcept;

    // Each with the rule that counts first in front.
    std::vector<destination_rule> blocks_;
    std::vector<destination_rule> names_;
    std::vector<destination_rule> everything_;
    bool any_allows_ = false;
    std::vector<ip::prefix> nat64_; // without the well-known one
    std::vector<ip::address> own_;  // canonical, without zones, sorted
};

} // namespace portico::admit
