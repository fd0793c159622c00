// Reads datagrams from sockets that stay somebody else's.
#pragma once

#include "portico/os/socket.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>

namespace portico::run {

// What is heard of what was sent to many; the rest is dropped.
struct heard_groups {
    bool broadcasts = false;
    bool multicasts = false; // to the groups that the socket has joined
};

// Whether it was sent to many, and is not for us.
[[nodiscard]] bool is_unheard(const os::datagram& query, const heard_groups& heard) noexcept;

// The address of ours that the answer leaves from: the one that was asked or, when many were, one
// of the interface that the query came in by, which os::send_reply() then uses as well. Unset when
// it has none, and of a UNIX socket.
[[nodiscard]] std::optional<ip::address> choose_answer_address(os::datagram& query);

// The port of an IP socket; 0 of a UNIX socket.
[[nodiscard]] std::uint16_t port_of(const ip::any_endpoint& at) noexcept;

// Where a query came to: the address with the port of its socket, or the socket's name.
[[nodiscard]] ip::any_endpoint asked_endpoint(const os::datagram& query,
                                              const ip::any_endpoint& socket);

// Threads: all calls on the executor. Memory: a datagram of the greatest size, for all sockets
// together.
class datagram_reader : public std::enable_shared_from_this<datagram_reader> {
public:
    // One socket. The descriptor belongs to the listener; `watch` only waits for it.
    struct source {
        source(const asio::any_io_executor& executor, const bound_socket& which)
            : watch{executor}, pause{executor}, raw{which.descriptor.raw()}, at{which.at} {}

        asio::posix::stream_descriptor watch;
        asio::steady_timer pause;
        int raw;
        ip::any_endpoint at;
    };
    using handler = std::function<void(const source&, os::datagram&, std::span<std::byte>)>;

    // `take` is called for each datagram, until stop(); what it gets is good within the call.
    datagram_reader(asio::any_io_executor executor, handler take)
        : executor_{std::move(executor)}, take_{std::move(take)} {}

    // Reads from the datagram sockets among these.
    void start(std::span<const bound_socket> open);
    // Nothing of it is left on the executor but what is posted and does nothing.
    void stop();
    // While it is on, datagrams wait in the queues of the sockets.
    void pause(bool on);

    [[nodiscard]] std::uint64_t failed_reads() const noexcept { return failed_reads_; }

private:
    void wait(source& from);
    void rest(source& from);
    void turn(source& from);
    void turn_later(source& from);
    bool read_one(source& from);

    asio::any_io_executor executor_;
    handler take_;
    std::list<source> sources_; // a list: handlers keep references
    std::list<source*> held_;   // those that would read if it were not for the pause
    std::array<std::byte, 65'535> buffer_{};
    std::uint64_t failed_reads_ = 0;
    bool stopped_ = false;
    bool paused_ = false;
};

} // namespace portico::run
