// Several listening sockets at one address, one for each thread.
#pragma once

#include "portico/run/listen.hpp"

#include <string>

namespace portico::run {

// Opens clones of `of` until there are `count` sockets at its address; the kernel spreads
// connection requests over all of them (SO_REUSEPORT, socket(7)). Without success there is none
// that was not there before, and the text says why, if that was to be expected of it.
[[nodiscard]] std::string open_clones(bound_socket& of, std::size_t count,
                                      const bind_call& bind = {});

} // namespace portico::run
