// One race for a connection (Happy Eyeballs version 2, RFC 8305). Decides; never dials.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/ip/select.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace portico::race {

using attempt_id = std::uint32_t; // 0, 1, 2, ... in order of start

struct config {
    duration attempt_delay =
        std::chrono::milliseconds{250}; // RFC 8305 section 5; clamped to [min, max] below
    duration resolution_delay = std::chrono::milliseconds{50}; // RFC 8305 section 3
    static constexpr duration min_attempt_delay = std::chrono::milliseconds{10};
    static constexpr duration max_attempt_delay = std::chrono::seconds{2};
    std::size_t first_family_count = 1; // RFC 8305 section 4
    std::size_t max_addresses = 64;     // more are dropped and counted
    std::uint16_t port = 0;
    deadline until = deadline::never(); // the race ends here, with what it has
    bool expect_v4 = true;              // an answer for A will come
    bool expect_v6 = true;              // an answer for AAAA will come
};

struct start { // begin to connect
    attempt_id id = 0;
    ip::endpoint to;
};
struct abandon { // close this attempt's socket; no event about it is wanted any more
    attempt_id id = 0;
};
using action = std::variant<start, abandon>;

// How one attempt went. Times are absolute.
struct attempt_report {
    enum class outcome : std::uint8_t { running, won, failed, abandoned };
    attempt_id id = 0;
    ip::endpoint to;
    instant started;
    instant ended;
    outcome how = outcome::running;
    std::optional<error> why{}; // for failed
};

// How one question to the resolver went.
struct resolution_report {
    ip::family family = ip::family::v6;
    std::optional<instant> answered{}; // unset: no answer before the race ended
    std::vector<ip::address> found;
    std::optional<error> why{};
};

// The whole race; complete once race::is_decided().
struct report {
    instant began;
    instant ended;
    std::optional<attempt_id> winner{};
    std::vector<resolution_report> resolutions;
    std::vector<attempt_report> attempts; // in order of start
    std::vector<ip::address> never_tried; // found, but the race ended before their turn
    std::size_t dropped = 0;              // addresses over max_addresses
    std::optional<error> why{};           // set when there is no winner
};

// Call handle_*() with what happened, then poll_action() until empty, then poll_deadline() and call
// handle_deadline() at that time at the latest. Once is_decided(), no further action comes but the
// abandons of the losers.
//
//                 +-- resolution delay (50 ms) --+
//   waiting ------+ A first                      +--> racing --+-- connected ----------> decided
//   (winner)
//           AAAA, or both, or the other failed ------>         +-- all failed, no more -> decided
//           (none)
//                                                              +-- until passed --------> decided
//                                                              (none)
//
// Errors: an attempt's failure is data, kept in report(); events for unknown or ended attempts are
// ignored. Memory: bounded by config::max_addresses. Threads: the caller serialises. Time: each
// call linear in addresses.
class race {
public:
    race(const config& how, instant now);

    // An answer of the resolver, in any order; `found` may be empty. Each place carries the source
    // the kernel would use.
    void handle_addresses(instant now, ip::family which, std::span<const ip::destination> found);
    void handle_resolve_failed(instant now, ip::family which, const error& why);
    void handle_connected(instant now, attempt_id id);
    void handle_failed(instant now, attempt_id id, const error& why);
    void handle_deadline(instant now);
    // The user gave up: decides with errc operation_canceled.
    void handle_cancel(instant now);

    [[nodiscard]] std::optional<action> poll_action();
    [[nodiscard]] deadline poll_deadline() const;

    [[nodiscard]] bool is_decided() const noexcept;
    [[nodiscard]] const report& story() const noexcept;

private:
    // (the owner of this room fills this in)
};

} // namespace portico::race
