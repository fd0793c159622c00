// Making sockets, naming them, and asking for their names.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"

namespace portico::os {
namespace {

// AF_UNSPEC for std::monostate.
int domain_of(const ip::any_endpoint& kind) noexcept {
    if (const auto* endpoint = std::get_if<ip::endpoint>(&kind)) {
        return endpoint->address.is_v4() ? AF_INET : AF_INET6;
    }
    return std::holds_alternative<ip::unix_name>(kind) ? AF_UNIX : AF_UNSPEC;
}

using naming_call = int(int, sockaddr*, socklen_t*);

sys_result<ip::any_endpoint> name_by(naming_call* ask, int s) noexcept {
    sockaddr_bytes name;
    name.size = sizeof name.storage;
    if (ask(s, name.data(), &name.size) < 0) {
        return failure(errno);
    }
    return from_sockaddr(name);
}

} // namespace

sys_result<fd> socket(const ip::any_endpoint& kind, ip::transport over) noexcept {
    const int domain = domain_of(kind);
    if (domain == AF_UNSPEC) {
        return failure(EINVAL);
    }
    const int type = over == ip::transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
    fd made{::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_status bind(const fd& s, const ip::any_endpoint& at) noexcept {
    const auto name = to_sockaddr(at);
    if (!name) {
        return tl::unexpected{name.error()};
    }
    return status_of(::bind(s.raw(), name->data(), name->size));
}

sys_status listen(const fd& s, int backlog) noexcept {
    return status_of(::listen(s.raw(), backlog));
}

sys_result<ip::any_endpoint> getsockname(int s) noexcept {
    return name_by(&::getsockname, s);
}

sys_result<ip::any_endpoint> getpeername(int s) noexcept {
    return name_by(&::getpeername, s);
}

sys_status connect(const fd& s, const ip::any_endpoint& to) noexcept {
    const auto name = to_sockaddr(to);
    if (!name) {
        return tl::unexpected{name.error()};
    }
    if (::connect(s.raw(), name->data(), name->size) == 0) {
        return {};
    }
    // After EINTR the connection goes on being made (connect(2)); a second call would only say
    // EALREADY.
    return failure(errno == EINTR ? EINPROGRESS : errno);
}

sys_status so_error(int s) noexcept {
    int pending = 0;
    socklen_t size = sizeof pending;
    if (::getsockopt(s, SOL_SOCKET, SO_ERROR, &pending, &size) < 0) {
        return failure(errno);
    }
    if (pending != 0) {
        return failure(pending);
    }
    return {};
}

sys_result<accepted_socket> accept4(int listener) noexcept {
    sockaddr_bytes peer;
    const int made = without_eintr([&] {
        peer.size = sizeof peer.storage;
        return ::accept4(listener, peer.data(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    });
    if (made < 0) {
        return failure(errno);
    }
    return accepted_socket{fd{made}, from_sockaddr(peer)};
}

} // namespace portico::os
