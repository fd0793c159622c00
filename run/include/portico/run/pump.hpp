// Moving bytes between a connected socket and a pair of descriptors such as stdin and stdout.
#pragma once

#include "portico/base/error.hpp"
#include "portico/base/instant.hpp"
#include "portico/os/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace portico::run {

struct pump_options {
    bool datagrams = false;         // each read of `in` is one datagram, and there is no FIN
    std::optional<duration> idle{}; // ETIMEDOUT when no byte moves for so long
    duration after_input = std::chrono::seconds{2}; // datagrams: how long to wait for answers
    std::vector<std::byte> early{}; // written to `out` before anything that is received
    std::vector<std::vector<std::byte>> first{}; // datagrams that are sent before any of `in`
};

struct pump_outcome {
    enum class end : std::uint8_t { input, output, network };

    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    bool output_closed = false; // nobody reads `out` any more; that ended it, and is no error
    bool cut_short = false;     // the peer closed, and then took no more of the input
    bool was_idle = false;      // `why` is that no byte moved for pump_options::idle
    std::optional<error> why{};
    end failed_at = end::network; // where `why` happened
    // Datagrams, when the first thing that came was a refusal (ECONNREFUSED, from ICMP): what it
    // may have been about, to be sent elsewhere. Unset when that was more than 64 KiB.
    std::optional<std::vector<std::vector<std::byte>>> refused{};
    bool input_ended = false; // `in` has been read to its end
};

// Moves bytes both ways until the peer has sent all it has: `in` to the socket, whose end becomes a
// FIN (RFC 9293 section 3.6, half-close); the socket to `out`, read to its end. When the peer ends
// first, the rest of `in` is still sent, unless `in` is a terminal.
//
// Blocks in poll(2); nothing else here blocks, as long as `out` takes PIPE_BUF bytes when poll(2)
// says so, which pipes, terminals, sockets and files do. `in` and `out` may be anything, also
// closed (then empty, or nobody's), and are not made non-blocking: that flag would be shared with
// the shell they came from. SIGPIPE is never raised. Memory: two buffers of 64 KiB. Threads: blocks
// this one. Errors: the peer's reset, an ICMP refusal of datagrams, the idle limit, reading `in` or
// writing `out`.
// Without an input (-1) it is one that has ended.
[[nodiscard]] pump_outcome pump(int in, int out, os::fd socket, pump_options how = {});

} // namespace portico::run
