// One race for a connection (Happy Eyeballs version 2, RFC 8305). Decides; never dials.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/ip/select.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace portico::race {

using attempt_id = std::uint32_t; // 0, 1, 2, ... in order of start

struct config {
    // RFC 8305 section 5; clamped to the limits below. The RFC recommends no less than 100 ms, and
    // forbids less than 10 ms.
    duration attempt_delay = std::chrono::milliseconds{250};
    duration resolution_delay = std::chrono::milliseconds{50}; // RFC 8305 section 3; 0: none
    static constexpr duration min_attempt_delay = std::chrono::milliseconds{10};
    static constexpr duration max_attempt_delay = std::chrono::seconds{2};
    std::size_t first_family_count = 1; // RFC 8305 section 4; 0 is taken as 1
    std::size_t max_addresses = 64;     // more are dropped and counted; 0 is taken as 1
    std::uint16_t port = 0;
    deadline until = deadline::never(); // the race ends here, with what it has
    // An answer for A, for AAAA will come. With neither the race is decided at once.
    bool expect_v4 = true;
    bool expect_v6 = true;
};

// A NAT64 of this network (RFC 6052), and the source the kernel would use towards its addresses.
struct translator {
    ip::prefix through;
    std::optional<ip::source> from{}; // unset: it cannot be reached, so it is of no use
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
    instant ended; // for all but running
    outcome how = outcome::running;
    std::optional<error> why{}; // for failed
};

// How one question to the resolver went.
struct resolution_report {
    ip::family family = ip::family::v6;
    std::optional<instant> answered{}; // unset: no answer before the race ended
    std::vector<ip::address> found;    // each once, at most config::max_addresses
    std::optional<error> why{};        // set when it failed
};

// The whole race; complete once race::is_decided().
struct report {
    instant began;
    instant ended;
    std::optional<attempt_id> winner{};
    std::vector<resolution_report> resolutions; // AAAA, then A, of those expected
    std::vector<attempt_report> attempts;       // in order of start; attempts[id].id == id
    std::vector<ip::address> never_tried;       // found, but the race ended before their turn
    std::size_t dropped = 0;                    // addresses over max_addresses
    std::optional<error> why{};                 // set when there is no winner
};

// Call handle_*() with what happened, then poll_action() until empty, then poll_deadline(), and
// call handle_deadline() at that time at the latest. Once is_decided(), no further action comes but
// the abandons of the losers.
//
//            AAAA, or both, or the other failed
//   waiting ------------------------------------+--> racing --+-- connected ----------> decided
//      |                                        |             |                         (winner)
//      |  A first: resolution delay (50 ms)     |             +-- all failed, no more -> decided
//      +--> holding ----------------------------+             +-- until passed --------> decided
//              AAAA answered, or time is over                 +-- cancelled -----------> decided
//                                                                                        (none)
//
// What is tried, and when:
// - Addresses are sorted by RFC 6724 section 6, then their families alternate (RFC 8305 section 4).
//   Later answers are merged into what is not yet tried, and go on alternating from what was (RFC
//   8305 section 6). Those that cannot be reached (no source) come last, but come.
// - An address is tried once, however often it is found.
// - The next attempt starts attempt_delay after the one before it (RFC 8305 section 5), or as soon
//   as any attempt fails. A slow attempt is left to run until the race is decided.
// - The first answer starts the race at once if it is for AAAA and has an address that can be
//   reached; any other is held for resolution_delay, or until the other answer is there (RFC 8305
//   section 3).
//
// Without a winner, report::why is: std::errc::timed_out when `until` passed; std::errc::
// operation_canceled; errc::all_attempts_failed; or, when there was nothing to try, the resolver's
// own error: of two the one that may be temporary, then errc::name_not_found, then errc::no_address
// (which is also what empty answers mean).
//
// Errors: an attempt's failure is data, kept in the report; events for unknown or ended attempts
// and after the decision are ignored. An event that comes after `until` ends the race, but a
// connection that is there wins whatever the time. Memory: bounded by config::max_addresses.
// Threads: the caller serialises. Time: handle_addresses() and handle_nat64() quadratic in the
// addresses, everything else linear. A `now` before an earlier one is taken as the earlier one.
class race {
public:
    race(const config& how, instant now);

    // An answer of the resolver, in any order; `found` may be empty. Each place carries the source
    // the kernel would use. A further answer for the same family adds its addresses.
    void handle_addresses(instant now, ip::family which, std::span<const ip::destination> found);
    void handle_resolve_failed(instant now, ip::family which, const error& why);
    // The NAT64 translators that are known. From now on an IPv4 destination without a source is
    // replaced by its IPv6 addresses behind them; one that was tried already gets them in addition
    // (RFC 8305 section 7). Hand them in before the answers they are for, or the race may have been
    // lost by then.
    void handle_nat64(instant now, std::span<const translator> known);
    void handle_connected(instant now, attempt_id id);
    void handle_failed(instant now, attempt_id id, const error& why);
    void handle_deadline(instant now);
    // The user gave up.
    void handle_cancel(instant now);

    // What to do now; nullopt when there is nothing more.
    [[nodiscard]] std::optional<action> poll_action();
    // When something will be due; handle_deadline() then brings the race on. never() once decided,
    // or when only an event can. Precondition: poll_action() has returned nullopt.
    [[nodiscard]] deadline poll_deadline() const;

    [[nodiscard]] bool is_decided() const noexcept { return decided_; }
    [[nodiscard]] const report& story() const noexcept { return story_; }

private:
    void advance(instant now) noexcept;
    [[nodiscard]] resolution_report& question(ip::family which);
    [[nodiscard]] bool is_question_open() const noexcept;
    [[nodiscard]] bool is_known(const ip::address& which) const noexcept;
    void note_found(resolution_report& to, const ip::address& which);
    void admit(const ip::destination& place);
    [[nodiscard]] bool admit_translated(const ip::address& v4);
    void merge();
    void arrange();
    void begin_or_hold(ip::family which);
    [[nodiscard]] bool is_start_due() const noexcept;
    [[nodiscard]] start start_next();
    void settle();
    void decide(std::optional<attempt_id> winner, std::optional<error> why);
    [[nodiscard]] error resolver_error() const;
    [[nodiscard]] error attempts_error() const;

    config how_;
    report story_;
    instant now_;
    instant due_;                         // no attempt starts before
    std::optional<instant> held_until_{}; // the resolution delay
    bool begun_ = false;                  // the first addresses were held, or let go
    bool decided_ = false;
    std::size_t running_ = 0;
    attempt_id abandoned_ = 0;                   // attempts below this one need no abandon any more
    std::vector<ip::destination> untried_;       // in order of arrival, so that ties keep it
    std::vector<ip::address> order_;             // the same, in the order in which to try
    std::vector<ip::address> v4_without_source_; // for translators that become known
    std::vector<translator> translators_;
};

// Alternates families (RFC 8305 section 4) in a list sorted by preference, in place: `lead_left`
// more addresses of the family of `first`, then one of the other, one of `first`, and so on; when
// one family runs out, the rest of the other. Stable within a family.
void interleave(std::span<ip::destination> sorted, ip::family first, std::size_t lead_left);

} // namespace portico::race
