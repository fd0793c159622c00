#include "portico/os/queue.hpp"
#include "call.hpp"
#include "netlink/talk.hpp"

#include <ctime>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
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

// What sock_diag(7) tells of one UNIX socket, or the errno of its refusal.
template <class See>
sys_status ask_of_unix(int s, std::uint32_t show, See see) {
    struct stat facts {};
    if (::fstat(s, &facts) != 0) {
        return failure(errno);
    }
    const auto diag = open_netlink(NETLINK_SOCK_DIAG);
    if (!diag) {
        return tl::unexpected{diag.error()};
    }
    struct {
        nlmsghdr head;
        unix_diag_req what;
    } ask{};
    ask.head.nlmsg_len = sizeof ask;
    ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.head.nlmsg_flags = NLM_F_REQUEST;
    ask.what.sdiag_family = AF_UNIX;
    ask.what.udiag_states = ~0U;
    ask.what.udiag_ino = static_cast<__u32>(facts.st_ino); // those of sockets have 32 bits
    ask.what.udiag_show = show;
    ask.what.udiag_cookie[0] = ~0U; // any
    ask.what.udiag_cookie[1] = ~0U;
    if (auto sent = send_netlink(*diag, std::as_bytes(std::span{&ask, 1})); !sent) {
        return sent;
    }
    // Answers come within the call, so there is nothing to wait for.
    std::vector<std::byte> room;
    const auto got = receive_netlink(*diag, room);
    if (!got) {
        return tl::unexpected{got.error()};
    }
    const auto state = each_message(got->bytes, 0, [&](const nlmsghdr&, bytes_view body) {
        return each_attribute(after(body, sizeof(unix_diag_msg)), see);
    });
    if (state.error != 0 || state.malformed) {
        return failure(state.error != 0 ? state.error : EPROTO);
    }
    return {};
}

sys_result<accept_queue> of_unix(int s) {
    std::optional<accept_queue> found;
    const auto told = ask_of_unix(s, UDIAG_SHOW_RQLEN, [&found](int type, bytes_view payload) {
        const auto lengths = leading<unix_diag_rqlen>(payload);
        if (type == UNIX_DIAG_RQLEN && lengths) {
            found = accept_queue{lengths->udiag_rqueue, lengths->udiag_wqueue};
        }
    });
    if (!told) {
        return tl::unexpected{told.error()};
    }
    return found ? sys_result<accept_queue>{*found} : failure(EPROTO);
}

sys_result<std::vector<std::uint64_t>> clients_of_unix(int s) {
    std::vector<std::uint64_t> found;
    const auto told = ask_of_unix(s, UDIAG_SHOW_ICONS, [&found](int type, bytes_view payload) {
        for (; type == UNIX_DIAG_ICONS && payload.size() >= sizeof(__u32);
             payload = payload.subspan(sizeof(__u32))) {
            found.push_back(*leading<__u32>(payload));
        }
    });
    if (!told) {
        return tl::unexpected{told.error()};
    }
    return found;
}

// Connections to this port in the states that one can wait in, ESTABLISHED and CLOSE-WAIT: the
// kernel picks them (INET_DIAG_REQ_BYTECODE).
struct connection_query {
    nlmsghdr head;
    inet_diag_req_v2 what;
    nlattr filter;
    inet_diag_bc_op compare;
    inet_diag_bc_op port; // its `no`
};

connection_query query_for(int family, std::uint16_t port) noexcept {
    connection_query ask{};
    ask.head.nlmsg_len = sizeof ask;
    ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    ask.what.sdiag_family = static_cast<__u8>(family);
    ask.what.sdiag_protocol = IPPROTO_TCP;
    ask.what.idiag_states = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT;
    ask.filter.nla_type = INET_DIAG_REQ_BYTECODE;
    constexpr auto code = sizeof ask.compare + sizeof ask.port;
    ask.filter.nla_len = sizeof ask.filter + code;
    ask.compare = {INET_DIAG_BC_S_EQ, code, code + 4}; // `no`: behind the end, which refuses
    ask.port.no = port;
    return ask;
}

sys_result<std::vector<std::uint64_t>> clients_of_tcp(int s, int family) {
    const auto at = getsockname(s);
    const auto* local = at ? std::get_if<ip::endpoint>(&*at) : nullptr;
    if (local == nullptr) {
        return failure(EINVAL);
    }
    const auto diag = open_netlink(NETLINK_SOCK_DIAG);
    if (!diag) {
        return tl::unexpected{diag.error()};
    }
    const auto ask = query_for(family, local->port);
    const auto is_ours = [&](const inet_diag_msg& each) {
        const auto to = netlink_address(std::as_bytes(std::span{each.id.idiag_src}),
                                        each.idiag_family == AF_INET6);
        return each.idiag_inode == 0 && // nobody has accepted it
               (local->address.is_unspecified() || to == local->address.with_zone({}));
    };
    std::vector<std::uint64_t> found;
    const auto done = read_netlink(*diag, std::as_bytes(std::span{&ask, 1}), [&](bytes_view bytes) {
        return each_message(bytes, 0, [&](const nlmsghdr&, bytes_view body) {
            const auto each = leading<inet_diag_msg>(body);
            if (each && is_ours(*each)) {
                found.push_back(each->id.idiag_cookie[0] | std::uint64_t{each->id.idiag_cookie[1]}
                                                               << 32U);
            }
            return each.has_value();
        });
    });
    if (!done) {
        return tl::unexpected{done.error()};
    }
    return found;
}

sys_result<int> option(int s, int which) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(s, SOL_SOCKET, which, &value, &size) != 0) {
        return failure(errno);
    }
    return value;
}

// AF_*; EINVAL when it does not listen.
sys_result<int> family_of_listening(int s) noexcept {
    const auto listens = option(s, SO_ACCEPTCONN);
    if (!listens) {
        return tl::unexpected{listens.error()};
    }
    if (*listens == 0) {
        return failure(EINVAL);
    }
    return option(s, SO_DOMAIN);
}

std::int64_t nanoseconds(const timespec& when) noexcept {
    return std::int64_t{when.tv_sec} * 1'000'000'000 + when.tv_nsec;
}

// Of the datagram that was looked at last. The first call lets the kernel note the time of each
// that comes from then on; of others it says the time of this call.
std::optional<std::int64_t> time_of_arrival(int s, std::int64_t looked) noexcept {
    timespec came{};
    if (::ioctl(s, SIOCGSTAMPNS, &came) != 0 || nanoseconds(came) >= looked) {
        return std::nullopt;
    }
    return nanoseconds(came);
}

} // namespace

sys_result<accept_queue> accept_queue_of(int s) {
    const auto family = family_of_listening(s);
    if (!family) {
        return tl::unexpected{family.error()};
    }
    return *family == AF_UNIX ? of_unix(s) : of_tcp(s);
}

sys_result<std::vector<std::uint64_t>> waiting_connections(int s) {
    const auto family = family_of_listening(s);
    if (!family) {
        return tl::unexpected{family.error()};
    }
    return *family == AF_UNIX ? clients_of_unix(s) : clients_of_tcp(s, *family);
}

sys_result<peeked_datagram> peek_datagram(int s, std::span<std::byte> into) noexcept {
    static_cast<void>(time_of_arrival(s, 0));
    timespec looked{};
    static_cast<void>(::clock_gettime(CLOCK_REALTIME, &looked));
    sockaddr_bytes from;
    const auto size = size_of(without_eintr([&] {
        from.size = sizeof from.storage;
        return ::recvfrom(s, into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC,
                          from.data(), &from.size);
    }));
    if (!size) {
        return tl::unexpected{size.error()};
    }
    return peeked_datagram{*size, from_sockaddr(from), time_of_arrival(s, nanoseconds(looked))};
}

bool is_readable(int descriptor) noexcept {
    pollfd which{descriptor, POLLIN, 0};
    return without_eintr([&which] { return ::poll(&which, 1, 0); }) != 0;
}

} // namespace portico::os
