// Which groups a socket is to be a member of, and where.
#pragma once

#include "portico/ip/group.hpp"

#include <compare>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace portico::plan {

// An interface, as far as groups are concerned.
struct group_interface {
    std::uint32_t index = 0;
    std::string name;
    bool can = true; // it takes multicast packets (IFF_MULTICAST)
};

// One socket in one group on one interface.
struct membership {
    ip::address group; // without a zone
    std::uint32_t interface = 0;

    friend auto operator<=>(const membership&, const membership&) = default;
};

// Whether a name, or a number in its place as in a zone, stands for this interface; the empty name
// stands for every one.
[[nodiscard]] bool is_meant(std::string_view name, const group_interface& which);

// The memberships that these groups mean on these interfaces. `bound_to`: the interface that the
// socket is bound to, or empty. An interface that cannot is passed over, but not when a group names
// it: then the kernel says why not. Time: groups times interfaces.
[[nodiscard]] std::set<membership> memberships(std::span<const ip::group> groups,
                                               std::string_view bound_to,
                                               std::span<const group_interface> interfaces);

} // namespace portico::plan
