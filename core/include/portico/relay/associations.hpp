// The clients of a UDP relay: datagrams have no connections, so a bounded table remembers who is
// talking, and forgets who is not.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/keyed_hash.hpp"
#include "portico/ip/endpoint.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::relay {

// Who talks to which of our addresses. As received: answers go to `client` from `local`.
struct association_key {
    ip::endpoint client;
    ip::endpoint local;

    friend bool operator==(const association_key&, const association_key&) = default;
};

// A place in the table, for one association only: who takes the place later has another
// generation.
struct association_id {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;

    friend bool operator==(association_id, association_id) = default;
};

struct association_settings {
    std::size_t capacity = 4096; // at most 2^31; 0: none
    // Of one /32 of IPv4, or one `v6_prefix` of IPv6; 0: no limit.
    std::size_t max_per_prefix = 256;
    unsigned v6_prefix = 64; // at most 128
    // Without a datagram in either direction. RFC 4787 section 4.3 wants two minutes at least for a
    // conversation.
    duration idle = std::chrono::minutes{2};
    duration idle_unproven = std::chrono::seconds{30};
};

// Why an association ended, or did not begin.
enum class association_drop : std::uint8_t {
    expired,     // idle for too long
    evicted,     // the longest idle, as a place was needed
    closed,      // by handle_closed()
    full,        // did not begin: all places are taken by conversations
    prefix_full, // did not begin: all places of its prefix are
};
inline constexpr std::size_t association_drops = 5;
// "expired", "evicted", ...
[[nodiscard]] std::string_view to_text(association_drop why) noexcept;

struct association_counts {
    std::uint64_t opened = 0;
    std::array<std::uint64_t, association_drops> dropped{};

    [[nodiscard]] std::uint64_t of(association_drop why) const noexcept {
        return dropped[static_cast<std::size_t>(why)];
    }
};

// What is known of a datagram's sender.
struct association_found {
    association_id id;
    bool is_new = false;
    std::optional<association_id> evicted{}; // it has ended to make room: close what belongs to it
};

// The table.
//
//     (datagram) --> unproven --answered, and another datagram--> conversation
//                       |  idle_unproven, or evicted                  |  idle
//                       +-----------------> gone <--------------------+
//
// When it is full, or a prefix has all it may have, the longest idle unproven association makes
// room for the new one: of all, or of that prefix. Conversations never do; when there is nothing
// else, the new one is refused. For the source of a datagram is easily forged: with refusals alone
// a stranger fills the table with senders who do not exist, and with evictions of anybody he throws
// out all who do. A single question and its answer (DNS) leave an unproven association, which is
// what may go first. Who sends to himself through one of his own addresses is bound by
// max_per_prefix. Prefixes are counted by the canonical address.
//
// Time: O(1) expected, with a keyed hash. Memory: all of it in the constructor, about 180 bytes
// for each of `capacity`. Threads: the caller serialises. A `now` before an earlier one counts as
// that one.
class associations {
public:
    // The settings outside their limits are brought to the nearest one.
    associations(const association_settings& how, const hash_seed& seed);

    // A client has sent a datagram: its association, which begins if there is none. The error is
    // `full` or `prefix_full`.
    [[nodiscard]] tl::expected<association_found, association_drop>
    handle_datagram(instant now, const association_key& from);
    // Its target has answered. False: it is over, the answer is for nobody.
    bool handle_answer(instant now, association_id id);
    // The driver ends it. False: it was over.
    bool handle_closed(association_id id);

    // The next one whose time is over; it has ended. nullopt when there is none.
    [[nodiscard]] std::optional<association_id> poll_expired(instant now);
    // When poll_expired() will have one; never() when the table is empty.
    [[nodiscard]] deadline poll_deadline() const noexcept;

    [[nodiscard]] std::optional<association_id> find(const association_key& from) const noexcept;
    // nullptr when it is over. Valid until the next change.
    [[nodiscard]] const association_key* key(association_id id) const noexcept;
    // Precondition: key(id) is not nullptr.
    [[nodiscard]] bool is_conversation(association_id id) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return places_.size(); }
    [[nodiscard]] const association_counts& counts() const noexcept { return counts_; }

private:
    static constexpr std::uint32_t nowhere = UINT32_MAX;
    struct links {
        std::uint32_t previous = nowhere;
        std::uint32_t next = nowhere;
    };
    struct list { // of places; what is longest idle comes first
        std::uint32_t first = nowhere;
        std::uint32_t last = nowhere;
    };
    enum class state : std::uint8_t { unused, asked, answered, conversing };
    struct place {
        association_key key;
        instant last{}; // datagram
        std::uint32_t generation = 0;
        std::uint32_t next_in_bucket = nowhere; // or the next unused one
        std::uint32_t prefix = nowhere;
        links by_age; // in unproven_ or conversations_
        links of_kin; // the unproven ones of its prefix
        state now = state::unused;
    };
    struct prefix_count {
        ip::address base;
        std::uint32_t next_in_bucket = nowhere; // or the next unused one
        std::uint32_t count = 0;
        list unproven;
    };

    template <links place::*Which>
    void append(list& to, std::uint32_t index);
    template <links place::*Which>
    void remove(list& from, std::uint32_t index);

    [[nodiscard]] ip::address prefix_of(const ip::endpoint& client) const noexcept;
    [[nodiscard]] std::size_t bucket_of(const association_key& key) const noexcept;
    [[nodiscard]] std::size_t bucket_of(const ip::address& base) const noexcept;
    [[nodiscard]] std::uint32_t find_prefix(const ip::address& base) const noexcept;
    [[nodiscard]] bool is_open(association_id id) const noexcept;
    [[nodiscard]] association_id id_of(std::uint32_t index) const noexcept;
    [[nodiscard]] instant latest(instant now) noexcept;
    void touch(std::uint32_t index, instant now, state becomes);
    [[nodiscard]] tl::expected<std::optional<association_id>, association_drop>
    make_room(std::uint32_t prefix);
    [[nodiscard]] std::uint32_t open(const association_key& key, const ip::address& base);
    void end(std::uint32_t index, association_drop why);
    void leave_prefix(std::uint32_t prefix);

    association_settings how_;
    hash_seed seed_;
    std::vector<place> places_;
    std::vector<std::uint32_t> buckets_; // a power of two
    std::vector<prefix_count> prefixes_;
    std::vector<std::uint32_t> prefix_buckets_;
    std::uint32_t unused_ = nowhere;
    std::uint32_t unused_prefix_ = nowhere;
    list unproven_;
    list conversations_;
    std::size_t size_ = 0;
    instant now_ = instant::min();
    association_counts counts_;
};

} // namespace portico::relay
