// Several listening sockets at one address, one for each engine.
#pragma once

#include "portico/run/listen.hpp"

#include <string>
#include <vector>

namespace portico::run {

struct listening_clones {
    std::vector<os::fd> sockets; // one for each engine
    bool shared = false;         // they are one socket
    std::string remark;          // why they are shared though that was not wanted
};

// The first is a second descriptor of `of`. The kernel spreads connection requests over all of
// them (SO_REUSEPORT, socket(7)).
//
// SO_REUSEPORT is switched on only after `of` was bound without it, so that an address that
// somebody has is refused, as ever. From then on the kernel lets other programs of the same user
// have a share of the port if they ask for that by SO_REUSEPORT; a socket that would keep them out
// does not exist (Linux remembers the option of the port, not of each socket).
[[nodiscard]] listening_clones clone_listening(const bound_socket& of, std::size_t count);

} // namespace portico::run
