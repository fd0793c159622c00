// Sockets of netlink(7), and what they receive from the kernel.
#pragma once

#include "netlink/messages.hpp"
#include "portico/os/socket.hpp"

#include <vector>

namespace portico::os {

[[nodiscard]] sys_result<fd> open_netlink(int protocol, int flags = 0);

// One buffer from the kernel, in `room`. `cut` when it did not fit. What other processes write to
// us is passed over.
struct netlink_received {
    bytes_view bytes;
    bool cut = false;
};
[[nodiscard]] sys_result<netlink_received> receive_netlink(const fd& s,
                                                           std::vector<std::byte>& room);

[[nodiscard]] sys_status send_netlink(const fd& s, bytes_view request) noexcept;

// Sends a request for a dump and hands every buffer of the answer to `read(bytes)`, which returns
// how it went. EAGAIN when something changed meanwhile, EPROTO when it cannot be read.
template <class Read>
[[nodiscard]] sys_status read_netlink(const fd& s, bytes_view request, Read read) {
    if (auto sent = send_netlink(s, request); !sent) {
        return sent;
    }
    std::vector<std::byte> room;
    bool interrupted = false;
    const auto failed = [](int number) {
        return tl::unexpected{std::error_code{number, std::system_category()}};
    };
    for (;;) {
        const auto got = receive_netlink(s, room);
        if (!got) {
            return tl::unexpected{got.error()};
        }
        const auto state = read(got->bytes);
        if (got->cut || state.malformed) {
            return failed(EPROTO);
        }
        if (state.error != 0) {
            return failed(state.error == EINTR ? EAGAIN : state.error);
        }
        interrupted |= state.interrupted;
        if (state.done) {
            break;
        }
    }
    if (interrupted) {
        return failed(EAGAIN);
    }
    return {};
}

} // namespace portico::os
