// Whether a person is there.
#pragma once

namespace portico::app {

// Stdout is a terminal, and nobody has set NO_COLOR (https://no-color.org).
[[nodiscard]] bool wants_colour();

// This process belongs to a terminal, whose end it is told by SIGHUP. Not afterwards: ask before.
[[nodiscard]] bool has_terminal();

} // namespace portico::app
