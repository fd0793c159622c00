// When a program that takes its clients itself is started again: at once, unless it ends without
// having taken any, for then it would be started again and again for the same one.
#pragma once

#include "portico/base/instant.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace portico::serve {

// Who waited at a listening socket at one moment, or in a short while.
struct waiting_clients {
    std::uint64_t at_least = 0; // in all, counted before `who`
    std::uint64_t at_most = 0;  // and after it
    // What tells them apart, as far as it is known; 0: one that cannot be told from others.
    // nullopt: none of them can.
    std::optional<std::vector<std::uint64_t>> who{};
};
// Whether one of them has been accepted between the two, while others came. nullopt: it cannot be
// told, for only their numbers are known. One that has reset its connection while it waited is
// mistaken for one that was accepted. Time: n log n.
[[nodiscard]] std::optional<bool> has_taken(const waiting_clients& before,
                                            const waiting_clients& after);

// How a run of it went.
struct program_run {
    duration lasted{};
    bool started = true;   // false: it could not be executed
    bool is_waited = true; // somebody waits for it again
    // Whether it has taken something from its socket. nullopt: it cannot be told.
    std::optional<bool> took{};
};

class restart_pause {
public:
    // A run that lasted longer is never in vain: it does not eat up the processor.
    static constexpr duration short_run = std::chrono::seconds{1};
    static constexpr duration first = std::chrono::milliseconds{100};
    static constexpr duration longest = std::chrono::seconds{30};

    // How long to wait before the next start: 0 after a run that was not in vain, else `first`, and
    // twice as long after each further one in a row, up to `longest`.
    [[nodiscard]] duration handle_end(const program_run& run) noexcept;

    // Runs in vain since the last one that was not.
    [[nodiscard]] std::uint64_t in_vain() const noexcept { return in_vain_; }

private:
    std::uint64_t in_vain_ = 0;
};

} // namespace portico::serve
