// Asking the kernel and listening to it.

#include "portico/os/netlink.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

namespace portico::os {
namespace {

// A dump comes in buffers of 32 KiB at most (the kernel's netlink_dump()), an event in less.
constexpr std::size_t room_size = 64 * 1024;
constexpr int most_tries = 100;
constexpr int most_buffers = 1000;

sys_result<fd> open_netlink(int flags, std::uint32_t groups, int receive_buffer) {
    fd made{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE)};
    if (!made) {
        return failure(errno);
    }
    if (receive_buffer > 0 && ::setsockopt(made.raw(), SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                                           sizeof receive_buffer) < 0) {
        return failure(errno);
    }
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_groups = groups;
    if (::bind(made.raw(), reinterpret_cast<const sockaddr*>(&name), sizeof name) < 0) {
        return failure(errno);
    }
    return made;
}

// One buffer from the kernel. `cut` when it did not fit.
struct received {
    std::span<const std::byte> bytes;
    bool cut = false;
};
sys_result<received> receive(const fd& s, std::vector<std::byte>& room) {
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
            return received{std::span{room}.first(*size), (message.msg_flags & MSG_TRUNC) != 0};
        }
    }
}

template <class Head>
sys_status ask(const fd& s, std::uint16_t type, std::uint32_t sequence) {
    struct {
        nlmsghdr header;
        Head head;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = sequence;
    return status_of(static_cast<int>(
        without_eintr([&] { return ::send(s.raw(), &request, sizeof request, 0); })));
}

// Reads one dump into `to`. EAGAIN when something changed meanwhile.
sys_status read_dump(const fd& s, std::uint32_t sequence, snapshot& to) {
    std::vector<std::byte> room;
    bool interrupted = false;
    for (;;) {
        const auto got = receive(s, room);
        if (!got) {
            return tl::unexpected{got.error()};
        }
        const auto reply = parse_netlink(got->bytes, sequence);
        if (got->cut || reply.malformed) {
            return failure(EPROTO);
        }
        if (reply.error != 0) {
            return failure(reply.error == EINTR ? EAGAIN : reply.error);
        }
        for (const auto& each : reply.changes) {
            to.apply(each);
        }
        interrupted |= reply.interrupted;
        if (reply.done) {
            break;
        }
    }
    if (interrupted) {
        return failure(EAGAIN);
    }
    return {};
}

sys_result<snapshot> try_snapshot() {
    const auto s = open_netlink(0, 0, 0);
    if (!s) {
        return tl::unexpected{s.error()};
    }
    snapshot taken;
    if (auto done =
            ask<ifinfomsg>(*s, RTM_GETLINK, 1).and_then([&] { return read_dump(*s, 1, taken); });
        !done) {
        return tl::unexpected{done.error()};
    }
    if (auto done =
            ask<ifaddrmsg>(*s, RTM_GETADDR, 2).and_then([&] { return read_dump(*s, 2, taken); });
        !done) {
        return tl::unexpected{done.error()};
    }
    // A link that came between the two dumps.
    if (!std::all_of(taken.addresses.begin(), taken.addresses.end(),
                     [&](const auto& each) { return taken.find_link(each.link) != nullptr; })) {
        return failure(EAGAIN);
    }
    return taken;
}

} // namespace

sys_result<snapshot> take_snapshot() {
    for (int i = 1;; ++i) {
        auto taken = try_snapshot();
        const bool again =
            !taken && (taken.error().value() == EAGAIN || taken.error().value() == ENOBUFS);
        if (!again || i == most_tries) {
            return taken;
        }
    }
}

sys_result<monitor> monitor::open(int receive_buffer) {
    auto s = open_netlink(SOCK_NONBLOCK, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                          receive_buffer);
    if (!s) {
        return tl::unexpected{s.error()};
    }
    return monitor{std::move(*s)};
}

// After ENOBUFS the kernel drops all events until the queue has been read empty. What is still in
// it is older than the gap, and applied to a snapshot from after the gap it would do harm: so all
// of it is thrown away first, over several calls if need be, and only then is the loss told.
sys_result<monitor::news> monitor::read_changes() {
    news told;
    for (int i = 0; i < most_buffers; ++i) {
        const auto got = receive(socket_, room_);
        if (!got && got.error().value() == EAGAIN) {
            told.lost = std::exchange(draining_, false);
            break;
        }
        if (!got && got.error().value() != ENOBUFS) {
            return tl::unexpected{got.error()};
        }
        auto reply = got ? parse_netlink(got->bytes) : netlink_reply{};
        draining_ |= !got || got->cut || reply.malformed || reply.error != 0;
        if (!draining_) {
            std::move(reply.changes.begin(), reply.changes.end(), std::back_inserter(told.changes));
        }
    }
    if (draining_ || told.lost) {
        told.changes.clear();
    }
    return told;
}

} // namespace portico::os
