// A program for each connection, which is its stdin and stdout: what inetd and tcpserver do.
#pragma once

#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace portico::run {

struct program_options {
    std::string path;                     // see os::find_program()
    std::vector<std::string> arguments;   // with its name first
    std::vector<std::string> environment; // "NAME=VALUE", what each program gets besides its own
    duration grace = std::chrono::seconds{1}; // between SIGTERM and SIGKILL of stop_now()
};

// Starts the program once for each connection, with serve::program_environment(), and tells its
// exit status and run time. Bytes are not counted: they do not come by here. A program that ended
// with another code than 0 is no error; one that could not be started is, and its client gets a
// reset.
//
// stop_now() sends SIGTERM and, after the grace, SIGKILL. Destroying it leaves programs running;
// their `done` are not called. Memory: about 500 bytes a connection, and one descriptor.
[[nodiscard]] std::unique_ptr<stream_service> make_program_service(asio::any_io_executor executor,
                                                                   program_options options);

} // namespace portico::run
