// Which of several addresses to use: source and destination address selection (RFC 6724), as pure
// functions.
#pragma once

#include "portico/ip/prefix.hpp"

#include <span>
#include <vector>

namespace portico::ip {

// The scope of an address as a number; larger reaches further (RFC 6724 section 3.1, RFC 4291
// section 2.7); multicast addresses may have numbers between those named here. IPv4 loopback and
// link-local addresses have link-local scope, all other IPv4 ones global scope, IPv4-mapped ones
// that of the IPv4 address (RFC 6724 section 3.2).
enum class scope : std::uint8_t {
    interface_local = 1,
    link_local = 2,
    admin_local = 4,
    site_local = 5,
    organization_local = 8,
    global = 14,
};
[[nodiscard]] scope scope_of(const address& which) noexcept;

// One row of the policy table (RFC 6724 section 2.1). IPv4 addresses are looked up as
// ::ffff:a.b.c.d, and an IPv4 block stands for its mapped form. The longest block that holds an
// address counts; an address in none has precedence 0 and a label that no row has.
struct policy {
    prefix block;
    unsigned precedence = 0;
    unsigned label = 0;
};
// The default table of RFC 6724 section 2.1.
[[nodiscard]] std::span<const policy> default_policies() noexcept;

// Leading bits that two addresses have in common, at most the source's prefix length (RFC 6724
// section 2.2); 0 when their families differ.
[[nodiscard]] unsigned common_prefix_length(const address& source, const address& destination,
                                            unsigned source_prefix_length) noexcept;

// An address of this host that could be a source.
struct source {
    ip::address address;
    unsigned prefix_length = 64; // of its on-link prefix; 24 or so for IPv4
    std::uint32_t interface = 0; // number of the interface that has it; 0 when unknown
    bool deprecated = false;     // RFC 4862: past its preferred lifetime
    bool temporary = false;      // RFC 8981
    bool home = false;           // RFC 6275: home address
    bool care_of = false;        // RFC 6275: care-of address
    std::optional<ip::address>
        next_hop_prefix_router{}; // router that announced its prefix (rule 5.5)
};

// Index of the best source for `destination` out of `candidates`, by rules 1 to 8 of RFC 6724
// section 5; nullopt when there is none of its family. Ties keep the earlier candidate. Each rule
// strikes the candidates that another one left beats, so the answer does not hang on their order.
// Multicast and unspecified candidates are passed over, and for a link-local or multicast
// destination those of another link (RFC 6724 section 4). Rule 4: an address that is neither home
// nor care-of counts as home. Time: quadratic in `candidates`.
// `outgoing` is the interface the packets will leave by (0: unknown), `next_hop` the router they go
// to (rule 5.5; it says nothing about a candidate whose router is not known), prefer_temporary
// rule 7.
struct source_choice {
    std::uint32_t outgoing = 0;
    std::optional<ip::address> next_hop{};
    bool prefer_temporary = true;
};
[[nodiscard]] std::optional<std::size_t>
choose_source(const address& destination, std::span<const source> candidates,
              const source_choice& how = {}, std::span<const policy> policies = default_policies());

// A place to connect to, with the source that would be used.
struct destination {
    ip::address address;
    std::optional<source>
        from{};         // unset: unreachable from here (no route, no source); rule 1 puts it last
    bool native = true; // false: reached through an encapsulating transition mechanism (rule 7)
    std::optional<std::int64_t>
        rtt_ns{};             // a known round-trip time, in nanoseconds (RFC 8305 section 4)
    bool used_before = false; // it won a race before (RFC 8305 section 4)
};

// Sorts by rules 1 to 10 of RFC 6724 section 6, stable, with the two rules that RFC 8305 section 4
// puts between rules 8 and 9 (lower round-trip time, a known one before an unknown one; then used
// before). Rule 9 is not applied between IPv4 addresses: it would undo the balancing of DNS
// answers. It speaks only of addresses of one family, which is no order when both families are
// otherwise equal; there it sorts the IPv6 addresses among the places that IPv6 addresses have.
// Time: n log n comparisons, and n look-ups linear in `policies`.
void sort_destinations(std::vector<destination>& places,
                       std::span<const policy> policies = default_policies());

} // namespace portico::ip
