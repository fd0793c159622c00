#include "relay/calls.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::run::calls {
namespace {

template <class Call>
ssize_t result_of(Call call) noexcept {
    ssize_t got = -1;
    do {
        got = call();
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

} // namespace

ip::any_endpoint peer_name::endpoint() const noexcept {
    os::sockaddr_bytes bytes;
    bytes.size = any.sa_family == AF_INET    ? sizeof v4
                 : any.sa_family == AF_INET6 ? sizeof v6
                                             : sizeof any.sa_family;
    std::memcpy(&bytes.storage, this, bytes.size);
    return os::from_sockaddr(bytes);
}

int accept(int listener, peer_name& peer) noexcept {
    // What does not fit, a UNIX client's name, is cut off.
    return static_cast<int>(result_of([&] {
        socklen_t size = sizeof peer;
        return static_cast<ssize_t>(
            ::accept4(listener, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    }));
}

int connect(int which, const os::sockaddr_bytes& to) noexcept {
    // An interrupted connect(2) goes on; so would a second call, with EALREADY.
    const int done = ::connect(which, to.data(), to.size);
    return done == 0 ? 0 : errno == EINTR ? -EINPROGRESS : -errno;
}

ssize_t recv(int from, std::span<std::byte> into) noexcept {
    return result_of([&] { return ::recv(from, into.data(), into.size(), 0); });
}

ssize_t peek(int from, std::span<std::byte> into) noexcept {
    return result_of([&] { return ::recv(from, into.data(), into.size(), MSG_PEEK); });
}

ssize_t send(int to, std::span<const std::byte> bytes) noexcept {
    return result_of([&] { return ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
}

// splice() into a socket whose peer is gone would raise SIGPIPE like write(2), but sockets made by
// Linux's TCP take MSG_NOSIGNAL on the way from a pipe (splice_to_socket() in fs/splice.c, since
// 6.5). Before that the engine does not splice: see can_splice() in moving.cpp.
ssize_t splice(int from, int to, std::size_t most) noexcept {
    return result_of([&] {
        return ::splice(from, nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    });
}

void shutdown_send(int which) noexcept {
    // It fails when that side has reset the connection; reading from it tells.
    static_cast<void>(::shutdown(which, SHUT_WR));
}

void close(int which, bool reset) noexcept {
    if (reset) {
        static_cast<void>(os::set_linger_reset(which));
    }
    ::close(which);
}

std::size_t unsent(int which) noexcept {
    int bytes = 0;
    return ::ioctl(which, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

os::fd epoll() noexcept {
    return os::fd{::epoll_create1(EPOLL_CLOEXEC)};
}

int watch(int epoll, int which, std::uint32_t events, std::uint64_t tag) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, which, &event) == 0 ? 0 : -errno;
}

int watch_again(int epoll, int which, std::uint32_t events, std::uint64_t tag) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    return ::epoll_ctl(epoll, EPOLL_CTL_MOD, which, &event) == 0 ? 0 : -errno;
}

void unwatch(int epoll, int which) noexcept {
    static_cast<void>(::epoll_ctl(epoll, EPOLL_CTL_DEL, which, nullptr));
}

std::size_t wait(int epoll, std::span<epoll_event> events, int milliseconds) noexcept {
    const int got =
        ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), milliseconds);
    return got < 0 ? 0 : static_cast<std::size_t>(got);
}

} // namespace portico::run::calls
