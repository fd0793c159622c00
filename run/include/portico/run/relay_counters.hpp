// What a relay has counted: for its status, and for Prometheus.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/wire/proxy_header.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

namespace portico::run {

// Why a connection ended, or was not let in.
enum class relay_end : std::uint8_t {
    both_ended,    // as it should
    client_failed, // it was reset, or given up
    target_failed,
    idle,
    half_closed,
    client_gone, // while its target was being connected
    no_target,   // none could be connected
    no_memory,   // or no descriptor
    bad_header,  // PROXY protocol
    header_late,
    untrusted, // a PROXY header from somebody who may not send one
    denied,    // by an access rule
    limited,   // too many, or too fast, of one prefix
    full,      // the limit of connections
    stopped,
    egress_gone, // the device or address of outgoing connections
};
constexpr std::size_t relay_ends = 16;
[[nodiscard]] std::string_view to_text(relay_end why) noexcept;
// Errors that are the numbers of untrusted, denied, limited and full, why a client was not let in;
// each is std::errc::permission_denied.
[[nodiscard]] const std::error_category& refusal_category() noexcept;
[[nodiscard]] inline std::error_code refusal(relay_end why) noexcept {
    return {static_cast<int>(why), refusal_category()};
}

// A number that one thread counts and others read.
class tally {
public:
    void add(std::uint64_t more = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    void take() noexcept {
        value_.store(value_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint64_t> value_{0};
};

enum class relay_family : std::uint8_t { v4, v6, local };
constexpr std::size_t relay_families = 3;

struct relay_flow_counters {
    tally accepted;
    tally active;
    tally received; // bytes from clients
    tally sent;     // bytes to clients
    std::array<tally, relay_ends> ended;
};

// Times of connects that worked: bucket i counts those below 2^i x 16 us, the last one all others.
constexpr std::size_t connect_buckets = 20;
[[nodiscard]] constexpr duration connect_bucket_limit(std::size_t bucket) noexcept {
    return std::chrono::microseconds{16} * (std::int64_t{1} << bucket);
}

struct relay_target_counters {
    std::array<tally, relay_families> connected;
    std::array<tally, relay_families> failed; // attempts
    std::array<tally, connect_buckets> connect_time;
    tally connect_time_sum; // microseconds
};

// Of one engine. Memory: 400 bytes for each listener, 300 for each target. Threads: one writes, any
// read.
struct relay_counters {
    relay_counters(std::size_t listeners, std::size_t target_count)
        : flows(listeners), targets(target_count) {}

    // By listener (index of the wish) and family of the client.
    std::vector<std::array<relay_flow_counters, relay_families>> flows;
    std::vector<relay_target_counters> targets;
    tally accept_failed;
    tally shed;
    std::array<tally, wire::proxy_header_refusals> bad_headers; // by reason
    tally times_full;    // times that the limit of connections was reached
    tally buffers_short; // times that reading had to wait for a buffer
    tally ends_untold;   // ends that were not told, as the teller's queue was full
};

} // namespace portico::run
