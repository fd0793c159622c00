// The targets of a relay, and which of them gets the next connection.
#pragma once

#include "portico/base/keyed_hash.hpp"
#include "portico/relay/target_health.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::relay {

// Index of a target in its balancer; the same for as long as the target is there or has
// connections.
using target_id = std::uint32_t;

// A target as configured, or as an SRV record says it.
struct target_wish {
    std::string name; // as written; who keeps its name is the same target
    std::uint16_t weight = 1;
    std::uint16_t priority = 0; // RFC 2782: the lowest that can be reached gets everything
    std::vector<ip::any_endpoint> addresses; // may be empty, until it is resolved
};

enum class policy : std::uint8_t {
    round_robin,       // smooth: the turns of a heavy target are spread
    least_connections, // for its weight; among equals, round robin
    hash,              // the same target for the same client, as long as it can be reached
};
// "round-robin", "least-connections" or "hash"; nullopt for anything else.
[[nodiscard]] std::string_view to_text(policy which) noexcept;
[[nodiscard]] std::optional<policy> parse_policy(std::string_view text) noexcept;

struct balancer_settings {
    relay::policy policy = policy::round_robin;
    health_settings health{};
    std::size_t capacity = 256; // targets, with those that are gone but have connections
};

struct target_choice {
    target_id id = 0;
    way_set over;          // the ways to try now; never empty
    bool is_panic = false; // none of those left is healthy; this is the least bad one
};

// One target for a status page.
struct target_state {
    struct way_state {
        bool has_addresses = false;
        way_health::condition condition = way_health::condition::up;
        deadline retry_at = deadline::never(); // the next trial, while it rests
        std::uint32_t failures = 0;            // in a row
        std::uint64_t connected = 0;
        std::uint64_t failed = 0; // attempts
        std::uint64_t checks_passed = 0;
        std::uint64_t checks_failed = 0;
        std::optional<error> last_error{};
    };
    target_id id = 0;
    std::string name;
    std::uint16_t weight = 1;
    std::uint16_t priority = 0;
    bool is_leaving = false; // not chosen any more; its last connections go on
    std::size_t addresses = 0;
    std::uint64_t chosen = 0;
    std::uint32_t joining = 0; // chosen, and neither opened nor given up
    std::uint32_t active = 0;
    std::array<way_state, ways> over{};
};

struct balancer_counts {
    std::uint64_t panics = 0;         // choices of targets that are not healthy
    std::uint64_t none_left = 0;      // every target was tried, or has no address
    std::uint64_t without_place = 0;  // targets left out as the capacity was used up
    std::uint64_t unknown_target = 0; // reports about an id that is nobody's
};

// The choice. Each choose() that gave a target is followed by exactly one handle_opened() or
// handle_given_up() for it, and an opened one by one handle_closed(), also when the target has
// been taken out meanwhile. In between handle_failed() for each attempt that failed.
//
// With `hash` a client keeps its target when others come, go, fail or recover (rendezvous hashing,
// Thaler and Ravishankar, 1998): only the clients of the target concerned move. Two balancers with
// the same seed and names agree.
//
// A weight of 0 counts as a hundredth of 1: RFC 2782 wants a very small chance for it.
//
// Time: choose() linear in the number of targets times that of those tried, no allocation; reports
// O(1). Memory: by capacity, about 700 bytes a target. Threads: the caller serialises.
class balancer {
public:
    balancer(const balancer_settings& how, const hash_seed& seed);

    // These are the targets from now on. Those whose name was there before keep id, counts and
    // health (see handle_addresses()); those not named are not chosen any more. Of equal names
    // each is a target of its own. Beyond the capacity targets are left out, those last in order.
    // The id of each wish; nullopt for those left out.
    std::vector<std::optional<target_id>> handle_targets(std::span<const target_wish> wishes);
    // One target was resolved again. A way keeps its health while one of its addresses stays;
    // with only new ones it begins afresh. An id that is nobody's changes nothing.
    void handle_addresses(target_id id, std::span<const ip::any_endpoint> addresses);

    // The target for a client, not one of `tried`: of the lowest priority that has a healthy one,
    // by the policy. nullopt when all that have addresses were tried. `client`: its canonical
    // address; the port does not count.
    [[nodiscard]] std::optional<target_choice> choose(instant now, const ip::any_endpoint& client,
                                                      std::span<const target_id> tried);
    // A chosen target was connected over `which`.
    void handle_opened(target_id id, way which);
    // A chosen one was not: all its addresses failed, or the client went away.
    void handle_given_up(target_id id);
    void handle_closed(target_id id);
    // One attempt failed. Errors of this host's own are counted, but are not held against it.
    void handle_failed(instant now, target_id id, way which, const error& why);
    // An active check is done. Checks are due for all ways that have addresses.
    void handle_check(target_id id, way which, bool passed);

    // The ways that have addresses and are healthy, or whose trial is due.
    [[nodiscard]] way_set usable(instant now, target_id id) const noexcept;
    // The addresses, as given; empty for an id that is nobody's.
    [[nodiscard]] std::span<const ip::any_endpoint> addresses(target_id id) const noexcept;
    // By id.
    [[nodiscard]] std::vector<target_state> snapshot() const;
    [[nodiscard]] const balancer_counts& counts() const noexcept { return counts_; }

private:
    struct target {
        target_wish wish;
        std::uint64_t name_hash = 0;
        std::int64_t weight = 1;   // scaled
        std::int64_t standing = 0; // smooth weighted round robin: the highest is next
        std::array<way_health, ways> health{};
        way_set reachable; // ways that have addresses
        way_set over;      // what a choice could use; empty: not a candidate of this one
        bool in_use = false;
        bool is_leaving = false;
        std::uint32_t joining = 0;
        std::uint32_t active = 0;
        std::uint64_t chosen = 0;
        std::array<target_state::way_state, ways> counts{};
    };
    using group = std::span<const target_id>; // live ones of one priority

    // nullptr, and counted, when it is nobody's.
    [[nodiscard]] target* known(target_id id) noexcept;
    [[nodiscard]] std::optional<target_id>
    named(std::string_view name, std::span<const std::optional<target_id>> taken) const;
    bool let_go_but(std::span<const std::optional<target_id>> kept);
    [[nodiscard]] std::optional<target_id> begin(const std::string& name);
    bool keep(target& which, const target_wish& wish);
    static void set_addresses(target& which, std::span<const ip::any_endpoint> addresses);
    static void forget_if_over(target& which);
    [[nodiscard]] static way_set usable(instant now, const target& which) noexcept;
    // Sets `over` of each; whether any is a candidate.
    bool gather(instant now, group among, std::span<const target_id> tried) noexcept;
    [[nodiscard]] target_id pick(const ip::any_endpoint& client, group among) noexcept;
    [[nodiscard]] target_id next_turn(group among) noexcept;
    void keep_least_loaded(group among) noexcept;
    [[nodiscard]] target_id closest(const ip::any_endpoint& client, group among) const noexcept;
    [[nodiscard]] std::optional<target_id> least_bad(std::span<const target_id> tried) noexcept;
    [[nodiscard]] target_choice chosen(instant now, target_id id, bool is_panic) noexcept;

    balancer_settings how_;
    hash_seed seed_;
    std::vector<target> targets_;
    std::vector<target_id> live_; // by priority, then in the order given
    balancer_counts counts_;
};

} // namespace portico::relay
