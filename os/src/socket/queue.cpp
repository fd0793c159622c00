#include "portico/os/queue.hpp"
#include "call.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

namespace portico::os {
namespace {

sys_result<accept_queue> of_tcp(int s) noexcept {
    tcp_info told{};
    socklen_t size = sizeof told;
    if (::getsockopt(s, IPPROTO_TCP, TCP_INFO, &told, &size) != 0) {
        return failure(errno);
    }
    // Of a listening socket, these two are the length of the queue and its limit (tcp_get_info()).
    return accept_queue{told.tcpi_unacked, told.tcpi_sacked};
}

// NLMSG_ALIGN and NLA_ALIGN without their signed numbers.
constexpr std::size_t aligned(std::size_t size) noexcept {
    return (size + 3) & ~std::size_t{3};
}
constexpr std::size_t head_size = aligned(sizeof(nlmsghdr));
constexpr std::size_t attribute_head = aligned(sizeof(nlattr));

struct diag_request {
    nlmsghdr head;
    unix_diag_req what;
};

// The attribute UNIX_DIAG_RQLEN of one answer.
sys_result<accept_queue> read_answer(const std::byte* bytes, std::size_t size) noexcept {
    nlmsghdr head{};
    std::memcpy(&head, bytes, std::min(size, sizeof head));
    if (size < sizeof head || head.nlmsg_len > size) {
        return failure(EPROTO);
    }
    if (head.nlmsg_type == NLMSG_ERROR) {
        nlmsgerr why{};
        std::memcpy(&why, bytes + head_size, std::min(size - head_size, sizeof why));
        return failure(-why.error);
    }
    std::size_t at = head_size + aligned(sizeof(unix_diag_msg));
    while (at + sizeof(nlattr) <= head.nlmsg_len) {
        nlattr attribute{};
        std::memcpy(&attribute, bytes + at, sizeof attribute);
        unix_diag_rqlen lengths{};
        if (attribute.nla_type == UNIX_DIAG_RQLEN &&
            at + attribute_head + sizeof lengths <= head.nlmsg_len) {
            std::memcpy(&lengths, bytes + at + attribute_head, sizeof lengths);
            return accept_queue{lengths.udiag_rqueue, lengths.udiag_wqueue};
        }
        if (attribute.nla_len < sizeof attribute) {
            break;
        }
        at += aligned(attribute.nla_len);
    }
    return failure(EPROTO);
}

sys_result<accept_queue> of_unix(int s) noexcept {
    struct stat facts {};
    if (::fstat(s, &facts) != 0) {
        return failure(errno);
    }
    const fd netlink{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    if (!netlink) {
        return failure(errno);
    }
    diag_request ask{};
    ask.head.nlmsg_len = sizeof ask;
    ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.head.nlmsg_flags = NLM_F_REQUEST;
    ask.what.sdiag_family = AF_UNIX;
    ask.what.udiag_states = ~0U;
    ask.what.udiag_ino = static_cast<__u32>(facts.st_ino); // those of sockets have 32 bits
    ask.what.udiag_show = UDIAG_SHOW_RQLEN;
    ask.what.udiag_cookie[0] = ~0U; // any
    ask.what.udiag_cookie[1] = ~0U;
    // Answers come within the call, so there is nothing to wait for.
    if (::send(netlink.raw(), &ask, sizeof ask, 0) < 0) {
        return failure(errno);
    }
    alignas(nlmsghdr) std::array<std::byte, 1024> answer{};
    const auto size =
        without_eintr([&] { return ::recv(netlink.raw(), answer.data(), answer.size(), 0); });
    return size < 0 ? failure(errno) : read_answer(answer.data(), static_cast<std::size_t>(size));
}

sys_result<int> option(int s, int which) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(s, SOL_SOCKET, which, &value, &size) != 0) {
        return failure(errno);
    }
    return value;
}

} // namespace

sys_result<accept_queue> accept_queue_of(int s) noexcept {
    const auto listens = option(s, SO_ACCEPTCONN);
    if (!listens) {
        return tl::unexpected{listens.error()};
    }
    if (*listens == 0) {
        return failure(EINVAL);
    }
    return option(s, SO_DOMAIN) == AF_UNIX ? of_unix(s) : of_tcp(s);
}

sys_result<peeked_datagram> peek_datagram(int s, std::span<std::byte> into) noexcept {
    sockaddr_bytes from;
    const auto size = size_of(without_eintr([&] {
        from.size = sizeof from.storage;
        return ::recvfrom(s, into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC,
                          from.data(), &from.size);
    }));
    if (!size) {
        return tl::unexpected{size.error()};
    }
    return peeked_datagram{*size, from_sockaddr(from)};
}

bool is_readable(int descriptor) noexcept {
    pollfd which{descriptor, POLLIN, 0};
    return without_eintr([&which] { return ::poll(&which, 1, 0); }) != 0;
}

} // namespace portico::os
