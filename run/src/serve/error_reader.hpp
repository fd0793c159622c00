// Reads what one program writes to stderr, and tells it line by line.
#pragma once

#include "portico/os/fd.hpp"
#include "portico/run/program.hpp"
#include "portico/serve/error_lines.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <sys/types.h>

namespace portico::run {

// What the programs of one service have in common. Their process objects refer to it until they
// are abandoned or over; whoever starts one has the options only.
struct program_host {
    program_host(asio::any_io_executor ex, program_options how);

    const asio::any_io_executor executor;
    const std::shared_ptr<const program_options> shared_options;
    const program_options& options;
    program_counters counters;
    serve::line_budget budget;
    std::array<char, 16'384> buffer{}; // of whoever reads now
};

// Threads: all calls on the host's executor.
class error_reader : public std::enable_shared_from_this<error_reader> {
public:
    // `from`: the end of a pipe that does not block.
    error_reader(program_host& host, os::fd from, std::uint64_t number, pid_t pid);

    void start() { wait(); }
    // The program has ended: tells what is left in the pipe, as much as a pipe holds, and closes
    // it.
    void finish();
    // Nothing is told from here on.
    void abandon();

private:
    void wait();
    void rest();
    void handle_readable();
    // Whether there was something; it closes the pipe at its end.
    bool read_some();
    void tell(const serve::error_line& line);
    void close();

    program_host& host_;
    os::fd from_;
    std::uint64_t number_;
    pid_t pid_;
    serve::line_splitter splitter_;
    asio::posix::stream_descriptor watch_;
    asio::steady_timer pause_;
    bool flooded_ = false; // in the last turn
};

} // namespace portico::run
