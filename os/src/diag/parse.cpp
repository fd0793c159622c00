// Reading the answers of sock_diag(7).

#include "netlink/messages.hpp"
#include "portico/os/diag.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <sys/sysmacros.h>

namespace portico::os {
namespace {

using diagnose::socket_state;

// Of the kernel's net/tcp_states.h, which no header for programs has.
enum kernel_state : std::uint8_t {
    established = 1,
    syn_sent,
    syn_received,
    fin_wait_1,
    fin_wait_2,
    time_wait,
    close,
    close_wait,
    last_ack,
    listen,
    closing,
    new_syn_received,
    bound_inactive,
};

constexpr std::uint8_t timer_of_time_wait = 3;

socket_state state_of(std::uint8_t number) noexcept {
    switch (number) {
    case established:
        return socket_state::established;
    case syn_sent:
        return socket_state::connecting;
    case syn_received:
    case new_syn_received:
        return socket_state::half_open;
    case time_wait:
        return socket_state::time_wait;
    case listen:
        return socket_state::listening;
    case close:
    case bound_inactive:
        return socket_state::bound;
    default:
        return socket_state::closing;
    }
}

ip::address address_of(const __be32 (&words)[4], std::uint8_t family, std::uint32_t interface) {
    const auto plain = *netlink_address(std::as_bytes(std::span{words}), family == AF_INET6);
    return plain.needs_zone() && interface != 0 ? plain.with_zone(ip::zone::from_index(interface))
                                                : plain;
}

std::chrono::milliseconds milliseconds(std::uint32_t count) noexcept {
    return std::chrono::milliseconds{count};
}

// tcp_info as far as it is needed: the rest may be missing.
std::optional<std::chrono::milliseconds> quiet_of(bytes_view payload) noexcept {
    constexpr auto at = offsetof(tcp_info, tcpi_last_data_sent);
    if (payload.size() < at) {
        return std::nullopt;
    }
    const auto sent = leading<std::uint32_t>(payload.subspan(at));
    return sent ? std::optional{milliseconds(*sent)} : std::nullopt;
}

void read_attribute(int type, bytes_view payload, diagnose::socket& into) {
    if (type == INET_DIAG_SKV6ONLY && into.v6) {
        if (const auto set = leading<std::uint8_t>(payload)) {
            into.v6only = *set != 0;
        }
    } else if (type == INET_DIAG_CGROUP_ID) {
        into.cgroup = leading<std::uint64_t>(payload).value_or(0);
    } else if (type == INET_DIAG_SKMEMINFO) {
        constexpr std::size_t at = SK_MEMINFO_DROPS * sizeof(std::uint32_t);
        if (payload.size() > at) {
            into.drops = leading<std::uint32_t>(payload.subspan(at));
        }
    } else if (type == INET_DIAG_INFO && into.state != socket_state::listening) {
        into.quiet = quiet_of(payload);
    }
}

// False when it is malformed.
bool read_inet(bytes_view body, ip::transport over, std::vector<diagnose::socket>& into) {
    const auto head = leading<inet_diag_msg>(body);
    if (!head) {
        return false;
    }
    diagnose::socket read;
    read.over = over;
    read.v6 = head->idiag_family == AF_INET6;
    read.state = state_of(head->idiag_state);
    const auto endpoint = [&](const __be32(&words)[4], __be16 port) {
        return ip::endpoint{address_of(words, head->idiag_family, head->id.idiag_if), ntohs(port)};
    };
    read.local = endpoint(head->id.idiag_src, head->id.idiag_sport);
    if (head->id.idiag_dport != 0) {
        read.peer = endpoint(head->id.idiag_dst, head->id.idiag_dport);
    }
    if (head->id.idiag_if != 0) {
        read.interface = std::to_string(head->id.idiag_if);
    }
    read.uid = head->idiag_uid;
    read.inode = head->idiag_inode;
    if (read.state == socket_state::listening) {
        read.waiting = head->idiag_rqueue;
        read.most = head->idiag_wqueue;
    }
    if (read.state == socket_state::time_wait && head->idiag_timer == timer_of_time_wait) {
        read.left = milliseconds(head->idiag_expires);
    }
    const bool whole = each_attribute(after(body, sizeof *head), [&](int type, bytes_view payload) {
        read_attribute(type, payload, read);
    });
    if (whole) {
        into.push_back(std::move(read));
    }
    return whole;
}

std::optional<ip::unix_name> name_of(bytes_view payload) {
    const std::string_view text{reinterpret_cast<const char*>(payload.data()), payload.size()};
    return text.starts_with('\0') ? ip::unix_name::abstract(text.substr(1))
                                  : ip::unix_name::path(text.substr(0, text.find('\0')));
}

// The kernel's own number of a device has its minor part in the lower 20 bits.
std::uint64_t as_stat_tells(std::uint32_t device) noexcept {
    return makedev(device >> 20, device & 0xfffffU);
}

// False when it is malformed.
bool read_unix(bytes_view body, std::vector<diagnose::socket>& into) {
    const auto head = leading<unix_diag_msg>(body);
    if (!head) {
        return false;
    }
    diagnose::socket read;
    read.over = head->udiag_type == SOCK_DGRAM ? ip::transport::udp : ip::transport::tcp;
    read.state = state_of(head->udiag_state);
    read.inode = head->udiag_ino;
    const bool whole = each_attribute(after(body, sizeof *head), [&](int type, bytes_view payload) {
        if (type == UNIX_DIAG_NAME) {
            if (const auto name = name_of(payload)) {
                read.local = *name;
            }
        } else if (type == UNIX_DIAG_VFS) {
            if (const auto file = leading<unix_diag_vfs>(payload)) {
                read.file = {as_stat_tells(file->udiag_vfs_dev), file->udiag_vfs_ino};
            }
        } else if (type == UNIX_DIAG_UID) {
            read.uid = leading<std::uint32_t>(payload).value_or(0);
        } else if (type == UNIX_DIAG_RQLEN && read.state == socket_state::listening) {
            if (const auto queue = leading<unix_diag_rqlen>(payload)) {
                read.waiting = queue->udiag_rqueue;
                read.most = queue->udiag_wqueue;
            }
        }
    });
    if (whole) {
        into.push_back(std::move(read));
    }
    return whole;
}

} // namespace

diag_reply parse_sock_diag(std::span<const std::byte> bytes, ip::transport over) {
    diag_reply reply;
    const auto state = each_message(bytes, 0, [&](const nlmsghdr& header, bytes_view body) {
        if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || body.empty()) {
            return true;
        }
        const auto family = std::to_integer<std::uint8_t>(body.front());
        if (family == AF_UNIX) {
            return read_unix(body, reply.sockets);
        }
        const bool known = family == AF_INET || family == AF_INET6;
        return !known || read_inet(body, over, reply.sockets);
    });
    reply.done = state.done;
    reply.interrupted = state.interrupted;
    reply.malformed = state.malformed;
    reply.error = state.error;
    return reply;
}

} // namespace portico::os
