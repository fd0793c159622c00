// The only place that reads the clocks.
#pragma once

#include "portico/base/instant.hpp"

namespace portico::os {

// CLOCK_MONOTONIC now. Threads: safe.
[[nodiscard]] instant now() noexcept;

// CLOCK_REALTIME now, in whole seconds since 1970-01-01 00:00 UTC, for what people read. It can be
// set back. Threads: safe.
[[nodiscard]] std::chrono::seconds unix_time() noexcept;

} // namespace portico::os
