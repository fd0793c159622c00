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
};

struct pump_outcome {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    bool output_closed = false; // nobody reads `out` any more; that ended it, and is no error
    bool cut_short = false;     // the peer closed, and then took no more of the input
    std::optional<error> why{};
};

// Moves bytes both ways until the peer has sent all it has: `in` to the socket, whose end becomes a
// FIN (RFC 9293 section 3.6, half-close); the socket to `out`, read to its end. When the peer ends
// first, the rest of `in` is still sent, unless `in` is a terminal.
//
// Blocks in poll(2); nothing else here blocks, as long as `out` takes PIPE_BUF bytes when poll(2)
// says so, which pipes, terminals, sockets and files do. `in` and `out` may be anything, also
// closed (then empty, or nobody's), and are not made non-blocking: that flag would be shared with
// the shell they came from. SIGPIPE is never raised. Memory: two buffers of 64 KiB. Threads: blocks
// this one. Errors: the peer's reset, an ICMP refusal of datagrams, the idle limit, reading or
// writing.
[[nodiscard]] pump_outcome pump(int in, int out, os::fd socket, pump_options how = {});

} // namespace portico::run
