// The small built-in services over TCP, UNIX sockets and UDP: RFC 862, 863, 864, 867, 868 and a
// greeting. What they say is core/serve.
#pragma once

#include "portico/admit/access.hpp"
#include "portico/run/service.hpp"
#include "portico/serve/builtin.hpp"
#include "portico/serve/datagram_guard.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace portico::run {

struct builtin_options {
    // Bytes of one connection of chargen, at least 1; then comes the end of the stream.
    std::uint64_t chargen_limit = 1 << 20;
    // After an answer that has an end, the connection is read until the client closes it, so that a
    // reset does not destroy what it has not read yet: at most this long, and this many bytes.
    duration linger = std::chrono::seconds{2};
    std::uint64_t linger_bytes = 1 << 20;
};

// Answers every connection with `kind`. echo sends back all that it reads until the end of the
// stream, then ends its own; discard reads until then; the others answer at once, end the stream
// and linger (see builtin_options). A client that does not read holds its answer back: nothing is
// queued but the kernel's buffers. A client that resets the connection before its answer is
// complete is an error of the peer.
//
// Memory: about 300 bytes a connection, and for echo a buffer of 16 KiB that is not touched before
// the first byte. Destroying it closes the connections; their `done` are not called.
[[nodiscard]] std::unique_ptr<stream_service> make_builtin_service(asio::any_io_executor executor,
                                                                   serve::builtin kind,
                                                                   builtin_options options = {});

struct datagram_options {
    admit::access access{}; // of the sources of queries; others are dropped
    std::uint64_t seed = 0; // of the lengths of chargen's datagrams
    // What the answers of all sockets may add to the bytes that came, see
    // serve::amplification_bound: bytes a second, and at once.
    std::uint64_t amplification_rate = 64 << 10;
    std::uint64_t amplification_burst = 64 << 10;
    // What was sent to broadcast addresses, or to groups that the socket has joined, is answered,
    // too; of that each byte counts as added.
    bool broadcasts = false;
    bool multicasts = false;
};

// One query, after it was answered or dropped.
struct datagram_end {
    ip::any_endpoint local; // where it came to or, when that is no single host, who answers
    ip::any_endpoint peer;
    std::uint32_t interface = 0;      // that it came in by; 0 when unknown
    std::size_t received = 0;         // bytes; what is beyond 65,535 is cut off
    std::size_t sent = 0;             // bytes of the answer
    std::optional<serve::drop> why{}; // unset: answered, or discarded as it should be
    std::optional<error> failed{};    // with drop::not_sent: what the kernel said
};

struct datagram_counters {
    std::uint64_t received = 0;
    std::uint64_t answered = 0;
    std::uint64_t failed_reads = 0; // errors of recvmsg(2)
    serve::drop_counters dropped;
};

// Answers the queries that come to UDP and UNIX datagram sockets, from the address that each came
// to. Threads: all calls on the executor's thread or strand.
class datagram_service {
public:
    using heard = std::function<void(const datagram_end&)>;

    // Reads from the datagram sockets among `sockets`, which stay the listener's: end with stop()
    // before they are closed. `tell` is called for each query; it may be empty.
    datagram_service(asio::any_io_executor executor, std::span<const bound_socket> sockets,
                     serve::builtin kind, datagram_options options = {}, heard tell = {});
    datagram_service(const datagram_service&) = delete;
    datagram_service& operator=(const datagram_service&) = delete;
    ~datagram_service(); // stops

    [[nodiscard]] datagram_counters counters() const noexcept;
    // Reads no more. Nothing of it is left on the executor but what is posted and does nothing.
    void stop();

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace portico::run
