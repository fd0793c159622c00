#include "host/daemon.hpp"

#include "portico/base/error.hpp"
#include "portico/os/spawn.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <iostream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

constexpr const char* log_socket = "/dev/log";

// A terminal goes away, and /dev/null has never kept anything.
bool keeps_lines(int descriptor) {
    struct stat facts {};
    return ::fstat(descriptor, &facts) == 0 && !S_ISCHR(facts.st_mode);
}

// Whoever is at its other end would wait for as long as the daemon runs.
bool is_pipe(int descriptor) {
    struct stat facts {};
    return ::fstat(descriptor, &facts) == 0 && (S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode));
}

int fail(const std::string& what) {
    std::cerr << "portico: serve: --daemon: " << what << ": "
              << std::error_code{errno, std::system_category()}.message() << '\n';
    return exit_code(side::system);
}

// What the daemon says, until it is there or has ended.
int wait_for(const os::fd& told) {
    std::uint8_t code = 0;
    ssize_t got = 0;
    do {
        got = ::read(told.raw(), &code, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        return code;
    }
    std::cerr << "portico: serve: --daemon: the process in the background has ended before it "
                 "served\n";
    return exit_code(side::system);
}

} // namespace

std::string find_daemon_trouble(const log_settings& log, bool has_manager) {
    if (has_manager || std::getenv("LISTEN_FDS") != nullptr) {
        return "a manager of services has started this, and wants to see it in the foreground: "
               "leave --daemon out (with systemd, Type=notify)";
    }
    if (log.syslog && ::access(log_socket, F_OK) != 0) {
        return "the log goes to syslog, and there is no " + std::string{log_socket} +
               ": start a syslog daemon, or leave output = \"syslog\" out of [log] and add "
               "2>>/var/log/portico.log";
    }
    if (!log.syslog && !keeps_lines(STDERR_FILENO)) {
        return "the log would be lost, for it goes to stderr, which is a terminal or leads "
               "nowhere: write output = \"syslog\" in [log], or add 2>>/var/log/portico.log";
    }
    if (!log.syslog && !log.journald && is_pipe(STDERR_FILENO)) {
        return "the log goes to stderr, which is a pipe: who reads it would wait for as long as "
               "the daemon runs; write output = \"syslog\" in [log], or add "
               "2>>/var/log/portico.log";
    }
    return {};
}

tl::expected<daemon_start, int> daemon_start::begin(const log_settings& log) {
    auto pipe = os::pipe2();
    if (!pipe || !os::set_blocking(pipe->read.raw(), true)) {
        return tl::unexpected{fail("pipe")};
    }
    const pid_t first = ::fork();
    if (first < 0) {
        return tl::unexpected{fail("fork")};
    }
    if (first > 0) {
        pipe->write.reset();
        while (::waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
        }
        return tl::unexpected{wait_for(pipe->read)};
    }
    ::setsid();
    const pid_t second = ::fork();
    if (second < 0) {
        fail("fork");
    }
    if (second != 0) {
        ::_exit(0);
    }
    daemon_start made;
    made.tell_ = std::move(pipe->write);
    made.logs_to_stderr_ = !log.syslog;
    return made;
}

void daemon_start::tell_ready() {
    if (!tell_) {
        return;
    }
    const os::fd nowhere{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    for (const int each : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (nowhere && (each != STDERR_FILENO || !logs_to_stderr_)) {
            ::dup2(nowhere.raw(), each);
        }
    }
    tell_failure(0);
}

void daemon_start::tell_failure(int exit_code) {
    if (tell_) {
        const auto code = static_cast<std::uint8_t>(exit_code);
        static_cast<void>(!::write(tell_.raw(), &code, 1));
        tell_.reset();
    }
}

} // namespace portico::app
