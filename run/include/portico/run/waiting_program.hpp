// A program that takes its clients itself, from the socket: what inetd calls wait.
#pragma once

#include "portico/run/listen.hpp"
#include "portico/run/program.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace portico::run {

// What one run of it was like.
struct program_run_end {
    std::uint64_t number = 0; // counts the runs of the service from 1
    ip::any_endpoint local;   // the socket
    ip::transport over = ip::transport::tcp;
    duration lasted{};
    std::optional<error> why{};       // unset: it ended by itself
    std::optional<int> exit_status{}; // its code, or 128 + the signal
    std::string detail;
    duration pause{};          // before the next start; 0 but after runs in vain
    std::uint64_t in_vain = 0; // how many of those there were in a row
};

struct waiting_counters {
    program_counters programs;
    std::uint64_t in_vain = 0; // runs after which there was a pause
};

// For each socket: as soon as somebody waits there, the program is started with the socket as its
// stdin and stdout, and as descriptor 3 with LISTEN_FDS=1 and LISTEN_PID (sd_listen_fds(3)). Nobody
// touches the socket until it has ended; then it is started again as soon as somebody waits. A run
// that ends at once and has taken nothing is followed by a pause: see serve::restart_pause.
//
// TCP, UDP and UNIX sockets; the socket blocks while a program has it. The time limit and the
// process group are as in make_program_service().
//
// Threads: all calls on the executor's thread or strand. Destroying it leaves programs running.
// Memory: about 1 KiB for each socket.
class waiting_program {
public:
    using ended = std::function<void(const program_run_end&)>;

    // The sockets belong to a listener, and stay open until drain() or stop_now(). Precondition:
    // options.errors is not `connection`.
    waiting_program(asio::any_io_executor executor, program_options options,
                    std::span<const bound_socket> sockets, ended tell);
    waiting_program(const waiting_program&) = delete;
    waiting_program& operator=(const waiting_program&) = delete;
    ~waiting_program();

    // Starts it no more, and sends SIGTERM to those that run: they have the sockets, and only they
    // can refuse clients. How long they take is theirs; `tell` is called at their ends.
    //
    // Where somebody else `goes_on` with the socket nobody is to be cut off: a program that ends by
    // itself may do so, and SIGTERM comes only when no TCP connection of the socket is open, by
    // whomever it was accepted; for datagrams at once, for UNIX sockets never. Called again without
    // `goes_on`, it sends the signal that has not been sent.
    void
    drain(const std::function<bool(ip::transport over, const ip::any_endpoint& at)>& goes_on = {});
    // And SIGKILL after the grace.
    void stop_now();

    [[nodiscard]] std::size_t running() const noexcept;
    [[nodiscard]] waiting_counters counters() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace portico::run
