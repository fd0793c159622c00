// What the kernel counts when a connection is lost before accept(2): the evidence that a handover
// lost nobody.
#pragma once

#include "portico/os/socket.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace portico::os {

// What TCP has counted in a network namespace, over all its sockets, since it was made. A counter
// that this kernel does not have is unset.
struct tcp_counters {
    std::optional<std::uint64_t> listen_overflows; // an accept queue was full (ListenOverflows)
    std::optional<std::uint64_t>
        listen_drops; // requests dropped, full queues included (ListenDrops)
    std::optional<std::uint64_t> request_drops;  // SYN dropped, too many half-way (TCPReqQFullDrop)
    std::optional<std::uint64_t> resets_sent;    // OutRsts
    std::optional<std::uint64_t> cookies_sent{}; // instead of keeping a request (SyncookiesSent)
    std::optional<std::uint64_t> request_cookies{}; // for too many half-way (TCPReqQFullDoCookies)
    std::optional<std::uint64_t> reverse_path{};    // dropped by rp_filter (IPReversePathFilter)
    friend bool operator==(const tcp_counters&, const tcp_counters&) = default;
};

// What was counted between two readings. Unset where one of them is unset, and where the later one
// is less, as of another namespace.
[[nodiscard]] tcp_counters difference(const tcp_counters& before,
                                      const tcp_counters& after) noexcept;

// Reads the texts of /proc/net/netstat and /proc/net/snmp (proc(5)), which are pairs of lines:
// names and then numbers. A pair that is not as many numbers as names is not believed.
[[nodiscard]] tcp_counters parse_tcp_counters(std::string_view netstat,
                                              std::string_view snmp) noexcept;

// Those of this thread's network namespace, now. ENOENT and the like when /proc is not there or may
// not be read.
[[nodiscard]] sys_result<tcp_counters> read_tcp_counters();

} // namespace portico::os
