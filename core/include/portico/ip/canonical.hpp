// The one address that stands for a client, whichever way it came in.
#pragma once

#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/prefix.hpp"

#include <optional>
#include <span>
#include <vector>

namespace portico::ip {

// Unmaps ::ffff:a.b.c.d to a.b.c.d (RFC 4291 section 2.5.5.2), and an address inside one of `nat64`
// to the IPv4 address embedded in it (RFC 6052 section 2.2); any other address is returned as it
// is. Access rules, limits, logs, environment and metrics all use the canonical address. `nat64`:
// prefixes of length 32, 40, 48, 56, 64 or 96; others are passed over. Time: linear in `nat64`.
[[nodiscard]] address canonical(const address& which, std::span<const prefix> nat64 = {}) noexcept;
[[nodiscard]] endpoint canonical(const endpoint& which,
                                 std::span<const prefix> nat64 = {}) noexcept;
// UNIX names are what they are.
[[nodiscard]] any_endpoint canonical(const any_endpoint& which, std::span<const prefix> nat64 = {});

// 64:ff9b::/96, the well-known prefix of RFC 6052 section 2.1.
[[nodiscard]] const prefix& nat64_well_known() noexcept;

// The IPv6 address that stands for an IPv4 one behind a translator (RFC 6052 section 2.2).
// nullopt when `which` is not IPv4, or the prefix is not IPv6 or not of length 32, 40, 48, 56, 64
// or 96.
[[nodiscard]] std::optional<address> nat64_embed(const prefix& translator,
                                                 const address& which) noexcept;

// The IPv4 address inside `which`, or nullopt when it is not inside `translator`.
[[nodiscard]] std::optional<address> nat64_extract(const prefix& translator,
                                                   const address& which) noexcept;

// The translator prefixes that an answer for ipv4only.arpa shows (RFC 7050 section 3): for each
// address, the prefix before 192.0.0.170 or 192.0.0.171. A value that some address has twice is
// left to the other one, and an address with both of them says nothing. Each prefix once, in the
// order first seen. Time: quadratic in the number of prefixes.
[[nodiscard]] std::vector<prefix> nat64_discover(std::span<const address> answer);

} // namespace portico::ip
