// Every kernel call of the byte-moving path, and no other: to try another way of making them
// (io_uring, say) this is the file to replace. Results are as the kernel gives them: a count, or a
// negative errno. EINTR is not told. Nothing here raises SIGPIPE.
#pragma once

#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <span>
#include <sys/epoll.h>
#include <sys/types.h>

namespace portico::run::calls {

// The address of an accepted IPv4 or IPv6 client, as the kernel gives it; of a UNIX one only the
// family is kept.
struct peer_name {
    union {
        sockaddr any{AF_UNSPEC, {}};
        sockaddr_in v4;
        sockaddr_in6 v6;
    };
    [[nodiscard]] ip::any_endpoint endpoint() const noexcept;
};
static_assert(sizeof(peer_name) <= 28);

// accept4(2), non-blocking and close-on-exec: a descriptor, or a negative errno.
[[nodiscard]] int accept(int listener, peer_name& peer) noexcept;
// 0 or a negative errno; EINPROGRESS: wait for writability.
[[nodiscard]] int connect(int which, const os::sockaddr_bytes& to) noexcept;
[[nodiscard]] ssize_t recv(int from, std::span<std::byte> into) noexcept;
[[nodiscard]] ssize_t peek(int from, std::span<std::byte> into) noexcept;
[[nodiscard]] ssize_t send(int to, std::span<const std::byte> bytes) noexcept;
// splice(2) from a socket into a pipe, and from a pipe into a socket; at most `most` bytes.
[[nodiscard]] ssize_t splice(int from, int to, std::size_t most) noexcept;
void shutdown_send(int which) noexcept;
// close(2); with `reset` SO_LINGER is set first, so that it sends a reset.
void close(int which, bool reset) noexcept;
// Bytes that the peer has not acknowledged yet (SIOCOUTQ); 0 when that cannot be told.
[[nodiscard]] std::size_t unsent(int which) noexcept;

// ---- polling ----

[[nodiscard]] os::fd epoll() noexcept; // empty when there is no descriptor for it
// 0 or a negative errno.
int watch(int epoll, int which, std::uint32_t events, std::uint64_t tag) noexcept;
int watch_again(int epoll, int which, std::uint32_t events, std::uint64_t tag) noexcept;
void unwatch(int epoll, int which) noexcept;
// How many events there are, 0 after `milliseconds` (-1: waits for ever).
[[nodiscard]] std::size_t wait(int epoll, std::span<epoll_event> events, int milliseconds) noexcept;

} // namespace portico::run::calls
