// Whatever a stream or datagram socket can be bound or connected to.
#pragma once

#include "portico/ip/endpoint.hpp"
#include "portico/ip/unix_name.hpp"

#include <variant>

namespace portico::ip {

// Nothing, an IP endpoint, or a UNIX name.
using any_endpoint = std::variant<std::monostate, endpoint, unix_name>;

// The text of what is held; empty for std::monostate.
[[nodiscard]] std::string to_text(const any_endpoint& which);

} // namespace portico::ip
