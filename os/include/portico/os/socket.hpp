// The socket calls, each named after its call: no policy, no loop but the one around EINTR.
//
// All calls return the errno of a failure as std::error_code in std::system_category(). All
// descriptors are made close-on-exec. Nothing here raises SIGPIPE. Threads: safe for distinct
// descriptors.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/service.hpp"
#include "portico/os/fd.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace portico::os {

template <class T>
using sys_result = tl::expected<T, std::error_code>;
using sys_status = tl::expected<void, std::error_code>;

// A socket address as the kernel takes it.
struct sockaddr_bytes {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* data() const noexcept;
    [[nodiscard]] sockaddr* data() noexcept;
};

// EINVAL for std::monostate; ENODEV when the zone names no interface of this network namespace.
[[nodiscard]] sys_result<sockaddr_bytes> to_sockaddr(const ip::any_endpoint& at) noexcept;
// The zone of a scoped address becomes the interface's name, or its number when it has none.
// monostate for other families.
[[nodiscard]] ip::any_endpoint from_sockaddr(const sockaddr_bytes& bytes) noexcept;

// ---- making and naming ----

// A non-blocking, close-on-exec socket for this kind of endpoint. For UNIX names: `over` tcp is
// SOCK_STREAM, udp SOCK_DGRAM.
[[nodiscard]] sys_result<fd> socket(const ip::any_endpoint& kind, ip::transport over) noexcept;
[[nodiscard]] sys_status bind(const fd& s, const ip::any_endpoint& at) noexcept;
[[nodiscard]] sys_status listen(const fd& s, int backlog) noexcept;
[[nodiscard]] sys_result<ip::any_endpoint> getsockname(int s) noexcept;
[[nodiscard]] sys_result<ip::any_endpoint> getpeername(int s) noexcept;

// Starts to connect. Success means connected; EINPROGRESS means wait for writability, then call
// so_error().
[[nodiscard]] sys_status connect(const fd& s, const ip::any_endpoint& to) noexcept;
// SO_ERROR, taken and cleared: how a pending connect ended.
[[nodiscard]] sys_status so_error(int s) noexcept;

struct accepted_socket {
    fd socket; // non-blocking, close-on-exec
    ip::any_endpoint peer;
};
[[nodiscard]] sys_result<accepted_socket> accept4(int listener) noexcept;

// ---- options ----

[[nodiscard]] sys_status set_v6only(const fd& s, bool on) noexcept;
[[nodiscard]] sys_status set_reuse_address(const fd& s, bool on) noexcept;
[[nodiscard]] sys_status set_reuse_port(const fd& s, bool on) noexcept;
[[nodiscard]] sys_status set_freebind(const fd& s,
                                      ip::family which) noexcept; // IP_FREEBIND, IPV6_FREEBIND
[[nodiscard]] sys_status set_bind_to_device(const fd& s,
                                            std::string_view interface) noexcept; // SO_BINDTODEVICE
[[nodiscard]] sys_status set_bind_address_no_port(const fd& s) noexcept; // IP_BIND_ADDRESS_NO_PORT
[[nodiscard]] sys_status
set_receive_packet_info(const fd& s, ip::family which) noexcept; // IP_PKTINFO, IPV6_RECVPKTINFO
// IP_MULTICAST_ALL, IPV6_MULTICAST_ALL: whether a socket hears groups that others have joined.
[[nodiscard]] sys_status set_multicast_all(int s, ip::family which, bool on) noexcept;
// IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP, by the number of an interface. A second time is EADDRINUSE.
[[nodiscard]] sys_status join_group(int s, const ip::address& group,
                                    std::uint32_t interface) noexcept;
// IP_DROP_MEMBERSHIP, IPV6_LEAVE_GROUP; also where the interface has gone.
[[nodiscard]] sys_status leave_group(int s, const ip::address& group,
                                     std::uint32_t interface) noexcept;
[[nodiscard]] sys_status set_no_delay(int s, bool on) noexcept; // TCP_NODELAY
[[nodiscard]] sys_status
set_linger_reset(int s) noexcept; // SO_LINGER {1, 0}: close(2) sends a reset
// Gives a peer up that has not answered for `limit`: SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL
// and TCP_KEEPCNT for an idle connection, TCP_USER_TIMEOUT for unacknowledged data, all to the same
// limit (1 to 2147483 seconds, else EINVAL; an idle connection is given up after 2 seconds at the
// earliest, as a probe needs a second for its answer).
[[nodiscard]] sys_status set_dead_after(int s, std::chrono::seconds limit) noexcept;
// SO_RCVBUF and SO_SNDBUF, bytes: the kernel keeps twice as much, within its limits, and does not
// size them any more. Of a listening socket, accepted ones inherit them.
[[nodiscard]] sys_status set_buffers(int s, int bytes) noexcept;
// TCP_FASTOPEN of a listening socket (RFC 7413): `pending` requests at most.
[[nodiscard]] sys_status set_fast_open(int s, int pending) noexcept;

// ---- bytes ----

// recv(2). 0 is the end of the stream.
[[nodiscard]] sys_result<std::size_t> recv(int s, std::span<std::byte> into) noexcept;
// send(2) with MSG_NOSIGNAL.
[[nodiscard]] sys_result<std::size_t> send(int s, std::span<const std::byte> bytes) noexcept;
// SHUT_WR: the FIN.
[[nodiscard]] sys_status shutdown_send(int s) noexcept;
// read(2) and write(2) for pipes, terminals and files. write() never raises SIGPIPE and leaves its
// disposition and the thread's signal mask as they were.
[[nodiscard]] sys_result<std::size_t> read(int from, std::span<std::byte> into) noexcept;
[[nodiscard]] sys_result<std::size_t> write(int to, std::span<const std::byte> bytes) noexcept;

// ---- datagrams, with the address they came to ----

struct datagram {
    std::size_t size = 0;   // bytes in the buffer
    bool truncated = false; // the datagram was larger than the buffer
    ip::any_endpoint from;
    std::optional<ip::address> to; // the local address it was sent to; unset for UNIX sockets
    std::uint32_t interface = 0;   // number of the interface it came in by; 0 when unknown
    bool to_group =
        false; // `to` is a multicast or broadcast address, which no answer can come from
    // With to_group: where the answer leaves from, by `interface`. Unset: the kernel picks both.
    std::optional<ip::address> answer_from{};
};
// recvmsg(2). Needs set_receive_packet_info().
[[nodiscard]] sys_result<datagram> recv_datagram(int s, std::span<std::byte> into) noexcept;
// sendmsg(2) to where `query` came from, from the address it came to (RFC 1122 section 4.1.3.5, RFC
// 3542 section 6). The outgoing interface is left to the routing table, except for link-local
// addresses, which mean nothing without one. When the query came to a multicast or broadcast
// address it leaves from `answer_from`, by the interface that the query came in by.
[[nodiscard]] sys_result<std::size_t> send_reply(int s, const datagram& query,
                                                 std::span<const std::byte> bytes) noexcept;

// ---- facts ----

// The source address that the kernel would use towards `to`, found by connecting a UDP socket (no
// packet is sent); ENETUNREACH and the like when there is no route.
[[nodiscard]] sys_result<ip::address> source_address(const ip::endpoint& to) noexcept;
// The same for what leaves by an interface, if that is there.
[[nodiscard]] sys_result<ip::address> source_address(const ip::endpoint& to,
                                                     std::uint32_t interface) noexcept;
// Interface number for a name, 0 when there is none; and the reverse, empty when there is none.
[[nodiscard]] std::uint32_t interface_index(std::string_view name) noexcept;
[[nodiscard]] std::string interface_name(std::uint32_t index);

} // namespace portico::os
