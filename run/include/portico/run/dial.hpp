// Reaching a service on any of its addresses: core/race driven by Boost.Asio.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/ip/prefix.hpp"
#include "portico/ip/service.hpp"
#include "portico/os/fd.hpp"
#include "portico/race/memory.hpp"
#include "portico/race/race.hpp"
#include "portico/run/completion.hpp"
#include "portico/run/stream.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace portico::run {

// Where and how to connect.
struct dial_request {
    std::string host; // a name, an address without brackets, or "unix:/path", "unix:@name", "/path"
    std::string port; // a number from 1 to 65535 or a service name; empty for UNIX sockets
    ip::transport over = ip::transport::tcp;
    std::optional<ip::family> only{};  // -4 or -6
    std::optional<duration> timeout{}; // for the whole dial; unset: as long as the kernel tries
    duration attempt_delay = std::chrono::milliseconds{250};   // RFC 8305 section 5
    duration resolution_delay = std::chrono::milliseconds{50}; // RFC 8305 section 3
    std::optional<ip::endpoint> from{}; // local address; only its family is tried; port 0: any
    std::string interface {};           // SO_BINDTODEVICE, and the zone of a bare fe80:: address
    bool no_delay = true;               // TCP_NODELAY
    std::optional<std::chrono::seconds> dead_after{}; // see os::set_dead_after()
    std::string via{}; // "socks5://[user:password@]host:port", "http://..."; empty: direct
    // Asked just before each attempt (not of UNIX sockets): false, and it fails with EACCES. With
    // the NAT64 prefixes that were found on the way (RFC 7050), in one of which `to` may be. Called
    // on the executor; may be empty.
    std::function<bool(const ip::endpoint& to, std::span<const ip::prefix> translators)> allowed{};
    // What won before, shared between dials; null: nothing is remembered.
    std::shared_ptr<race::memory> memory{};
};

// How it went. The race is towards the proxy when there is one; UDP sockets and UNIX names have one
// attempt that ends at once.
struct dial_outcome {
    os::fd socket; // connected and non-blocking; empty when the dial failed
    ip::any_endpoint local;
    ip::any_endpoint peer;
    race::report story;
    std::vector<std::byte> early; // what came right behind the proxy's answer: read it first
    std::optional<error> why{};
    // For a person, in one line: "example.org:80: connected to ...", every address and its own
    // error, what the proxy said, or what is wrong with the request and how to write it.
    std::string text;
};

namespace detail {
void start_dial(const asio::any_io_executor& executor, dial_request request,
                completion<dial_outcome> done);
}

// Resolves, races and, with `via`, asks the proxy; completes with void(dial_outcome). Never throws
// for what the network does: failures are in the outcome, with every address and its own error.
// Cancellation: total; losers are closed.
template <class Token>
auto async_dial(asio::any_io_executor executor, dial_request request, Token&& token) {
    return asio::async_initiate<Token, void(dial_outcome)>(
        [](auto handler, asio::any_io_executor ex, dial_request what) {
            detail::start_dial(ex, std::move(what),
                               completion<dial_outcome>{std::move(handler), ex});
        },
        token, executor, std::move(request));
}

} // namespace portico::run
