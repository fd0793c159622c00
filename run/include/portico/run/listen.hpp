// Listening on every address: from wishes to bound sockets, and accepting from all of them.
#pragma once

#include "portico/base/error.hpp"
#include "portico/os/fd.hpp"
#include "portico/plan/plan.hpp"
#include "portico/run/completion.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include <memory>
#include <span>
#include <vector>

namespace portico::run {

namespace asio = boost::asio;

// A connected stream of any family: TCP over IPv4 or IPv6, or UNIX.
using stream = asio::generic::stream_protocol::socket;

// One open socket of a listener.
struct bound_socket {
    os::fd descriptor;   // listening when it is a stream socket; non-blocking
    ip::any_endpoint at; // from getsockname: the real port
    ip::transport over = ip::transport::tcp;
    std::size_t wish = 0;    // index into the wishes
    std::size_t planned = 0; // index into the plan
};

// What happened to one planned socket.
struct open_attempt {
    std::size_t planned = 0;    // index into the plan's sockets
    ip::any_endpoint at;        // bound, or tried
    std::optional<error> why{}; // unset: it is open
    std::vector<std::string>
        remarks; // options that could not be set, a stale socket file removed, ...
};

// The whole story of a start.
struct listen_report {
    plan::plan made;
    std::vector<open_attempt> attempts; // in the order of opening
    std::optional<error> why{};         // unset: the start is a success
    std::string text() const;           // every attempt and its error, for a person
};

// Counters of accepting; each event is counted once.
struct accept_counters {
    std::uint64_t accepted = 0;
    std::uint64_t aborted =
        0; // ECONNABORTED, EPROTO and the network errors of accept(2): passed over
    std::uint64_t shed =
        0; // accepted on the spare descriptor and closed at once: out of descriptors
    std::uint64_t backed_off =
        0; // pauses: out of memory, or out of descriptors in the whole system
};

struct accepted {
    os::fd socket; // non-blocking, close-on-exec
    ip::any_endpoint local;
    ip::any_endpoint peer; // as the kernel gave it; see ip::canonical()
    std::size_t wish = 0;
};

// All the sockets of a start. Move-only. Threads: all calls on the executor's thread or strand.
// (the owner of this room shapes the members: sockets(), async_accept(token) ->
// void(result<accepted>), counters(), close())
class listener;

struct listen_outcome {
    std::unique_ptr<listener> sockets; // null when the start failed
    listen_report report;
};

// Resolves the names among the wishes, gathers facts, plans, opens. Completes with
// void(listen_outcome). Cancellation: total; a name that resolves slowly is given up at `until`.
// template <class Token> auto async_listen(asio::any_io_executor, std::vector<plan::wish>, deadline
// until, Token&&);

} // namespace portico::run
