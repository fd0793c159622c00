// Asking sock_diag(7). The kernel filters by port and peer (INET_DIAG_REQ_BYTECODE), so that a host
// with very many sockets sends few.

#include "netlink/talk.hpp"
#include "portico/os/diag.hpp"
#include "socket/call.hpp"

#include <arpa/inet.h>
#include <array>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <pthread.h>
#include <sched.h>

namespace portico::os {
namespace {

using diagnose::socket_state;

constexpr int most_tries = 10;

constexpr std::uint32_t bit(unsigned number) noexcept {
    return 1U << number;
}

// The states of the kernel's net/tcp_states.h. A kernel before 6.8 does not know bit 13, and tells
// of no bound sockets of TCP.
std::uint32_t mask_of(const std::vector<socket_state>& states, ip::transport over) noexcept {
    std::uint32_t mask = states.empty() ? ~0U : 0;
    for (const auto each : states) {
        switch (each) {
        case socket_state::listening:
            mask |= bit(10);
            break;
        case socket_state::bound:
            mask |= over == ip::transport::tcp ? bit(13) : bit(7);
            break;
        case socket_state::connecting:
            mask |= bit(2);
            break;
        case socket_state::half_open:
            mask |= bit(3) | bit(12);
            break;
        case socket_state::established:
            mask |= bit(1);
            break;
        case socket_state::closing:
            mask |= bit(4) | bit(5) | bit(8) | bit(9) | bit(11);
            break;
        case socket_state::time_wait:
            mask |= bit(6);
            break;
        }
    }
    return mask;
}

void append(std::vector<std::byte>& to, bytes_view bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
}
template <class T>
void append_value(std::vector<std::byte>& to, const T& value) {
    append(to, std::as_bytes(std::span{&value, 1}));
}

// A program of the kernel's filter: conditions one after another, each of which jumps behind the
// end when it does not hold (`no`), which refuses.
class condition_list {
public:
    // INET_DIAG_BC_S_EQ, _S_GE or _S_LE
    void local_port(std::uint8_t how, std::uint16_t port) {
        begin(how, 2 * sizeof(inet_diag_bc_op));
        append_value(code_, inet_diag_bc_op{0, 0, port});
    }
    void peer(const ip::endpoint& which) {
        const bool v6 = which.address.is_v6();
        const std::size_t bytes = v6 ? 16 : 4;
        begin(INET_DIAG_BC_D_COND, sizeof(inet_diag_bc_op) + sizeof(inet_diag_hostcond) + bytes);
        inet_diag_hostcond head{};
        head.family = v6 ? AF_INET6 : AF_INET;
        head.prefix_len = static_cast<__u8>(bytes * 8);
        head.port = which.port;
        append_value(code_, head);
        if (v6) {
            append_value(code_, which.address.to_v6());
        } else {
            append_value(code_, which.address.to_v4());
        }
    }
    [[nodiscard]] std::vector<std::byte> take() && {
        for (const auto at : starts_) {
            inet_diag_bc_op op{};
            std::memcpy(&op, code_.data() + at, sizeof op);
            op.no = static_cast<__u16>(code_.size() - at + 4);
            std::memcpy(code_.data() + at, &op, sizeof op);
        }
        return std::move(code_);
    }

private:
    void begin(std::uint8_t code, std::size_t size) {
        starts_.push_back(code_.size());
        append_value(code_, inet_diag_bc_op{code, static_cast<__u8>(size), 0});
    }

    std::vector<std::byte> code_;
    std::vector<std::size_t> starts_;
};

std::vector<std::byte> request_for(const socket_query& which) {
    nlmsghdr header{};
    header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    inet_diag_req_v2 what{};
    what.sdiag_family = which.family == ip::family::v6 ? AF_INET6 : AF_INET;
    what.sdiag_protocol = which.over == ip::transport::tcp ? IPPROTO_TCP : IPPROTO_UDP;
    what.idiag_states = mask_of(which.states, which.over);
    what.idiag_ext = static_cast<__u8>(1U << (INET_DIAG_SKMEMINFO - 1) |
                                       (which.ages ? 1U << (INET_DIAG_INFO - 1) : 0));
    condition_list conditions;
    if (which.local_port) {
        conditions.local_port(INET_DIAG_BC_S_EQ, *which.local_port);
    }
    if (which.local_range) {
        conditions.local_port(INET_DIAG_BC_S_GE, which.local_range->first);
        conditions.local_port(INET_DIAG_BC_S_LE, which.local_range->last);
    }
    if (which.peer) {
        conditions.peer(*which.peer);
    }
    const auto code = std::move(conditions).take();
    std::vector<std::byte> made;
    append_value(made, header);
    append_value(made, what);
    if (!code.empty()) {
        append_value(
            made, nlattr{static_cast<__u16>(sizeof(nlattr) + code.size()), INET_DIAG_REQ_BYTECODE});
        append(made, code);
    }
    header.nlmsg_len = static_cast<__u32>(made.size());
    std::memcpy(made.data(), &header, sizeof header);
    return made;
}

sys_result<std::vector<diagnose::socket>> dump(const fd& diag, bytes_view request,
                                               ip::transport over) {
    std::vector<diagnose::socket> all;
    const auto done = read_netlink(diag, request, [&](bytes_view bytes) {
        auto reply = parse_sock_diag(bytes, over);
        std::move(reply.sockets.begin(), reply.sockets.end(), std::back_inserter(all));
        return netlink_state{reply.done, reply.interrupted, reply.malformed, reply.error};
    });
    if (!done) {
        return tl::unexpected{done.error()};
    }
    return all;
}

sys_result<std::vector<diagnose::socket>> dump_again(const fd& diag, bytes_view request,
                                                     ip::transport over) {
    for (int i = 1;; ++i) {
        auto all = dump(diag, request, over);
        if (all || all.error().value() != EAGAIN || i == most_tries) {
            return all;
        }
    }
}

void name_zone(ip::any_endpoint& where) {
    auto* at = std::get_if<ip::endpoint>(&where);
    const auto number = at == nullptr ? std::nullopt : at->address.zone().index();
    if (number) {
        if (const auto name = ip::zone::from_text(interface_name(*number))) {
            at->address = at->address.with_zone(*name);
        }
    }
}

// From the number that the kernel gives.
void name_interface(diagnose::socket& of) {
    if (!of.interface.empty()) {
        const auto name = interface_name(static_cast<std::uint32_t>(std::stoul(of.interface)));
        of.interface = name.empty() ? of.interface : name;
    }
}

struct entering {
    const char* path;
    fd made;
    int error = 0;
};

void* enter_and_open(void* what) {
    auto& job = *static_cast<entering*>(what);
    const fd place{::open(job.path, O_RDONLY | O_CLOEXEC)};
    if (!place || ::setns(place.raw(), CLONE_NEWNET) != 0) {
        job.error = errno;
        return nullptr;
    }
    if (auto made = open_sock_diag()) {
        job.made = std::move(*made);
    } else {
        job.error = made.error().value();
    }
    return nullptr;
}

} // namespace

sys_result<fd> open_sock_diag() {
    return open_netlink(NETLINK_SOCK_DIAG);
}

sys_result<std::vector<diagnose::socket>> inet_sockets(const fd& diag, const socket_query& which) {
    auto all = dump_again(diag, request_for(which), which.over);
    if (all) {
        for (auto& each : *all) {
            name_zone(each.local);
            name_zone(each.peer);
            name_interface(each);
        }
    }
    return all;
}

sys_result<std::vector<diagnose::socket>> unix_sockets(const fd& diag) {
    struct {
        nlmsghdr header;
        unix_diag_req what;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.what.sdiag_family = AF_UNIX;
    request.what.udiag_states = bit(10) | bit(7); // listening, or neither that nor connected
    request.what.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID;
    auto all = dump_again(diag, std::as_bytes(std::span{&request, 1}), ip::transport::tcp);
    if (all) {
        std::erase_if(*all, [&](const auto& each) {
            return !std::holds_alternative<ip::unix_name>(each.local);
        });
    }
    return all;
}

sys_result<fd> open_sock_diag_in(const network_namespace& which) {
    entering job{which.path.c_str(), {}};
    pthread_t helper{};
    if (const int wrong = ::pthread_create(&helper, nullptr, enter_and_open, &job); wrong != 0) {
        return failure(wrong);
    }
    ::pthread_join(helper, nullptr);
    if (job.error != 0) {
        return failure(job.error);
    }
    return std::move(job.made);
}

} // namespace portico::os
