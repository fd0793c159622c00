// The only place that reads the monotonic clock.
#pragma once

#include "portico/base/instant.hpp"

namespace portico::os {

// CLOCK_MONOTONIC now. Threads: safe.
[[nodiscard]] instant now() noexcept;

} // namespace portico::os
