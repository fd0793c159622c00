#include "clients.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::bench::relay {
namespace {

volatile std::sig_atomic_t was_interrupted = 0;

template <typename Answer>
Answer ask(std::uint16_t port, mode what) {
    const os::fd made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const timeval limit{5, 0};
    ::setsockopt(made.raw(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Answer said{};
    if (::connect(made.raw(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
        ::send(made.raw(), &what, 1, MSG_NOSIGNAL) != 1 ||
        ::recv(made.raw(), &said, sizeof said, MSG_WAITALL) != sizeof said) {
        throw_if_interrupted();
        throw std::runtime_error{std::string{"the origin does not answer: "} +
                                 std::strerror(errno)};
    }
    return said;
}

} // namespace

void catch_interrupts() {
    struct sigaction how {};
    how.sa_handler = [](int) { was_interrupted = 1; };
    ::sigaction(SIGINT, &how, nullptr);
    ::sigaction(SIGTERM, &how, nullptr);
    std::signal(SIGPIPE, SIG_IGN); // sendfile(2) has no MSG_NOSIGNAL
}

void throw_if_interrupted() {
    if (was_interrupted != 0) {
        throw interrupted{};
    }
}

route::route(std::uint16_t port) {
    to_v4_.sin_family = AF_INET;
    to_v4_.sin_port = htons(port);
    to_v4_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to_v6_.sin6_family = AF_INET6;
    to_v6_.sin6_port = htons(port);
    to_v6_.sin6_addr = in6addr_loopback;
    // 127.0.1.1 to 127.0.4.250
    for (std::uint32_t i = 0; i < 1000; ++i) {
        sockaddr_in from{};
        from.sin_family = AF_INET;
        from.sin_addr.s_addr = htonl(0x7f000101 + (i / 250 << 8U) + i % 250);
        from_v4_.push_back(from);
    }
    for (unsigned i = 1; i <= v6_sources; ++i) {
        sockaddr_in6 from{};
        from.sin6_family = AF_INET6;
        from.sin6_addr.s6_addr[0] = 0xfd;
        from.sin6_addr.s6_addr[15] = static_cast<std::uint8_t>(i);
        from_v6_.push_back(from);
    }
}

os::fd route::connect(std::size_t client, bool no_delay) {
    const bool v4 = client % 2 == 0;
    os::fd made{::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    const int on = 1;
    const auto& from_v4 = from_v4_[(v4 ? next_v4_++ : 0) % from_v4_.size()];
    const auto& from_v6 = from_v6_[(v4 ? 0 : next_v6_++) % from_v6_.size()];
    ::setsockopt(made.raw(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (no_delay) {
        ::setsockopt(made.raw(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const auto any = [](const auto& of) { return reinterpret_cast<const sockaddr*>(&of); };
    if (::bind(made.raw(), v4 ? any(from_v4) : any(from_v6),
               v4 ? sizeof from_v4 : sizeof from_v6) != 0) {
        return {};
    }
    const int done =
        ::connect(made.raw(), v4 ? any(to_v4_) : any(to_v6_), v4 ? sizeof to_v4_ : sizeof to_v6_);
    return done == 0 || errno == EINPROGRESS ? std::move(made) : os::fd{};
}

events::events() : loop_{::epoll_create1(EPOLL_CLOEXEC)} {
    if (!loop_) {
        throw std::runtime_error{std::string{"epoll_create1: "} + std::strerror(errno)};
    }
}

void events::add(int socket, std::size_t client, std::uint32_t what) {
    epoll_event event{};
    event.events = what | EPOLLET;
    event.data.u64 = client;
    ::epoll_ctl(loop_.raw(), EPOLL_CTL_ADD, socket, &event);
}

std::span<const epoll_event> events::wait(duration most) {
    throw_if_interrupted();
    const auto nanoseconds = std::max<std::int64_t>(most.count(), 0);
    const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    const int count = ::epoll_pwait2(loop_.raw(), ready_.data(), static_cast<int>(ready_.size()),
                                     &limit, nullptr);
    return {ready_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

went echo_client::send(std::uint64_t size) {
    const bool waiting = sent_ < wanted_;
    wanted_ += size;
    return waiting ? went::waits : flush();
}

went echo_client::flush() {
    while (sent_ < wanted_) {
        const auto size = std::min<std::uint64_t>(wanted_ - sent_, content::period);
        ssize_t count = 0;
        if (sent_ == 0) {
            std::array<std::byte, 64> first{};
            const auto part = std::min<std::uint64_t>(size, first.size());
            std::memcpy(first.data(), is_->at(start_), part);
            first[0] = std::byte{static_cast<std::uint8_t>(mode::echo)};
            count = ::send(socket_.raw(), first.data(), part, MSG_NOSIGNAL);
        } else {
            count = ::send(socket_.raw(), is_->at(start_ + sent_), size, MSG_NOSIGNAL);
        }
        if (count < 0) {
            return errno == EAGAIN || errno == EINTR ? went::waits : went::reset;
        }
        sent_ += static_cast<std::uint64_t>(count);
    }
    return went::on;
}

bool echo_client::same(std::uint64_t offset, const std::byte* bytes, std::size_t size) const {
    if (offset > 0) {
        return std::memcmp(bytes, is_->at(start_ + offset), size) == 0;
    }
    return bytes[0] == std::byte{static_cast<std::uint8_t>(mode::echo)} &&
           std::memcmp(bytes + 1, is_->at(start_ + 1), size - 1) == 0;
}

went echo_client::receive(std::vector<std::byte>& room) {
    while (received_ < sent_) {
        const auto size = ::recv(socket_.raw(), room.data(), room.size(), 0);
        if (size < 0) {
            return errno == EAGAIN || errno == EINTR ? went::waits : went::reset;
        }
        if (size == 0) {
            return went::ended;
        }
        const auto count = static_cast<std::size_t>(size);
        if (received_ + count > sent_ || !same(received_, room.data(), count)) {
            return went::wrong;
        }
        received_ += count;
    }
    return went::on;
}

void echo_client::end_by_reset() {
    close_by_reset(socket_);
}

void close_by_reset(os::fd& socket) {
    const linger none{1, 0};
    ::setsockopt(socket.raw(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    socket.reset();
}

counts ask_origin(std::uint16_t port) {
    return ask<counts>(port, mode::counts);
}

std::array<verdict, bulk_streams> ask_verdicts(std::uint16_t port) {
    return ask<std::array<verdict, bulk_streams>>(port, mode::verdicts);
}

} // namespace portico::bench::relay
