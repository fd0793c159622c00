// What waits in a socket to be taken, without taking it.
#pragma once

#include "portico/os/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace portico::os {

// The connections of a listening socket that nobody has accepted yet.
struct accept_queue {
    std::uint32_t waiting = 0;
    std::uint32_t most = 0; // the backlog of listen(2), as far as net.core.somaxconn lets it

    friend bool operator==(const accept_queue&, const accept_queue&) = default;
};

// From TCP_INFO, or from sock_diag(7) for a UNIX socket. EINVAL when it does not listen; ENOENT for
// UNIX sockets when the kernel cannot tell (no unix_diag).
[[nodiscard]] sys_result<accept_queue> accept_queue_of(int s);

// The same connections by numbers that tell them apart, in no order: cookies of sock_diag(7), or
// inodes of the clients of a UNIX socket. One that was reset while it waits is missing (UNIX: 0).
// EMSGSIZE: more wait at a UNIX socket than the kernel tells of (about 1,000). Other errors as
// above. Memory: 64 KiB.
[[nodiscard]] sys_result<std::vector<std::uint64_t>> waiting_connections(int s);

// The first datagram, which stays where it is; as much as fits. EAGAIN when there is none, whether
// or not the socket blocks.
struct peeked_datagram {
    std::size_t size = 0; // of all of it
    ip::any_endpoint from;
    // When it came, in nanoseconds of the clock of the day, which tells it from a copy of it. None:
    // it came before the first peek at this socket or right after it, or the kernel does not say
    // (UNIX sockets).
    std::optional<std::int64_t> came{};
};
[[nodiscard]] sys_result<peeked_datagram> peek_datagram(int s, std::span<std::byte> into) noexcept;

// Whether reading, or accept(2), would not wait (poll(2)); true as well for what has failed.
[[nodiscard]] bool is_readable(int descriptor) noexcept;

} // namespace portico::os
