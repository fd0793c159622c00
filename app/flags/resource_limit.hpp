// Limits of setrlimit(2) as users write them: "nofile=1024", "as=1G", "cpu=30s:unlimited".
#pragma once

#include "portico/os/spawn.hpp"

#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::app {

// NAME=SOFT[:HARD]; without HARD it is SOFT. Sizes may end in K, M, G or T (powers of 1024), and
// times are as in parse_duration(). The error is a sentence that says what is wrong and how to
// write it.
[[nodiscard]] tl::expected<os::resource_limit, std::string>
parse_resource_limit(std::string_view text);

} // namespace portico::app
