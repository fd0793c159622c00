// Moving bytes, never raising SIGPIPE.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"

#include <csignal>
#include <ctime>
#include <unistd.h>

namespace portico::os {
namespace {

// Keeps a SIGPIPE of this thread from being delivered while it lives.
//
// The kernel sends the SIGPIPE of a write to the writing thread, so blocking it in this thread is
// enough, and neither another thread nor the disposition notices. One that was pending before
// belongs to somebody else and is left.
class sigpipe_held {
public:
    sigpipe_held() noexcept {
        sigset_t pending;
        ::sigemptyset(&pending);
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, only_sigpipe(), &before_);
    }
    sigpipe_held(const sigpipe_held&) = delete;
    sigpipe_held& operator=(const sigpipe_held&) = delete;
    ~sigpipe_held() {
        const int number = errno;
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = number;
    }

    // Takes away the signal that our write has raised, also where SIGPIPE is ignored: a blocked
    // signal is kept pending whatever its disposition is. sigtimedwait(2) prefers signals of the
    // thread to those of the process.
    void take() const noexcept {
        const int number = errno;
        constexpr timespec at_once{0, 0};
        if (!was_pending_) {
            static_cast<void>(
                without_eintr([&] { return ::sigtimedwait(only_sigpipe(), nullptr, &at_once); }));
        }
        errno = number;
    }

private:
    static const sigset_t* only_sigpipe() noexcept {
        static const sigset_t set = [] {
            sigset_t made;
            ::sigemptyset(&made);
            ::sigaddset(&made, SIGPIPE);
            return made;
        }();
        return &set;
    }

    sigset_t before_{};
    bool was_pending_ = false;
};

// A write that was cut short may have raised it too: the readers of a pipe can go away half-way.
ssize_t write_quietly(int to, std::span<const std::byte> bytes) noexcept {
    const sigpipe_held held;
    const ssize_t done = without_eintr([&] { return ::write(to, bytes.data(), bytes.size()); });
    if (done < 0 ? errno == EPIPE : static_cast<std::size_t>(done) < bytes.size()) {
        held.take();
    }
    return done;
}

} // namespace

sys_result<std::size_t> recv(int s, std::span<std::byte> into) noexcept {
    return size_of(without_eintr([&] { return ::recv(s, into.data(), into.size(), 0); }));
}

sys_result<std::size_t> send(int s, std::span<const std::byte> bytes) noexcept {
    return size_of(
        without_eintr([&] { return ::send(s, bytes.data(), bytes.size(), MSG_NOSIGNAL); }));
}

sys_status shutdown_send(int s) noexcept {
    return status_of(::shutdown(s, SHUT_WR));
}

sys_result<std::size_t> read(int from, std::span<std::byte> into) noexcept {
    return size_of(without_eintr([&] { return ::read(from, into.data(), into.size()); }));
}

sys_result<std::size_t> write(int to, std::span<const std::byte> bytes) noexcept {
    auto sent = send(to, bytes);
    if (sent || sent.error().value() != ENOTSOCK) {
        return sent;
    }
    return size_of(write_quietly(to, bytes));
}

} // namespace portico::os
