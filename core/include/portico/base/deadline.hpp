// The absolute time until which a call may wait.
#pragma once

#include "portico/base/instant.hpp"

#include <compare>

namespace portico {

// A point in time after which waiting ends, or never. Built once, at the edge, from a duration;
// passed on unchanged.
//
// Memory: one integer, trivially copyable. Threads: a value. Arithmetic saturates: after(now,
// duration::max()) is never(), it cannot wrap into the past.
class deadline {
public:
    // Waits for ever.
    static constexpr deadline never() noexcept { return deadline{instant::max()}; }
    static constexpr deadline at(instant when) noexcept { return deadline{when}; }
    // `now + wait`; a negative wait is a deadline that has already passed.
    static constexpr deadline after(instant now, duration wait) noexcept {
        if (wait > duration::zero() && now > instant::max() - wait) {
            return never();
        }
        if (wait < duration::zero() && now < instant::min() - wait) {
            return deadline{instant::min()};
        }
        return deadline{now + wait};
    }

    [[nodiscard]] constexpr bool is_never() const noexcept { return when_ == instant::max(); }
    [[nodiscard]] constexpr bool has_passed(instant now) const noexcept {
        return !is_never() && now >= when_;
    }
    // Time left, at least zero; duration::max() when there is no limit.
    [[nodiscard]] constexpr duration remaining(instant now) const noexcept {
        if (is_never()) {
            return duration::max();
        }
        if (now >= when_) {
            return duration::zero();
        }
        // The span from a time before the clock's start to one far after it may be too long.
        const bool fits = now >= instant{} || when_ <= instant::max() + now.time_since_epoch();
        return fits ? when_ - now : duration::max();
    }
    [[nodiscard]] constexpr instant when() const noexcept { return when_; }

    friend constexpr auto operator<=>(const deadline&, const deadline&) = default;

private:
    explicit constexpr deadline(instant when) noexcept : when_{when} {}

    instant when_;
};

} // namespace portico
