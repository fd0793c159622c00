// Time that passes only when a test says so.
#pragma once

#include "portico/base/deadline.hpp"

#include <stdexcept>

namespace portico::testkit {

// A clock for machines that are handed the time. Threads: the caller serialises.
class fake_clock {
public:
    // Far enough from zero that a test may look back.
    explicit fake_clock(instant start = instant{std::chrono::hours{1}}) noexcept
        : start_{start}, now_{start} {}

    [[nodiscard]] instant now() const noexcept { return now_; }
    // Time since the start: what a test compares with "250 ms".
    [[nodiscard]] duration elapsed() const noexcept { return now_ - start_; }

    // Throws std::invalid_argument for a negative step: this clock is monotonic.
    void advance(duration step) {
        if (step < duration::zero()) {
            throw std::invalid_argument{"a monotonic clock cannot go back"};
        }
        now_ += step;
    }
    // Goes to a deadline; one that has passed is now, and never() is std::invalid_argument.
    void advance_to(deadline until) {
        if (until.is_never()) {
            throw std::invalid_argument{"the time that never comes cannot be reached"};
        }
        now_ += until.remaining(now_);
    }

private:
    instant start_;
    instant now_;
};

} // namespace portico::testkit
