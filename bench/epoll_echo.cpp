// A contestant: an echo server on plain epoll, one thread, one IPv6 and one IPv4 socket, and
// nothing else: no log, no limit, no back-pressure. epoll_echo PORT

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

int listen_on(int family, std::uint16_t port) {
    const int s = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage at{};
    socklen_t size = sizeof(sockaddr_in);
    if (family == AF_INET6) {
        ::setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        size = sizeof(sockaddr_in6);
        reinterpret_cast<sockaddr_in6*>(&at)->sin6_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in*>(&at)->sin_port = htons(port);
    }
    at.ss_family = static_cast<sa_family_t>(family);
    if (::bind(s, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(s, SOMAXCONN) != 0) {
        std::cerr << "epoll_echo: cannot listen\n";
        std::exit(111);
    }
    return s;
}

void watch(int loop, int s) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = s;
    ::epoll_ctl(loop, EPOLL_CTL_ADD, s, &event);
}

void echo(int s) {
    std::array<char, 4096> bytes;
    const auto size = ::recv(s, bytes.data(), bytes.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0 ||
        ::send(s, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) != size) {
        ::close(s);
    }
}

} // namespace

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc == 2 ? std::atoi(argv[1]) : 0);
    const std::array<int, 2> listeners{listen_on(AF_INET6, port), listen_on(AF_INET, port)};
    const int loop = ::epoll_create1(EPOLL_CLOEXEC);
    watch(loop, listeners[0]);
    watch(loop, listeners[1]);
    std::array<epoll_event, 64> ready;
    for (;;) {
        const int count = ::epoll_wait(loop, ready.data(), static_cast<int>(ready.size()), -1);
        for (int i = 0; i < count; ++i) {
            const int s = ready[static_cast<std::size_t>(i)].data.fd;
            if (s != listeners[0] && s != listeners[1]) {
                echo(s);
                continue;
            }
            const int client = ::accept4(s, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (client >= 0) {
                watch(loop, client);
            }
        }
    }
}
