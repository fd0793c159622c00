// A program for each connection, which is its stdin and stdout: what inetd and tcpserver do.
#pragma once

#include "portico/os/spawn.hpp"
#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portico::run {

// Where the stderr of a program goes.
enum class error_output : std::uint8_t {
    inherit,    // our stderr
    log,        // program_options::tell_line, line by line
    connection, // the same as its stdout
};

// A line that a program wrote to stderr.
struct program_line {
    std::uint64_t number = 0; // of its connection
    pid_t pid = 0;
    std::string_view text; // may have any byte but the line's end
    std::uint64_t cut = 0; // how many of its bytes did not fit
};

// Bounds of error_output::log, for all programs of a service together but for the first. What is
// beyond them is read and dropped, so that no program waits for us for ever.
struct line_limits {
    std::size_t longest = 1024; // bytes of a line
    std::uint32_t per_second = 100;
    std::uint32_t burst = 500;
};

struct program_options {
    std::string path;                     // see os::find_program()
    std::vector<std::string> arguments;   // with its name first
    std::vector<std::string> environment; // "NAME=VALUE", what each program gets besides its own
    // Its process group and a variable with its process id are set by us.
    os::spawn_settings settings{};
    error_output errors = error_output::inherit;
    line_limits lines{};
    std::function<void(const program_line&)> tell_line{}; // never within a call
    // How long a program may run; then SIGTERM and, after the grace, SIGKILL.
    std::optional<duration> time_limit{};
    duration grace =
        std::chrono::seconds{1}; // the same for stop_now(); or it died of drain()'s SIGTERM
    // Whose threads wait while a program is made for a connection, which may be long when its file
    // is on a slow disk or the host is busy; empty: the thread of the service does, and nobody else
    // is served meanwhile. Signals should be blocked in them.
    asio::any_io_executor starters{};
};

// What became of the programs of a service; each is counted once, in `started` and at its end.
struct program_counters {
    std::uint64_t started = 0;
    std::uint64_t not_started = 0;   // a step of os::spawn() failed
    std::uint64_t succeeded = 0;     // exit code 0
    std::uint64_t failed = 0;        // another exit code
    std::uint64_t crashed = 0;       // by a signal that was not ours
    std::uint64_t overtime = 0;      // ended for its time limit, however it took that
    std::uint64_t stopped = 0;       // the same for stop_now()
    std::uint64_t lost = 0;          // how it ended was told to somebody else
    std::uint64_t killed = 0;        // SIGKILL was needed; besides overtime and stopped
    duration run_time{};             // of all that have ended
    std::uint64_t lines = 0;         // told to tell_line
    std::uint64_t lines_cut = 0;     // of them, those that were too long
    std::uint64_t lines_dropped = 0; // not told: too many

    [[nodiscard]] std::uint64_t running() const noexcept {
        return started - succeeded - failed - crashed - overtime - stopped - lost;
    }
    // Those of two services together.
    program_counters& operator+=(const program_counters& other) noexcept {
        started += other.started;
        not_started += other.not_started;
        succeeded += other.succeeded;
        failed += other.failed;
        crashed += other.crashed;
        overtime += other.overtime;
        stopped += other.stopped;
        lost += other.lost;
        killed += other.killed;
        run_time += other.run_time;
        lines += other.lines;
        lines_cut += other.lines_cut;
        lines_dropped += other.lines_dropped;
        return *this;
    }
    friend bool operator==(const program_counters&, const program_counters&) = default;
};

class program_service : public stream_service {
public:
    [[nodiscard]] virtual const program_counters& counters() const noexcept = 0;
};

// Starts the program once for each connection, with serve::variables_of() in its environment, and
// tells its exit status and run time. Bytes are not counted: they do not come by here. A program
// that ended with another code than 0 is no error; one that could not be started is, and its client
// gets a reset; so is one that ran into its time limit (ETIMEDOUT).
//
// A program has a process group of its own: a signal is for all of it, and when the program ends
// after one, SIGKILL is for what is left. What it leaves behind when it ends by itself is not
// touched, but its stderr is not read any more.
//
// stop_now() sends SIGTERM and, after the grace, SIGKILL. Destroying it leaves programs running;
// their `done` are not called. Memory: about 1 KiB a connection, and descriptors_of().
[[nodiscard]] std::unique_ptr<program_service> make_program_service(asio::any_io_executor executor,
                                                                    program_options options);

// Why programs cannot be started like that, for a person, as far as it shows before there is a
// connection: "/bin/x: chroot to /srv: No such file or directory". Time: as a start of one.
[[nodiscard]] std::optional<std::string> find_trouble(const program_options& options);

// How many descriptors a running program needs here.
[[nodiscard]] std::size_t descriptors_of(const program_options& options) noexcept;

} // namespace portico::run
