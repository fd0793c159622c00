// Socket options.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"
#include "socket/keepalive.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace portico::os {
namespace {

sys_status set_number(int s, int level, int option, int value) noexcept {
    return status_of(::setsockopt(s, level, option, &value, sizeof value));
}

sys_status change_membership(int s, const ip::address& group, std::uint32_t interface, int how_v4,
                             int how_v6) noexcept {
    if (group.is_v4()) {
        ip_mreqn asked{};
        const auto bytes = group.to_v4();
        std::memcpy(&asked.imr_multiaddr, bytes.data(), bytes.size());
        asked.imr_ifindex = static_cast<int>(interface);
        return status_of(::setsockopt(s, IPPROTO_IP, how_v4, &asked, sizeof asked));
    }
    ipv6_mreq asked{};
    const auto bytes = group.to_v6();
    std::memcpy(&asked.ipv6mr_multiaddr, bytes.data(), bytes.size());
    asked.ipv6mr_interface = interface;
    return status_of(::setsockopt(s, IPPROTO_IPV6, how_v6, &asked, sizeof asked));
}

constexpr long long ceil_divide(long long what, long long by) noexcept {
    return what <= 0 ? 0 : (what + by - 1) / by;
}

} // namespace

sys_status set_v6only(const fd& s, bool on) noexcept {
    return set_number(s.raw(), IPPROTO_IPV6, IPV6_V6ONLY, on ? 1 : 0);
}

sys_status set_reuse_address(const fd& s, bool on) noexcept {
    return set_number(s.raw(), SOL_SOCKET, SO_REUSEADDR, on ? 1 : 0);
}

sys_status set_reuse_port(const fd& s, bool on) noexcept {
    return set_number(s.raw(), SOL_SOCKET, SO_REUSEPORT, on ? 1 : 0);
}

sys_status set_freebind(const fd& s, ip::family which) noexcept {
    if (which == ip::family::v6) {
        const auto done = set_number(s.raw(), IPPROTO_IPV6, IPV6_FREEBIND, 1);
        if (done || done.error().value() != ENOPROTOOPT) {
            return done;
        }
        // Before Linux 4.15 the IPv4 option was the one for both.
    }
    return set_number(s.raw(), IPPROTO_IP, IP_FREEBIND, 1);
}

sys_status set_bind_to_device(const fd& s, std::string_view interface) noexcept {
    if (interface.size() >= IF_NAMESIZE) {
        return failure(ENODEV); // the kernel would cut it and bind to another one
    }
    return status_of(::setsockopt(s.raw(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                                  static_cast<socklen_t>(interface.size())));
}

sys_status set_bind_address_no_port(const fd& s) noexcept {
    return set_number(s.raw(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

sys_status set_receive_packet_info(const fd& s, ip::family which) noexcept {
    return which == ip::family::v4 ? set_number(s.raw(), IPPROTO_IP, IP_PKTINFO, 1)
                                   : set_number(s.raw(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

sys_status set_multicast_all(int s, ip::family which, bool on) noexcept {
    return which == ip::family::v4 ? set_number(s, IPPROTO_IP, IP_MULTICAST_ALL, on ? 1 : 0)
                                   : set_number(s, IPPROTO_IPV6, IPV6_MULTICAST_ALL, on ? 1 : 0);
}

sys_status join_group(int s, const ip::address& group, std::uint32_t interface) noexcept {
    return change_membership(s, group, interface, IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP);
}

sys_status leave_group(int s, const ip::address& group, std::uint32_t interface) noexcept {
    return change_membership(s, group, interface, IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP);
}

sys_status set_no_delay(int s, bool on) noexcept {
    return set_number(s, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

sys_status set_linger_reset(int s) noexcept {
    const linger at_once{1, 0};
    return status_of(::setsockopt(s, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
}

std::optional<keepalive_times> share_out(long long limit) noexcept {
    constexpr long long most_seconds = 32767; // MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of Linux
    if (limit < 1 || limit > INT_MAX / 1000) {
        return std::nullopt;
    }
    // Beyond most_seconds of idling, the rest is for probes: more of them when three are too few.
    const long long beyond = std::max(0LL, limit - most_seconds);
    const long long count =
        limit < 4 ? std::max(1LL, limit - 1) : std::max(3LL, ceil_divide(beyond, most_seconds));
    const long long interval = std::max({1LL, limit / (2 * count), ceil_divide(beyond, count)});
    const long long idle = std::max(1LL, limit - interval * count);
    return keepalive_times{static_cast<int>(idle), static_cast<int>(interval),
                           static_cast<int>(count)};
}

// With TCP_USER_TIMEOUT set Linux does not count keepalive probes: each time the keepalive timer
// fires, which is at idle, idle + interval, idle + 2 * interval and so on, it gives up if a probe
// is out and nothing has come for the user timeout (tcp(7) says that the timeout overrides
// keepalive). As the last of those moments is the limit itself, both rules end at the same time;
// were it not, the end would slip to the next multiple of the interval.
sys_status set_dead_after(int s, std::chrono::seconds limit) noexcept {
    const auto times = share_out(limit.count());
    if (!times) {
        return failure(EINVAL);
    }
    const struct {
        int level, option, value;
    } settings[] = {
        {IPPROTO_TCP, TCP_KEEPIDLE, times->idle},
        {IPPROTO_TCP, TCP_KEEPINTVL, times->interval},
        {IPPROTO_TCP, TCP_KEEPCNT, times->count},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(limit.count() * 1000)},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    for (const auto& [level, option, value] : settings) {
        if (auto done = set_number(s, level, option, value); !done) {
            return done;
        }
    }
    return {};
}

sys_status set_buffers(int s, int bytes) noexcept {
    if (auto done = set_number(s, SOL_SOCKET, SO_RCVBUF, bytes); !done) {
        return done;
    }
    return set_number(s, SOL_SOCKET, SO_SNDBUF, bytes);
}

sys_status set_fast_open(int s, int pending) noexcept {
    return set_number(s, IPPROTO_TCP, TCP_FASTOPEN, pending);
}

} // namespace portico::os
