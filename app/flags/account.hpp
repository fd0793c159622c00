// Users and groups as people write them: by name or number.
#pragma once

#include "portico/os/users.hpp"

#include <optional>
#include <string>
#include <tl/expected.hpp>

namespace portico::app {

// nullopt: a number that no user of this host has. The error is for a person. Blocks as
// os::getpwnam() does.
[[nodiscard]] tl::expected<std::optional<os::user_account>, std::string>
find_user(const std::string& text);

// A number need not have a name.
[[nodiscard]] tl::expected<gid_t, std::string> find_group(const std::string& text);

} // namespace portico::app
