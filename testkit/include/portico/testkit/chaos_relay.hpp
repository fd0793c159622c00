// A relay that treats its connections badly: late, in pieces, and cut.
#pragma once

#include "portico/ip/endpoint.hpp"
#include "portico/os/fd.hpp"
#include "portico/testkit/threads.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

namespace portico::testkit {

struct chaos_options {
    ip::endpoint to{};
    std::uint64_t seed = 1;
    std::size_t longest_piece = 4000; // of what is read and written at once; at least 1
    unsigned late_of_1000 = 30;       // pieces that wait
    std::chrono::microseconds latest{3000};
    // After how many bytes of both directions together a connection is reset on both sides, if
    // at all. It is given the first eight bytes of the client (memcpy), or 0 when there are fewer.
    std::function<std::optional<std::size_t>(std::uint64_t)> cut = nullptr;
};

// Listens on any port of 127.0.0.1. It passes on ends as ends and resets as resets, and changes no
// byte. Threads: one of its own for each connection; `cut` is called on them.
class chaos_relay {
public:
    // Throws std::runtime_error.
    explicit chaos_relay(chaos_options how);
    chaos_relay(const chaos_relay&) = delete;
    chaos_relay& operator=(const chaos_relay&) = delete;
    // Waits for its connections to end.
    ~chaos_relay();

    [[nodiscard]] const ip::endpoint& at() const noexcept { return at_; }
    [[nodiscard]] std::uint64_t cut_so_far() const noexcept { return cut_; }

private:
    void accept_all();
    void relay(os::fd client, std::uint64_t number);

    chaos_options how_;
    os::fd listener_;
    os::fd stop_;
    ip::endpoint at_;
    std::atomic<std::uint64_t> cut_{0};
    threads connections_;
    std::jthread acceptor_;
};

} // namespace portico::testkit
