// Whom to dial, as one text.
#pragma once

#include "portico/run/dial.hpp"

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::app {

// Reads "HOST:PORT", "[ADDRESS]:PORT", "unix:/path", "unix:@name" or "/path" into the host and port
// of a request; a service name has to be known for this transport. The error says in full what is
// wrong, where, and how to write it.
[[nodiscard]] tl::expected<run::dial_request, std::string>
parse_dial_target(std::string_view text, ip::transport over = ip::transport::tcp);

// The same for a target of a relay, which may be "srv:_name._tcp.domain" as well.
[[nodiscard]] tl::expected<run::dial_request, std::string>
parse_relay_target(std::string_view text, ip::transport over = ip::transport::tcp);

} // namespace portico::app
