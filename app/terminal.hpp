// Whether stdout is for a person.
#pragma once

namespace portico::app {

// It is a terminal, and nobody has set NO_COLOR (https://no-color.org).
[[nodiscard]] bool wants_colour();

} // namespace portico::app
