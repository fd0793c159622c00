// Whether a target can be reached one way: over IPv4, over IPv6, or through a UNIX socket.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"

#include <chrono>
#include <cstdint>
#include <string_view>

namespace portico::relay {

// The ways to a target that fail on their own.
enum class way : std::uint8_t { v4, v6, local };
inline constexpr std::size_t ways = 3;
// "ipv4", "ipv6" or "unix".
[[nodiscard]] std::string_view to_text(way which) noexcept;
[[nodiscard]] constexpr way way_of(ip::family which) noexcept {
    return which == ip::family::v4 ? way::v4 : way::v6;
}
// Precondition: `at` is not std::monostate.
[[nodiscard]] way way_of(const ip::any_endpoint& at) noexcept;

// Some of the ways.
class way_set {
public:
    constexpr way_set() noexcept = default;
    constexpr way_set& add(way which) noexcept {
        bits_ = static_cast<std::uint8_t>(bits_ | bit(which));
        return *this;
    }
    [[nodiscard]] constexpr bool has(way which) const noexcept { return (bits_ & bit(which)) != 0; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    friend constexpr bool operator==(way_set, way_set) = default;

private:
    [[nodiscard]] static constexpr unsigned bit(way which) noexcept {
        return 1U << static_cast<unsigned>(which);
    }
    std::uint8_t bits_ = 0;
};

struct health_settings {
    std::uint32_t failures = 3; // that many connects failed in a row: down. 0: they do not count
    duration first_back_off = std::chrono::seconds{1};
    duration max_back_off = std::chrono::seconds{60}; // at least the first one
    std::uint32_t rise = 2; // checks passed in a row until it is up again; 0 means 1
    std::uint32_t fall = 3; // checks failed in a row until it is down; 0 means 1
};

// Whether an error of a connect says something about the target. Not when this host had no
// descriptor, memory, or local port for it, or was not allowed to try.
[[nodiscard]] bool speaks_of_target(const error& why) noexcept;

// The health of one way to one target, from connects of clients (passive) and checks (active).
//
//           N connects failed in a row           back-off over, and chosen
//     up ------------------------------> resting --------------------------> on_trial
//     ^ ^  connected, or checks passed      | ^        failed: twice as long     |
//     | +-----------------------------------+ +----------------------------------+
//     |   (of a trial that never reports, another is made after the back-off)
//     |              checks failed in a row, in any state
//     +------------- unfit <---------------------------------
//      checks passed in a row; a connect that worked counts as one
//
// Time: O(1). Memory: 48 bytes. Threads: a value.
class way_health {
public:
    enum class condition : std::uint8_t { up, resting, on_trial, unfit };

    // Up, or a trial is due.
    [[nodiscard]] bool is_usable(instant now) const noexcept {
        return !unfit_ && (back_off_ == duration::zero() || now >= retry_at_);
    }
    // A client's connection is about to try it.
    void handle_chosen(instant now) noexcept;
    void handle_connected(const health_settings& how) noexcept;
    // Precondition: speaks_of_target() of its error.
    void handle_failed(instant now, const health_settings& how) noexcept;
    void handle_check(const health_settings& how, bool passed) noexcept;

    [[nodiscard]] condition state() const noexcept;
    // When the next trial is due; never unless resting or on trial.
    [[nodiscard]] deadline retry_at() const noexcept;
    // Connects failed in a row, as far as counted.
    [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }
    // Which of two that cannot be used is the less bad one: one that rests before one that checks
    // found unfit, then whose trial is due first.
    [[nodiscard]] bool is_less_bad_than(const way_health& other) const noexcept;

private:
    void come_up() noexcept { *this = {}; }
    void rest(instant now, duration how_long) noexcept;

    duration back_off_{}; // zero: not resting
    instant retry_at_{};
    std::uint32_t failures_ = 0;
    std::uint32_t checks_in_row_ = 0; // of the last outcome
    bool last_check_passed_ = true;
    bool trial_ = false;
    bool unfit_ = false;
};

// "up", "resting", "on trial" or "unfit".
[[nodiscard]] std::string_view to_text(way_health::condition which) noexcept;

} // namespace portico::relay
