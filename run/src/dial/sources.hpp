// What the kernel knows about the way to an address, for RFC 6724.
#pragma once

#include "portico/ip/select.hpp"
#include "portico/os/netlink.hpp"

#include <optional>

namespace portico::run {

// Finds the source address for destinations. One snapshot of the host's addresses serves a whole
// dial, and is taken only when a source was found that needs it.
class source_finder {
public:
    // `from`: a local address that the user chose; it is then every destination's source.
    explicit source_finder(std::optional<ip::address> from) : from_{from} {}

    // Unset when there is no route.
    [[nodiscard]] std::optional<ip::source> find(const ip::endpoint& to);

private:
    [[nodiscard]] ip::source describe(const ip::address& which);

    std::optional<ip::address> from_;
    std::optional<os::snapshot> host_{};
};

} // namespace portico::run
