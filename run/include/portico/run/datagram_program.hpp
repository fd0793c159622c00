// A program for each datagram: its stdin is the datagram, and its stdout the answer.
#pragma once

#include "portico/run/admission.hpp"
#include "portico/run/builtin.hpp"
#include "portico/run/program.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace portico::run {

// The longest answer: what one datagram over IPv4 can carry.
inline constexpr std::size_t longest_answer = 65'507;

struct datagram_program_options {
    program_options program;
    // What was sent to broadcast addresses, or to groups that the socket has joined, is taken, too.
    bool broadcasts = false;
    bool multicasts = false;
};

// One query, after its program has ended or it was dropped.
struct query_end {
    datagram_end query;
    std::uint64_t number =
        0; // counts the programs of the service from 1; 0: none was started for it
    duration lasted{};
    std::optional<int> exit_status{}; // its code, or 128 + the signal
    std::optional<error> why{};       // unset: it ended by itself
    std::string detail;
};

// For each datagram that comes to UDP and UNIX datagram sockets the program is started, with
// serve::variables_of_query() in its environment. All that it has written to stdout when it ends is
// the answer, one datagram; nothing is none. It leaves from the address that was asked or, when
// that was a broadcast address or a group, from one of the interface that the query came in by. A
// program that a signal ended has no answer.
//
// The time limit and the process group are as in make_program_service(). Who may ask, and how many
// programs run at once, is the door's to say: while it is full, datagrams wait in the queue of the
// socket, or are dropped.
//
// Threads: all calls on the executor's thread or strand. Destroying it leaves programs running,
// without answers. Memory: about 1 KiB a program and its answer, which is 64 KiB at most; a
// descriptor more than descriptors_of().
class datagram_program {
public:
    using ended = std::function<void(const query_end&)>;

    // The sockets may be closed when there are programs yet.
    datagram_program(asio::any_io_executor executor, datagram_program_options options,
                     std::shared_ptr<admission> door, std::span<const bound_socket> sockets,
                     ended tell);
    datagram_program(const datagram_program&) = delete;
    datagram_program& operator=(const datagram_program&) = delete;
    ~datagram_program();

    // Takes no more datagrams. Programs go on, and their answers are sent.
    void drain();
    // And ends them, by SIGTERM and after the grace SIGKILL; `tell` is called at their ends.
    void stop_now();

    [[nodiscard]] std::size_t running() const noexcept;
    [[nodiscard]] const program_counters& programs() const noexcept;
    [[nodiscard]] datagram_counters counters() const noexcept;

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace portico::run
