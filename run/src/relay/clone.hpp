// Several listening sockets at one address, one for each engine.
#pragma once

#include "portico/run/listen.hpp"

#include <string>
#include <vector>

namespace portico::run {

struct listening_clones {
    std::vector<os::fd> sockets; // one for each engine
    bool shared = false;         // they are one socket
    os::fd guard;                // bound to the same address, not listening; may be empty
    std::string remark;          // why they are shared though that was not wanted
};

// The first is a second descriptor of `of`. The kernel spreads connection requests over all of
// them (SO_REUSEPORT, socket(7)).
//
// SO_REUSEPORT is switched on only after `of` was bound without it, so that an address that
// somebody has is refused, as ever; and the guard, which was bound with it and has lost it again,
// refuses everybody who would bind to the address later with SO_REUSEPORT. Unless the user wants
// to share the port: then SO_REUSEPORT is on already, and there is no guard.
[[nodiscard]] listening_clones clone_listening(const bound_socket& of, std::size_t count);

} // namespace portico::run
