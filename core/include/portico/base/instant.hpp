// Points in time as core sees them: values that are handed in, never read from a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace portico {

// The clock type of every time point in portico. It has no now(): code in core cannot read time.
// The only maker of instants from the real clock is os::now(); tests make them from durations.
struct monotonic {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::duration<rep, period>;
    using time_point = std::chrono::time_point<monotonic>;
    static constexpr bool is_steady = true;
};

// A point on the monotonic clock, in nanoseconds since an unspecified start (on Linux:
// CLOCK_MONOTONIC).
using instant = monotonic::time_point;

// A span of time in nanoseconds.
using duration = monotonic::duration;

} // namespace portico
