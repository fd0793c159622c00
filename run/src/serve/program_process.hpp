// One program, from its start to its end.
#pragma once

#include "portico/os/spawn.hpp"
#include "portico/run/program.hpp"
#include "portico/serve/environment.hpp"
#include "serve/error_reader.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace portico::run {

// The program, the step, and what to do; without what the errno says.
[[nodiscard]] std::string explain(const os::spawn_failure& failed, const program_options& options);

struct program_end {
    bool started = true;
    duration lasted{};
    std::optional<int> exit_status{}; // its code, or 128 + the signal
    std::optional<error> why{};
    std::string detail;
};

//   start() --> running --pidfd readable, or a look again--> reaped: over
//      \            \--time limit, stop()--> SIGTERM --grace--> SIGKILL --> reaped: over
//       \--a step failed--> over
//
// Threads: all calls on the host's executor; the steps of the start are made on another one if the
// options say so.
class program_process : public std::enable_shared_from_this<program_process> {
public:
    // `done` is called once, later, with the end; not after abandon().
    using ended = std::function<void(program_end)>;

    program_process(program_host& host, std::uint64_t number, ended done);

    // With the socket as its descriptors 0 and 1, which is closed then. That it could not be
    // started is told as its end, and the client gets a reset.
    void start(os::fd connection, std::span<const serve::variable> variables);
    // Now, and with the socket as its descriptor 3 as well: an inherited one. It stays the
    // caller's.
    void start_waiting(int socket, std::span<const serve::variable> variables);
    // Now, with `in` as its descriptor 0 and `out` as 1. They stay the caller's.
    void start_between(int in, int out, std::span<const serve::variable> variables);
    // SIGTERM, and SIGKILL after the grace. The end is told as ECANCELED.
    void stop();
    // SIGTERM alone, which it may take as it likes. If it dies of it, the end is told as ECANCELED.
    void ask_to_end();
    // Nothing that is pending has an effect from here on; the program runs.
    void abandon();

private:
    // Why it was sent a signal.
    enum class forced : std::uint8_t { no, overtime, stopped };

    // All that it takes to make the process, and what came of it.
    struct birth;

    [[nodiscard]] std::shared_ptr<birth> prepare(std::span<const serve::variable> variables) const;
    void handle_born(birth& made);
    void handle_not_started(const os::spawn_failure& failed);
    void watch();
    void handle_look();
    void force(forced why);
    void set_timer(duration after, void (program_process::*then)());
    void handle_overtime() { force(forced::overtime); }
    void handle_grace_over();
    void count(const os::exit_report& report);
    void finish();

    program_host& host_;
    std::uint64_t number_;
    ended done_;
    instant began_;
    program_end end_;
    os::child program_;
    asio::posix::stream_descriptor watch_;
    std::optional<asio::steady_timer> look_;  // without a pidfd
    std::optional<asio::steady_timer> timer_; // of the time limit, or of the grace
    std::shared_ptr<error_reader> errors_;
    bool is_born_ = false;
    bool stop_at_birth_ = false;
    forced forced_ = forced::no;
    bool is_asked_ = false; // to end
    bool over_ = false;
};

} // namespace portico::run
