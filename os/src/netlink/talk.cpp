#include "netlink/talk.hpp"
#include "socket/call.hpp"

namespace portico::os {

// A dump comes in buffers of 32 KiB at most (the kernel's netlink_dump()), an event in less.
constexpr std::size_t room_size = 64 * 1024;

sys_result<fd> open_netlink(int protocol, int flags) {
    fd made{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol)};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_result<netlink_received> receive_netlink(const fd& s, std::vector<std::byte>& room) {
    room.resize(room_size);
    for (;;) {
        sockaddr_nl from{};
        iovec part{room.data(), room.size()};
        msghdr message{};
        message.msg_name = &from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        const auto size = size_of(without_eintr([&] {
            message.msg_namelen = sizeof from;
            return ::recvmsg(s.raw(), &message, 0);
        }));
        if (!size) {
            return tl::unexpected{size.error()};
        }
        if (from.nl_pid == 0) { // other processes may write to us too, and are not the kernel
            return netlink_received{std::span{room}.first(*size),
                                    (message.msg_flags & MSG_TRUNC) != 0};
        }
    }
}

sys_status send_netlink(const fd& s, bytes_view request) noexcept {
    return status_of(static_cast<int>(
        without_eintr([&] { return ::send(s.raw(), request.data(), request.size(), 0); })));
}

} // namespace portico::os
