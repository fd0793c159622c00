// Client connections of the load: where they come from, where they go, and what they carry.
#pragma once

#include "stream.hpp"

#include "portico/base/instant.hpp"
#include "portico/os/fd.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include <netinet/in.h>
#include <sys/epoll.h>

namespace portico::bench::relay {

// Somebody pressed control-C: thrown by everything that waits.
struct interrupted : std::runtime_error {
    interrupted() : std::runtime_error{"interrupted"} {}
};
// From now on SIGINT and SIGTERM make throw_if_interrupted() throw, and SIGPIPE is ignored.
void catch_interrupts();
void throw_if_interrupted();

// Where the load connects to and from. Even clients use IPv4, odd ones IPv6, each from the next
// source address of its family, so that no run waits for ports.
class route {
public:
    explicit route(std::uint16_t port);
    // A socket that is being connected, or none. TCP_NODELAY is for those that send more than once.
    [[nodiscard]] os::fd connect(std::size_t client, bool no_delay = true);

    // 64 addresses that have to be added to the loopback device: fd00::1 to fd00::40.
    static constexpr unsigned v6_sources = 64;

private:
    sockaddr_in to_v4_{};
    sockaddr_in6 to_v6_{};
    std::vector<sockaddr_in> from_v4_;
    std::vector<sockaddr_in6> from_v6_;
    std::size_t next_v4_ = 0;
    std::size_t next_v6_ = 0;
};

// An edge-triggered epoll loop. Each event carries the number of a client.
class events {
public:
    events();
    void add(int socket, std::size_t client, std::uint32_t what);
    // What happened, or nothing after this time.
    [[nodiscard]] std::span<const epoll_event> wait(duration most);

private:
    os::fd loop_;
    std::array<epoll_event, 128> ready_{};
};

// A connection to the echo service: each byte that comes back is compared with the one sent.
class echo_client {
public:
    echo_client() = default;
    echo_client(os::fd socket, const content& is, std::uint64_t start)
        : socket_{std::move(socket)}, is_{&is}, start_{start} {}

    // Sends so many bytes more, as far as the socket takes them now.
    went send(std::uint64_t size);
    // Sends what the socket did not take before.
    went flush();
    // Reads what is there, until all that was sent has come back or nothing more is there.
    went receive(std::vector<std::byte>& room);

    [[nodiscard]] bool answered() const noexcept { return received_ == wanted_; }
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] int raw() const noexcept { return socket_.raw(); }
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }

    void end() { socket_.reset(); }
    // Not with a FIN but with a RST (SO_LINGER of 0, socket(7)).
    void end_by_reset();

private:
    [[nodiscard]] bool same(std::uint64_t offset, const std::byte* bytes, std::size_t size) const;

    os::fd socket_;
    const content* is_ = nullptr;
    std::uint64_t start_ = 0;
    std::uint64_t wanted_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

// Closes with a reset.
void close_by_reset(os::fd& socket);
// What the origin has counted, asked without a relay. Throws std::runtime_error.
[[nodiscard]] counts ask_origin(std::uint16_t port);
[[nodiscard]] std::array<verdict, bulk_streams> ask_verdicts(std::uint16_t port);

} // namespace portico::bench::relay
