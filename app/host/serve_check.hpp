// What a configuration would do, told without doing it.
#pragma once

#include "config/config.hpp"

#include <string>

namespace portico::app {

// Prints the plan of sockets, and each service. Opens nothing. Returns the exit code: 100 when it
// cannot start as it is written. `own_program`: what a handover starts.
int check_config(const serve_config& config, const std::string& own_program);

// Prints which sockets a reload from `now` to `next` would keep, open and close, and which services
// would go on, start and stop. Opens nothing. Returns the exit code: 100 when it takes a restart.
int print_difference(const serve_config& now, const serve_config& next,
                     const std::string& own_program);

} // namespace portico::app
