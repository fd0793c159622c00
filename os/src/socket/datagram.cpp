// Datagrams with the local address that they came to and that answers leave from.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"

#include <cstring>
#include <netinet/in.h>

namespace portico::os {
namespace {

// Room for both kinds of packet information, aligned as cmsg(3) wants it.
struct control_bytes {
    alignas(cmsghdr)
        std::byte bytes[CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(in6_pktinfo))]{};
};

void note_v4(const cmsghdr& given, datagram& got) noexcept {
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(&given), sizeof info);
    ip::address::v4_bytes to{};
    std::memcpy(to.data(), &info.ipi_addr, to.size());
    got.to = ip::address::v4(to);
    got.interface = static_cast<std::uint32_t>(info.ipi_ifindex);
    // The kernel says which address of ours stands for the one in the packet: another one only
    // when that was a group's.
    got.to_group = std::memcmp(&info.ipi_addr, &info.ipi_spec_dst, sizeof info.ipi_addr) != 0;
}

void note_v6(const cmsghdr& given, datagram& got) noexcept {
    in6_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(&given), sizeof info);
    // from_sockaddr() knows how to write the interface as a zone.
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_addr = info.ipi6_addr;
    sockaddr_bytes bytes;
    std::memcpy(&bytes.storage, &name, sizeof name);
    bytes.size = sizeof name;
    auto to = std::get<ip::endpoint>(from_sockaddr(bytes)).address;
    if (to.needs_zone()) {
        name.sin6_scope_id = info.ipi6_ifindex;
        std::memcpy(&bytes.storage, &name, sizeof name);
        to = std::get<ip::endpoint>(from_sockaddr(bytes)).address;
    }
    got.to = to;
    got.interface = info.ipi6_ifindex;
    got.to_group = to.is_multicast() || (to.is_v4_mapped() && (to.to_v6()[12] & 0xf0) == 0xe0);
}

// A UNIX peer may pass descriptors unasked; kept, they would pile up until we have none left.
void close_passed(const cmsghdr& given) noexcept {
    const std::size_t count = (given.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
        int passed = -1;
        std::memcpy(&passed, CMSG_DATA(&given) + i * sizeof passed, sizeof passed);
        const fd closed{passed};
    }
}

void note_control(msghdr& message, datagram& got) noexcept {
    for (auto* each = CMSG_FIRSTHDR(&message); each != nullptr;
         each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
            note_v4(*each, got);
        } else if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO) {
            note_v6(*each, got);
        } else if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_RIGHTS) {
            close_passed(*each);
        }
    }
}

template <class Info>
void attach(msghdr& message, control_bytes& room, int level, int type, const Info& info) noexcept {
    message.msg_control = room.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof info);
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

// Interface number 0 leaves the way out to the routing table; a link-local source needs its own,
// and who asked a group is where the question came from.
void attach_source(msghdr& message, control_bytes& room, const datagram& query) noexcept {
    const auto& from = query.to_group ? query.answer_from : query.to;
    if (!from || from->is_unspecified()) {
        return;
    }
    if (from->is_v4()) {
        in_pktinfo info{};
        const auto bytes = from->to_v4();
        std::memcpy(&info.ipi_spec_dst, bytes.data(), bytes.size());
        info.ipi_ifindex = query.to_group ? static_cast<int>(query.interface) : 0;
        attach(message, room, IPPROTO_IP, IP_PKTINFO, info);
    } else {
        in6_pktinfo info{};
        const auto bytes = from->to_v6();
        std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
        info.ipi6_ifindex = query.to_group || from->is_link_local() ? query.interface : 0;
        attach(message, room, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
}

} // namespace

sys_result<datagram> recv_datagram(int s, std::span<std::byte> into) noexcept {
    sockaddr_bytes from;
    control_bytes control;
    iovec part{into.data(), into.size()};
    msghdr message{};
    message.msg_name = from.data();
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const auto size = size_of(without_eintr([&] {
        message.msg_namelen = sizeof from.storage;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        // Whether the socket blocks may have been set by who shares it.
        return ::recvmsg(s, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    }));
    if (!size) {
        return tl::unexpected{size.error()};
    }
    from.size = message.msg_namelen;
    datagram got;
    got.size = *size;
    got.truncated = (message.msg_flags & MSG_TRUNC) != 0;
    got.from = from_sockaddr(from);
    note_control(message, got);
    return got;
}

sys_result<std::size_t> send_reply(int s, const datagram& query,
                                   std::span<const std::byte> bytes) noexcept {
    auto to = to_sockaddr(query.from);
    if (!to) {
        return tl::unexpected{to.error()};
    }
    // sendmsg(2) only reads the payload, but iovec serves both directions.
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_name = to->data();
    message.msg_namelen = to->size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    control_bytes control;
    attach_source(message, control, query);
    return size_of(
        without_eintr([&] { return ::sendmsg(s, &message, MSG_NOSIGNAL | MSG_DONTWAIT); }));
}

} // namespace portico::os
