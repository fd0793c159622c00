// The service behind the relays: relay_origin PORT, on 127.0.0.1 and ::1, one thread. What each
// connection is for says its first byte; see stream.hpp. Ends when its stdin does.

#include "stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::bench::relay {
namespace {

constexpr std::size_t turns =
    16; // reads or writes of one bulk connection before it is others' turn

int listen_on(int family, std::uint16_t port) {
    const int s = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // accepted sockets have it too
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = htons(port);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = htons(port);
    const int bound = family == AF_INET6 ? ::bind(s, reinterpret_cast<sockaddr*>(&v6), sizeof v6)
                                         : ::bind(s, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
    if (bound != 0 || ::listen(s, SOMAXCONN) != 0) {
        std::cerr << "relay_origin: cannot listen at port " << port << ": " << std::strerror(errno)
                  << '\n';
        std::exit(111);
    }
    return s;
}

class origin {
public:
    explicit origin(std::uint16_t port)
        : file_{is_.file()}, loop_{::epoll_create1(EPOLL_CLOEXEC)},
          listeners_{listen_on(AF_INET, port), listen_on(AF_INET6, port)}, room_(256 * 1024) {
        watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
        watch(listeners_[0], EPOLLIN, EPOLL_CTL_ADD);
        watch(listeners_[1], EPOLLIN, EPOLL_CTL_ADD);
    }

    void run() {
        std::array<epoll_event, 128> ready{};
        for (;;) {
            const int count = ::epoll_wait(loop_.raw(), ready.data(), ready.size(), -1);
            for (int i = 0; i < count; ++i) {
                const int s = ready[static_cast<std::size_t>(i)].data.fd;
                if (s == STDIN_FILENO) {
                    return;
                }
                if (s == listeners_[0] || s == listeners_[1]) {
                    accept_from(s);
                } else if (clients_[static_cast<std::size_t>(s)]) {
                    go_on(s, *clients_[static_cast<std::size_t>(s)],
                          ready[static_cast<std::size_t>(i)].events);
                }
            }
        }
    }

private:
    struct client {
        std::optional<mode> what{};
        order wanted{};
        std::size_t order_bytes = 0;
        std::optional<content_reader> reader{};
        std::optional<content_sender> sender{};
        std::uint64_t wrong = 0;
        std::vector<std::byte> unsent{}; // echo: not read on before it is sent
    };

    void watch(int s, std::uint32_t events, int how) {
        epoll_event event{};
        event.events = events;
        event.data.fd = s;
        ::epoll_ctl(loop_.raw(), how, s, &event);
    }

    void accept_from(int listener) {
        for (int i = 0; i < 64; ++i) {
            const int s = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (s < 0) {
                return;
            }
            const auto index = static_cast<std::size_t>(s);
            clients_.resize(std::max(clients_.size(), index + 1));
            clients_[index] = std::make_unique<client>();
            ++counts_.accepted;
            ++counts_.open;
            watch(s, EPOLLIN, EPOLL_CTL_ADD);
        }
    }

    void close(int s, std::uint64_t* why) {
        clients_[static_cast<std::size_t>(s)].reset();
        ::close(s);
        --counts_.open;
        if (why != nullptr) {
            ++*why;
        }
    }

    void go_on(int s, client& self, std::uint32_t what) {
        if ((what & EPOLLERR) != 0) {
            close(s, &counts_.resets);
            return;
        }
        switch (self.what.value_or(mode::echo)) {
        case mode::sink:
            sink(s, self);
            return;
        case mode::source:
            source(s, self);
            return;
        default:
            break;
        }
        if (!self.unsent.empty() && !send_rest(s, self)) {
            return;
        }
        const auto size = ::recv(s, room_.data(), 64 * 1024, 0);
        if (size > 0) {
            take(s, self, static_cast<std::size_t>(size));
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(s, size == 0 ? &counts_.ends : &counts_.resets);
        }
    }

    // What has been read is in room_: the first bytes of a connection, or what shall go back.
    void take(int s, client& self, std::size_t size) {
        if (!self.what) {
            self.what = static_cast<mode>(room_[0]);
        }
        switch (*self.what) {
        case mode::echo:
            echo(s, self, size);
            return;
        case mode::sink:
        case mode::source:
            take_order(s, self, size);
            return;
        case mode::counts:
            tell_counts(s);
            return;
        case mode::verdicts:
            static_cast<void>(::send(s, said_.data(), sizeof said_, MSG_NOSIGNAL));
            said_ = {};
            close(s, nullptr);
            return;
        }
        std::cerr << "relay_origin: a connection begins with a byte that nobody sent\n";
        close(s, nullptr);
    }

    void echo(int s, client& self, std::size_t size) {
        const auto sent = ::send(s, room_.data(), size, MSG_NOSIGNAL);
        if (sent == static_cast<ssize_t>(size)) {
            return;
        }
        if (sent < 0 && errno != EAGAIN) {
            close(s, &counts_.resets);
            return;
        }
        self.unsent.assign(room_.begin() + std::max<ssize_t>(sent, 0),
                           room_.begin() + static_cast<ssize_t>(size));
        watch(s, EPOLLOUT, EPOLL_CTL_MOD);
    }

    // The order may come with the first bytes of the content behind it, or, rarely, in pieces.
    void take_order(int s, client& self, std::size_t size) {
        self.order_bytes = std::min(size, sizeof self.wanted);
        std::memcpy(&self.wanted, room_.data(), self.order_bytes);
        if (size > sizeof self.wanted && *self.what == mode::sink) {
            begin_reading(self);
            const auto how =
                self.reader->take(room_.data() + sizeof self.wanted, size - sizeof self.wanted);
            self.wrong += how == went::wrong ? 1U : 0U;
        }
        go_on(s, self, 0);
    }

    void begin_reading(client& self) {
        self.reader.emplace(is_, self.wanted.start, std::max<std::uint64_t>(self.wanted.every, 1));
    }

    // True when all is sent.
    bool send_rest(int s, client& self) {
        const auto sent = ::send(s, self.unsent.data(), self.unsent.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            close(s, &counts_.resets);
            return false;
        }
        self.unsent.erase(self.unsent.begin(), self.unsent.begin() + std::max<ssize_t>(sent, 0));
        if (!self.unsent.empty()) {
            return false;
        }
        watch(s, EPOLLIN, EPOLL_CTL_MOD);
        return true;
    }

    bool has_order(int s, client& self) {
        auto* into = reinterpret_cast<std::byte*>(&self.wanted);
        const auto missing = sizeof self.wanted - self.order_bytes;
        if (missing > 0) {
            const auto size = ::recv(s, into + self.order_bytes, missing, 0);
            if (size == 0 || (size < 0 && errno != EAGAIN)) {
                close(s, size == 0 ? &counts_.ends : &counts_.resets);
                return false;
            }
            self.order_bytes += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
        }
        return self.order_bytes == sizeof self.wanted;
    }

    void sink(int s, client& self) {
        if (!has_order(s, self)) {
            return;
        }
        if (!self.reader) {
            begin_reading(self);
        }
        for (std::size_t i = 0; i < turns; ++i) {
            const auto how = self.reader->read(s, room_);
            self.wrong += how == went::wrong ? 1U : 0U;
            if (how == went::waits) {
                return;
            }
            if (how == went::reset) {
                close(s, &counts_.resets);
                return;
            }
            if (how == went::ended) {
                const verdict said{self.reader->bytes(), self.wrong};
                said_[self.wanted.stream % said_.size()] = said;
                static_cast<void>(::send(s, &said, sizeof said, MSG_NOSIGNAL));
                close(s, &counts_.ends);
                return;
            }
        }
    }

    void source(int s, client& self) {
        if (!self.sender) {
            if (!has_order(s, self)) {
                return;
            }
            self.sender.emplace(file_.raw(), self.wanted.start);
            watch(s, EPOLLOUT, EPOLL_CTL_MOD);
        }
        for (std::size_t i = 0; i < turns; ++i) {
            const auto left = self.wanted.size - self.sender->bytes();
            if (left == 0) {
                close(s, &counts_.ends);
                return;
            }
            const auto how = self.sender->send(s, left);
            if (how == went::reset) {
                close(s, &counts_.resets);
            }
            if (how != went::on) {
                return;
            }
        }
    }

    void tell_counts(int s) {
        auto said = counts_;
        --said.open;
        static_cast<void>(::send(s, &said, sizeof said, MSG_NOSIGNAL));
        close(s, nullptr);
    }

    content is_;
    os::fd file_;
    os::fd loop_;
    std::array<int, 2> listeners_;
    std::vector<std::byte> room_;
    std::vector<std::unique_ptr<client>> clients_; // by descriptor
    counts counts_{};
    std::array<verdict, bulk_streams> said_{};
};

} // namespace
} // namespace portico::bench::relay

int main(int argc, char** argv) {
    const int port = argc == 2 ? std::atoi(argv[1]) : 0;
    if (port < 1 || port > 65535) {
        std::cerr << "usage: relay_origin PORT\n";
        return 100;
    }
    std::signal(SIGPIPE, SIG_IGN); // sendfile(2) has no MSG_NOSIGNAL
    portico::bench::relay::origin{static_cast<std::uint16_t>(port)}.run();
    return 0;
}
