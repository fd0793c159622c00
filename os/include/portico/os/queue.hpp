// What waits in a socket to be taken, without taking it.
#pragma once

#include "portico/os/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace portico::os {

// The connections of a listening socket that nobody has accepted yet.
struct accept_queue {
    std::uint32_t waiting = 0;
    std::uint32_t most = 0; // the backlog of listen(2), as far as net.core.somaxconn lets it

    friend bool operator==(const accept_queue&, const accept_queue&) = default;
};

// From TCP_INFO, or from sock_diag(7) for a UNIX socket. EINVAL when it does not listen; ENOENT for
// UNIX sockets when the kernel cannot tell (no unix_diag).
[[nodiscard]] sys_result<accept_queue> accept_queue_of(int s) noexcept;

// The first datagram, which stays where it is; as much as fits. EAGAIN when there is none, whether
// or not the socket blocks.
struct peeked_datagram {
    std::size_t size = 0; // of all of it
    ip::any_endpoint from;
};
[[nodiscard]] sys_result<peeked_datagram> peek_datagram(int s, std::span<std::byte> into) noexcept;

// Whether reading, or accept(2), would not wait (poll(2)); true as well for what has failed.
[[nodiscard]] bool is_readable(int descriptor) noexcept;

} // namespace portico::os
