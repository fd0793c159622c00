// Which way a packet would go, as the kernel decides it; no packet is sent.
#pragma once

#include "portico/diagnose/facts.hpp"
#include "portico/os/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace portico::os {

struct route_query {
    ip::address to; // link-local ones with their zone
    // Of a packet that comes in by this interface: whether it is taken, and where it goes.
    std::optional<ip::address> from{};
    std::uint32_t incoming = 0; // number of the interface; 0: it is sent from here
};

// Asks rtnetlink(7) (RTM_GETROUTE). The error is the kernel's answer: ENETUNREACH without a route,
// EHOSTUNREACH, EACCES and EINVAL of routes that say unreachable, prohibit and blackhole; for an
// incoming packet that is dropped EXDEV (rp_filter), or EINVAL since Linux 6.14.
[[nodiscard]] sys_result<diagnose::route> find_route(const route_query& which);

// Reads the answer, bounds checked: any bytes are safe. The interface is its number in decimal.
// EPROTO when it cannot be read. Pure.
[[nodiscard]] sys_result<diagnose::route> parse_route(std::span<const std::byte> bytes);

} // namespace portico::os
