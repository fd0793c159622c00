// Running in the background, for those who have no manager of services.
#pragma once

#include "log/log.hpp"

#include "portico/os/fd.hpp"

#include <string>
#include <tl/expected.hpp>

namespace portico::app {

// Why this process cannot become a daemon, with what to do; empty: it can.
[[nodiscard]] std::string find_daemon_trouble(const log_settings& log, bool has_manager);

// The daemon's tie to whoever started it. Move-only; an empty one does nothing.
class daemon_start {
public:
    daemon_start() = default;

    // Forks, and returns in the daemon, which has a session of its own and is no leader of it, and
    // so gets no terminal. The other process waits for what it says, and this returns its exit code
    // there as the error. Before threads are started.
    [[nodiscard]] static tl::expected<daemon_start, int> begin(const log_settings& log);

    // The services are live: the other process ends with 0, and stdin, stdout and, unless the log
    // goes there, stderr lead nowhere from now on. Once.
    void tell_ready();
    // It ends without that, with this exit code.
    void tell_failure(int exit_code);

private:
    os::fd tell_;
    bool logs_to_stderr_ = false;
};

} // namespace portico::app
