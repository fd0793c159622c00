// The configuration as TOML of one form: keys in one order, defaults left out.
#pragma once

#include "config/keys.hpp"

#include <string>
#include <string_view>

namespace portico::app {

// A basic string, in its quotes: what is not ASCII stays as it is, for the text is UTF-8.
[[nodiscard]] std::string toml_text(std::string_view text);

// The lines of the keys of one table that have another value than their default.
[[nodiscard]] std::string keys_toml(table which, settings from);

// "[service.web]\n" and its keys.
[[nodiscard]] std::string service_toml(std::string_view name, const settings& from);

} // namespace portico::app
