// What the load and the origin agree on: the bytes of every stream, so that each end can tell one
// that is lost, doubled or changed, and the few bytes in which the load says what it wants.
#pragma once

#include "portico/os/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace portico::bench::relay {

// The first byte of a connection.
enum class mode : std::uint8_t {
    echo = 'e',     // all of it comes back, this byte too
    sink = 'k',     // an order, then content until the end; the answer is a verdict
    source = 's',   // an order; the answer is content
    counts = 'c',   // the answer is counts
    verdicts = 'v', // the answer is one verdict for each bulk stream: those of the last sinks
};

// Both ends are on one machine: these travel as they lie in memory. The first byte of `what` is the
// mode (little-endian).
struct order {
    std::uint64_t what = 0;
    std::uint64_t start = 0;  // where in the content the stream begins
    std::uint64_t size = 0;   // source: how many bytes
    std::uint64_t every = 1;  // sink: compare one read of so many; all are counted
    std::uint64_t stream = 0; // sink: which one it is
};

constexpr std::uint16_t origin_port = 7000; // of the private network

// Connections of the bulk loads.
constexpr std::size_t bulk_streams = 8;

struct verdict {
    std::uint64_t bytes = 0;
    std::uint64_t wrong = 0; // reads that were not the content
};

struct counts {
    std::uint64_t open = 0; // without the connection that asks
    std::uint64_t accepted = 0;
    std::uint64_t ends = 0;   // the other side closed its half in good order
    std::uint64_t resets = 0; // or reset the connection
};

// Fixed pseudo-random bytes with a period of 1 MiB: what a stream carries at each offset.
class content {
public:
    static constexpr std::size_t period = std::size_t{1} << 20;

    content();
    // At least `period` bytes.
    [[nodiscard]] const std::byte* at(std::uint64_t offset) const noexcept {
        return bytes_.data() + offset % period;
    }
    // One period as a file in memory, for sendfile(2). Throws std::runtime_error.
    [[nodiscard]] os::fd file() const;

private:
    std::vector<std::byte> bytes_; // two periods
};

enum class went { on, waits, ended, reset, wrong };

// Sends content without copying it, so that the sender costs next to nothing beside the relay.
class content_sender {
public:
    content_sender(int file, std::uint64_t start) : file_{file}, at_{start} {}
    // Up to `most` bytes in one call.
    went send(int socket, std::uint64_t most);
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    int file_;
    std::uint64_t at_;
    std::uint64_t bytes_ = 0;
};

// Reads content: counts every byte, compares one read of `every` and drops the others in the kernel
// (MSG_TRUNC, tcp(7)), for the same reason. A byte lost in between shifts all that comes after it.
class content_reader {
public:
    content_reader(const content& is, std::uint64_t start, std::uint64_t every)
        : is_{&is}, at_{start}, every_{every} {}
    // One read; `into` is room for it.
    went read(int socket, std::vector<std::byte>& into);
    // What has been read already.
    went take(const std::byte* bytes, std::size_t size);
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    const content* is_;
    std::uint64_t at_;
    std::uint64_t every_;
    std::uint64_t reads_ = 0;
    std::uint64_t bytes_ = 0;
};

} // namespace portico::bench::relay
