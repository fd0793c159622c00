// Small files that a setting names.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace portico::app {

// All of a regular file, at most 1 MiB. The error is for a person, and begins with the path.
[[nodiscard]] tl::expected<std::string, std::string> read_text_file(const std::string& path);

} // namespace portico::app
