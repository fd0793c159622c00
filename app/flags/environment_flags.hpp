// The variables that a program is given besides ours: --env and --env-file.
#pragma once

#include "flags/program_flags.hpp"

namespace portico::app {

// Sets them in `into`, those of the files first. Reads the files.
[[nodiscard]] or_setting_error<void> read_variables(const program_flags& flags,
                                                    run::program_options& into);

} // namespace portico::app
