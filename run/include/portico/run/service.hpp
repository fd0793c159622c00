// What answers the connections of a listener: a built-in service, a program, a relay.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/run/listen.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace portico::run {

// How one connection went, told once at its end.
struct connection_end {
    std::uint64_t number = 0; // counts the connections of the process from 1
    ip::any_endpoint local;
    ip::any_endpoint peer;
    std::uint64_t received = 0; // bytes from the client
    std::uint64_t sent = 0;     // bytes to the client
    duration lasted{};
    std::optional<error> why{};       // unset: it ended as it should
    std::optional<int> exit_status{}; // of a program: its code, or 128 + the signal
    std::string detail;               // for the log: every attempt of a relay's dial, or empty
};

// One kind of answer to stream connections. Threads: all calls on the executor it was made with.
class stream_service {
public:
    using ended = std::function<void(connection_end)>;

    virtual ~stream_service() = default;
    // Takes the connection over and calls `done` once, later, when it has ended.
    virtual void start(accepted connection, std::uint64_t number, ended done) = 0;
    // Ends every running connection at once, with a reset; their `done` are still called.
    virtual void stop_now() = 0;
};

} // namespace portico::run
