// Moving bytes, never raising SIGPIPE.

#include "portico/os/sigpipe.hpp"
#include "portico/os/socket.hpp"
#include "socket/call.hpp"

#include <csignal>
#include <unistd.h>

namespace portico::os {
namespace {

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
