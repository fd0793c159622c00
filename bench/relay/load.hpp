// The loads: each drives one relay for a while, in one thread, half over IPv4 and half over IPv6.
#pragma once

#include "clients.hpp"
#include "stream.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace portico::bench::relay {

// What a load needs to know about the relay that it drives.
struct probe {
    std::function<double()> cpu;        // seconds of CPU time that the relay has used up to now
    std::function<void()> settle{};     // waits until it has got rid of connections that are closed
    std::function<double()> load_cpu{}; // of the load and the origin
    double load_processors = 1;         // that they can use
};

// How one load went.
struct outcome {
    double amount = 0;    // what was counted: connections, round trips, bytes
    double seconds = 0;   // in this time
    double cpu = 0;       // CPU time of the relay for `all`, seconds
    double all = 0;       // as amount, but also what came after the time was over
    double busy = 0;      // of the time, the share in which the relay was running
    double load_busy = 0; // and the load and the origin: near 1, it is they that were the limit
    std::uint64_t failed = 0;
    std::uint64_t lost = 0; // streams that were cut short, or whose bytes were changed
    // Bulk streams to the target that were whole, but whose answer did not come back: the relay has
    // ended both directions when the client ended one.
    std::uint64_t unanswered = 0;
};

// The CPU time of a stretch of a load.
class meter {
public:
    explicit meter(const probe& of);
    void stop(outcome& into) const;
    [[nodiscard]] instant begun() const noexcept { return begun_; }

private:
    const probe* of_;
    instant begun_;
    double cpu_;
    double load_cpu_;
};

// Nothing at all for so long: the relay hangs, and what is open has failed.
constexpr duration patience = std::chrono::seconds{5};
// Connections at a time of the loads `connections`, round trips and paced.
constexpr std::size_t at_a_time = 64;

enum class closing { reset, fin };
// Connect, send 64 bytes, receive them, close; then the next connection. With `fin`, the client
// closes its half and waits for the other one to be closed.
[[nodiscard]] outcome connections(const content& is, std::uint16_t port, closing how, duration time,
                                  const probe& of);

// One message at a time on each of 64 connections.
[[nodiscard]] outcome round_trips(const content& is, std::uint16_t port, std::size_t size,
                                  duration time, const probe& of);

struct paced_outcome {
    outcome sum{};
    std::optional<double> median{}; // seconds; nullopt when the relay did not keep up
    std::optional<double> p99{};
};
// Messages of 64 bytes at a given rate, whether or not earlier ones have come back, over 64
// connections. The time of each is counted from when it was due.
[[nodiscard]] paced_outcome paced(const content& is, std::uint16_t port, double rate, duration time,
                                  const probe& of);

enum class direction { to_target, to_client };
// Eight streams of content, as fast as they go, for a time. One read of 16 is compared.
[[nodiscard]] outcome bulk(const content& is, std::uint16_t port, direction way, duration time,
                           const probe& of);
// Eight streams of so many bytes each, every one compared.
[[nodiscard]] outcome check(const content& is, std::uint16_t port, direction way,
                            std::uint64_t bytes);

// Connections that have each carried 64 bytes there and back, and then nothing more. They end with
// the object.
class idle_connections {
public:
    idle_connections(const content& is, std::uint16_t port, std::size_t count);
    [[nodiscard]] const outcome& result() const noexcept { return result_; } // amount: connections
    // Round trips on all of them once more, 256 at a time: whether they are still whole.
    void use_again();

private:
    void begin(std::size_t which);
    void finish(std::size_t which, went how);
    void run();

    const content* is_;
    route route_;
    events events_;
    std::vector<echo_client> clients_;
    std::vector<bool> active_;
    std::vector<std::byte> room_;
    std::size_t next_ = 0;
    std::size_t open_ = 0;
    bool again_ = false;
    outcome result_{};
};

} // namespace portico::bench::relay
