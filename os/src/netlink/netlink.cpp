// Asking the kernel and listening to it.

#include "portico/os/netlink.hpp"
#include "netlink/talk.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

namespace portico::os {
namespace {

constexpr int most_tries = 100;
constexpr int most_buffers = 1000;

sys_result<fd> open_route_events(int receive_buffer) {
    auto made = open_netlink(NETLINK_ROUTE, SOCK_NONBLOCK);
    if (!made) {
        return made;
    }
    if (receive_buffer > 0 && ::setsockopt(made->raw(), SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                                           sizeof receive_buffer) < 0) {
        return failure(errno);
    }
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (::bind(made->raw(), reinterpret_cast<const sockaddr*>(&name), sizeof name) < 0) {
        return failure(errno);
    }
    return made;
}

// Reads one dump into `to`. EAGAIN when something changed meanwhile.
template <class Head>
sys_status read_dump(const fd& s, std::uint16_t type, std::uint32_t sequence, snapshot& to) {
    struct {
        nlmsghdr header;
        Head head;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = sequence;
    return read_netlink(s, std::as_bytes(std::span{&request, 1}), [&](bytes_view bytes) {
        const auto reply = parse_netlink(bytes, sequence);
        for (const auto& each : reply.changes) {
            to.apply(each);
        }
        return netlink_state{reply.done, reply.interrupted, reply.malformed, reply.error};
    });
}

sys_result<snapshot> try_snapshot() {
    const auto s = open_netlink(NETLINK_ROUTE);
    if (!s) {
        return tl::unexpected{s.error()};
    }
    snapshot taken;
    if (auto done = read_dump<ifinfomsg>(*s, RTM_GETLINK, 1, taken); !done) {
        return tl::unexpected{done.error()};
    }
    if (auto done = read_dump<ifaddrmsg>(*s, RTM_GETADDR, 2, taken); !done) {
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
    auto s = open_route_events(receive_buffer);
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
        const auto got = receive_netlink(socket_, room_);
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
