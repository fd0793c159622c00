// What a configuration would do, told without doing it.
#pragma once

#include "config/config.hpp"

namespace portico::app {

// Prints the plan of sockets, and each service. Opens nothing. Returns the exit code: 100 when it
// cannot start as it is written.
int check_config(const serve_config& config);

// Prints which sockets a reload from `now` to `next` would keep, open and close, and which services
// would go on, start and stop. Opens nothing. Returns the exit code.
int print_difference(const serve_config& now, const serve_config& next);

} // namespace portico::app
