// Which queries a small UDP service must not answer, so that nobody can turn it against others.
//
// Who sends a datagram may write any source into it. Two services that answer each other go on for
// ever (RFC 862 to 868 on one host are enough), and an answer longer than its query is a
// loudspeaker (RFC 4732 section 2.2.2.2).
#pragma once

#include "portico/base/instant.hpp"
#include "portico/ip/any_endpoint.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace portico::serve {

// Why a query was dropped; the order is the order in which they are looked at.
enum class drop : std::uint8_t {
    to_group,      // it came to a multicast or broadcast address: every host would answer
    no_source,     // a UNIX socket without a name: there is nowhere to answer to
    group_source,  // its source is no single host: multicast, broadcast, unspecified, reserved
    port_zero,     // no answer can be sent to port 0
    service_port,  // from port 7, 13, 17, 19 or 37: a service of this kind, which would answer back
    own_port,      // from the port that it came to: another one of us, which would answer back
    amplification, // the answer is longer than the query, and enough such were sent for now
    not_sent,      // the kernel did not take the answer
    denied,        // by an access rule
    limited,       // too many, or too fast, of one prefix
    full,          // as many are being answered as may be
    too_long,      // the answer does not fit into a datagram
};
inline constexpr std::size_t drop_reasons = 12;

// "to_group", "no_source", ...
[[nodiscard]] std::string_view to_text(drop why) noexcept;

// Whether a query from `from` must not be answered, whatever the service: it was not sent to us
// alone, and such are not heard; or its source is none that can be answered. IPv4-mapped sources
// are looked at as the IPv4 address they are.
[[nodiscard]] std::optional<drop> refuse_source(const ip::any_endpoint& from,
                                                bool to_group) noexcept;

// The same for the small services, to which nobody asks from their own port. Whether a query from
// `from`, that came to port `local_port`, must not be answered.
[[nodiscard]] std::optional<drop> refuse(const ip::any_endpoint& from, bool to_group,
                                         std::uint16_t local_port) noexcept;

// A bound for what a service adds to the bytes it gets: a bucket of `burst` bytes, filled with
// `rate` bytes a second. Answers not longer than their query are free.
class amplification_bound {
public:
    amplification_bound(std::uint64_t rate, std::uint64_t burst, instant now) noexcept
        : rate_{rate}, burst_{burst}, left_{burst}, filled_{now} {}

    // Whether `answer` bytes may be sent for `query` bytes, and if so takes the difference out.
    [[nodiscard]] bool allow(std::size_t query, std::size_t answer, instant now) noexcept;

private:
    std::uint64_t rate_;  // bytes a second, at most 2^32
    std::uint64_t burst_; // bytes
    std::uint64_t left_;  // bytes
    instant filled_;
};

// How many were dropped for each reason.
class drop_counters {
public:
    void count(drop why) noexcept { ++counts_[static_cast<std::size_t>(why)]; }
    [[nodiscard]] std::uint64_t of(drop why) const noexcept {
        return counts_[static_cast<std::size_t>(why)];
    }
    [[nodiscard]] std::uint64_t total() const noexcept;

private:
    std::array<std::uint64_t, drop_reasons> counts_{};
};

} // namespace portico::serve
