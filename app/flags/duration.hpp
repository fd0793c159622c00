// Spans of time as users write them: "30s", "500ms", "5m"; a bare number is seconds.
#pragma once

#include "portico/base/instant.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::app {

// Reads a decimal number with an optional fraction and one of the units ms, s, m, h, d. The error
// is a sentence that says what is wrong and how to write it. At most 100 days.
[[nodiscard]] tl::expected<duration, std::string> parse_duration(std::string_view text);

// An option whose value is such a text; a wrong one is a parse error of the command line.
CLI::Option* add_duration(CLI::App& verb, const std::string& names, std::optional<duration>& into,
                          const std::string& description);

} // namespace portico::app
