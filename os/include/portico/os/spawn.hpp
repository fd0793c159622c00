// Starting programs, and waiting for exactly those: never for every child, and SIGCHLD is left
// alone.
#pragma once

#include "portico/base/error.hpp"
#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// Our own environment, "NAME=VALUE" each. Threads: not while another thread changes it.
[[nodiscard]] std::vector<std::string> environment();

// Where a program lies, as execvp(3) would find it: a name with a '/' is a path, any other is
// looked for in the directories of `path`, which is separated by ':' and where an empty part is the
// working directory. A name found nowhere is ENOENT; EACCES when it was found but is not an
// executable file.
[[nodiscard]] sys_result<std::string> find_program(std::string_view name, std::string_view path);

// How a program ended.
struct exit_report {
    bool by_signal = false;
    int number = 0; // its exit code, or the signal

    // The exit code, or 128 + the signal, as a shell has it.
    [[nodiscard]] int status() const noexcept { return by_signal ? 128 + number : number; }
    friend bool operator==(const exit_report&, const exit_report&) = default;
};

// A program that runs, or has ended and was not reaped. Move-only; its end leaves the program
// running, and then nobody reaps it: call reap() until it is done. Threads: distinct objects safe.
class [[nodiscard]] child {
public:
    child() noexcept = default;
    child(pid_t pid, fd process) noexcept : pid_{pid}, process_{std::move(process)} {}

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    // Readable when the program has ended (pidfd_open(2)); -1 on kernels before 5.3, and when no
    // descriptor is left: ask reap() from time to time then.
    [[nodiscard]] int process() const noexcept { return process_.raw(); }
    // Takes the end of the program; nullopt while it runs. ECHILD when somebody else was faster, or
    // SIGCHLD is ignored: then how it ended is lost. It is not waited for again after that.
    [[nodiscard]] sys_result<std::optional<exit_report>> reap() noexcept;
    // Sends a signal. No other process can be hit, for the number is ours until it is reaped.
    // ESRCH after that.
    [[nodiscard]] sys_status kill(int signal) const noexcept;

private:
    pid_t pid_ = -1;
    fd process_;
};

// Starts the program at `path` (see find_program()) with `connection` as its stdin and stdout, made
// blocking, and with our stderr. It has no other descriptor from here, no blocked signal, and every
// signal at its default. The errno of execve(2) is told here. Memory: nothing of this process is
// copied (vfork(2)). Precondition: `argv` and `env` are not empty.
[[nodiscard]] sys_result<child> spawn(const std::string& path, std::span<const std::string> argv,
                                      std::span<const std::string> env, const fd& connection);

// SO_PEERCRED of a connected UNIX socket.
struct credentials {
    uid_t user = 0;
    gid_t group = 0;
    pid_t pid = 0;
};
[[nodiscard]] sys_result<credentials> peer_credentials(int s) noexcept;

// How many descriptors this process may still open: the soft RLIMIT_NOFILE less what is open.
[[nodiscard]] std::size_t descriptors_left() noexcept;

} // namespace portico::os
