// How many connections a client may have open, and how fast it may open them, by the prefixes that
// its address lies in.
//
// What is kept: one exact entry for each prefix of each limited tier that has open connections or a
// bucket that is not full, in a hash table of fixed size. When the table is full, the entry that
// was used least recently among those without open connections goes, and what it owed goes into a
// sketch of the same tier: four rows of instants, of which a prefix has one cell each; a cell keeps
// the latest instant poured into it. An unknown prefix begins with the earliest of its four cells.
// Each row is cut into regions. A keyed hash of the address's /32 (IPv4: /16) chooses one region in
// each row, another hash of the prefix the cell in it.
//
// Why both: with the table alone a full table has only wrong answers for an unknown prefix. To
// forget an old one lets an attacker forget itself; to refuse shuts out everybody new. With a
// sketch alone open connections could not be counted exactly, nor ever be given back.
//
// The attack: somebody has an IPv6 /32, which is 2^32 networks of length 64 and 2^16 of length 48,
// and comes from another one each time.
//   - Nobody gets more than the limit. An entry with open connections is never evicted; what an
//     evicted one owed is never forgotten, as each of its cells keeps at least that. So for every
//     prefix, whatever others do, at most burst + time / interval connections are let in.
//   - Nobody is refused because the table is full: there is always an entry to evict, and who is
//     evicted keeps what it owed.
//   - It harms itself. The prefixes that share a cell inherit from each other, so in the end each
//     cell of its region behaves like one prefix, and all that it gets by rotating beyond the table
//     is (cells of a region) / interval connections a second: an unasked limit for its whole /32.
//     Its neighbours in the /32 share that. Who lets one customer's /48 rotate its 2^16 networks of
//     length 64 lets it do this to its provider's others, so limit the /48 along with the /64.
//   - It does not harm others. A newcomer from another /32 is refused for it only if its /32 shares
//     the region in all four rows: with R regions one in R^4, and R is about the square root of
//     `remembered` / 4 (the default 65,536 makes 128 regions, and one in 2.7 * 10^8). With the seed
//     unknown nobody can choose whom that hits. IPv4 and IPv6 tiers share no sketch.
//   - A refused connection makes no entry and owes nothing, and coarser tiers are asked first: what
//     a /48 may not do never reaches the table by its /64s.
// What no bounded memory can do: somebody with hundreds of /32s, who opens more connections a
// second than all cells of a row / interval, makes newcomers wait that are not in the table. Then
// the answer errs towards refusing, and never lets in too many. And 2^16 networks of length 48,
// each within its limit, are 2^16 clients: the gate (gate.hpp) bounds them all together.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/base/keyed_hash.hpp"
#include "portico/ip/address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::admit {

// From the coarsest to the finest of each family, the order in which they are asked.
enum class tier : std::uint8_t { v4_24, v4_32, v6_48, v6_56, v6_64, v6_128 };
inline constexpr std::size_t tiers = 6;

// "IPv4 /24", ...
[[nodiscard]] std::string_view to_text(tier which) noexcept;
[[nodiscard]] unsigned prefix_length(tier which) noexcept;

// A token bucket: `burst` connections at once, and then `count` for each `per`.
struct connection_rate {
    static constexpr duration longest_interval = std::chrono::hours{24}; // of per / count
    static constexpr std::uint32_t largest_burst = 10'000;

    std::uint32_t count = 1;
    duration per = std::chrono::seconds{1};
    std::uint32_t burst = 1;

    friend bool operator==(const connection_rate&, const connection_rate&) = default;
};

// What is wrong with a rate, as a sentence; nullopt when nothing is. The count and the burst are at
// least 1, the rest as above. rate_tiers takes a value outside for the nearest one inside.
[[nodiscard]] std::optional<std::string> find_fault(const connection_rate& rate);

struct tier_limit {
    std::optional<std::uint32_t> max_open{};
    std::optional<connection_rate> rate{};

    friend bool operator==(const tier_limit&, const tier_limit&) = default;
};

// Why a connection was refused.
enum class rate_refusal : std::uint8_t {
    full,     // as many connections are open as this object may hold; no tier is to blame
    max_open, // the prefix has as many open as it may
    rate,     // the prefix's bucket is empty
};
inline constexpr std::size_t rate_refusals = 3;

// "full", "max_open", "rate".
[[nodiscard]] std::string_view to_text(rate_refusal why) noexcept;

struct rate_verdict {
    bool let_in = false;
    rate_refusal why = rate_refusal::full; // of a refusal
    tier where = tier::v4_24;              // of a refusal that is not `full`

    friend bool operator==(const rate_verdict&, const rate_verdict&) = default;
};

struct rate_counts {
    std::uint64_t let_in = 0;
    std::uint64_t full = 0;
    std::array<std::uint64_t, tiers> max_open{};
    std::array<std::uint64_t, tiers> rate{};
    std::uint64_t evicted = 0;       // entries that owed nothing
    std::uint64_t poured = 0;        // entries that owed something, now in the sketch
    std::uint64_t unknown_ended = 0; // handle_ended() without a connection that was let in
};

// Time: O(1), one keyed hash for each limited tier and one more. Memory: all of it taken in the
// constructor, about 44 to 48 bytes an entry and 8 bytes a cell of a sketch; the entries are
// max_connections * (limited tiers of one family) + remembered, the cells at least `remembered` for
// each tier with a rate. Threads: the caller serialises.
class rate_tiers {
public:
    struct config {
        std::array<tier_limit, tiers> limits{}; // by tier; a tier without a limit costs nothing
        std::size_t max_connections = 0;        // open at once, for instance the gate's limit
        std::size_t remembered = 65'536;        // prefixes without open connections; at least 64

        [[nodiscard]] tier_limit& operator[](tier which) noexcept {
            return limits[static_cast<std::size_t>(which)];
        }
    };

    rate_tiers(const config& how, const hash_seed& seed);

    // A connection came. `from` is canonical (IPv4-mapped addresses are taken as IPv4 here, too);
    // its zone does not count. Let in: it counts as open in all its tiers and handle_ended() is
    // owed. Refused: nothing is kept of it but the count.
    [[nodiscard]] rate_verdict admit(instant now, const ip::address& from);
    // A connection from there that was let in has ended.
    void handle_ended(const ip::address& from);

    // Connections that are open.
    [[nodiscard]] std::size_t open() const noexcept { return open_; }
    // Entries in use, and how many there are. size() <= capacity() whatever comes.
    [[nodiscard]] std::size_t size() const noexcept { return used_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return entries_.size(); }
    // Memory taken, in bytes; it never changes.
    [[nodiscard]] std::size_t bytes() const noexcept;
    [[nodiscard]] const rate_counts& counts() const noexcept { return counts_; }

private:
    using index = std::uint32_t;

    struct slot {
        std::uint64_t high = 0; // the prefix
        std::uint64_t low = 0;
        instant due{};   // when the bucket is full again
        index next = 0;  // in the chain of its bucket, or of the free entries
        index newer = 0; // in the order of use, while nothing is open
        index older = 0;
        std::uint32_t open : 29 = 0;
        std::uint32_t where : 3 = 0; // the tier
    };

    // One tier's limits as they are compared.
    struct allowance {
        bool limited = false;
        bool has_rate = false;
        std::uint32_t max_open = 0;
        duration interval{};  // what one connection costs
        duration tolerance{}; // how far `due` may lie ahead for one more to come in
    };

    // A prefix of the address in question.
    struct place {
        std::size_t tier = 0;
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        std::uint64_t hash = 0;
        std::uint64_t region = 0; // hash of the /32 or the IPv4 /16
        index found = 0;
        instant due{};
    };
    // Those in the limited tiers, the coarsest first.
    struct places {
        std::array<place, 4> at{};
        std::size_t count = 0;
    };

    [[nodiscard]] places look_up(const ip::address& from) const noexcept;
    [[nodiscard]] std::array<std::size_t, 4> cells_of(std::uint64_t hash,
                                                      std::uint64_t region) const noexcept;
    [[nodiscard]] index find(const place& which) const noexcept;
    [[nodiscard]] rate_verdict refuse(rate_refusal why, std::size_t where) noexcept;
    [[nodiscard]] std::uint64_t hash_of(std::uint64_t high, std::uint64_t low,
                                        std::size_t where) const noexcept;
    void make(const place& which, instant now) noexcept;
    [[nodiscard]] index take_entry(instant now) noexcept;
    void release(index which) noexcept;
    void rest(index which) noexcept;
    void wake(index which) noexcept;
    void pour(const slot& which) noexcept;
    [[nodiscard]] instant poured(const place& which) const noexcept;

    std::array<allowance, tiers> bounds_{};
    hash_seed seed_;
    std::size_t max_connections_;
    std::vector<slot> entries_;
    std::vector<index> heads_; // of the chains; their count is a power of two
    std::array<std::vector<instant>, tiers> sketches_;
    std::size_t regions_ = 1;     // of a row; a power of two, as the next
    std::size_t region_size_ = 1; // cells of a region
    index free_;
    index newest_; // of the entries with nothing open
    index oldest_;
    std::size_t used_ = 0;
    std::size_t open_ = 0;
    rate_counts counts_;
};

} // namespace portico::admit
