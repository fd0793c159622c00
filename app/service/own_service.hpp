// What the process itself answers, beside its services: how it is doing, and what it is to do.
#pragma once

#include "service/service_request.hpp"

#include "portico/ip/unix_name.hpp"
#include "portico/plan/plan.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::app {

// Reads "unix:/path" or "/path", which only the user of this process is to use. The error is for a
// person. Abstract names are refused: they have no permissions.
[[nodiscard]] tl::expected<ip::unix_name, std::string> parse_private_name(std::string_view text);

// Its file has the mode 0600. A stale file is replaced, as `portico listen` does.
[[nodiscard]] plan::wish private_wish(const ip::unix_name& where);

// A service of this process: 16 clients at once, further ones wait in the queue.
[[nodiscard]] service_choice own_choice(decltype(service_choice::ours) make);

} // namespace portico::app
