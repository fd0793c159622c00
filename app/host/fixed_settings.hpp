// What a process has from its start to its end: no reload changes it.
#pragma once

#include "config/config.hpp"

#include <string>

namespace portico::app {

// The keys of it that are not the same: "serve.user, serve.pid-file"; empty: none.
[[nodiscard]] std::string find_fixed_changes(const serve_config& now, const serve_config& next);
// Gives `to` what `from` has of it.
void keep_fixed(const serve_config& from, serve_config& to);

} // namespace portico::app
