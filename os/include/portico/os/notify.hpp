// Telling the manager how the service is (sd_notify(3)), spoken without libsystemd.
//
// Nothing here has to end a service: without a manager each call is done at once, and with one that
// is gone, or is not ours, the errors are for the log.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/os/socket.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace portico::os {

// The variables as they stand in the environment.
struct notify_environment {
    std::optional<std::string> socket{};        // NOTIFY_SOCKET: "/path" or "@abstract"
    std::optional<std::string> watchdog_usec{}; // WATCHDOG_USEC
    std::optional<std::string> watchdog_pid{};  // WATCHDOG_PID: for which process
    std::optional<std::string> store{};         // FDSTORE: how many descriptors are kept
};

// Reads the real environment and leaves it as it is; programs that are started should not get
// these variables. Threads: not while another thread changes it.
[[nodiscard]] notify_environment read_notify_environment();

// A variable that says nothing that can be used, for a person.
struct notify_error {
    std::error_code why;
    std::string what; // "NOTIFY_SOCKET=run/x: it is neither a path nor an abstract name"
    std::string hint; // "it begins with '/' or '@'; unset it when there is no manager"
};

// How often process `self` has to say that it is well, or be killed; half of it is a good time
// between two notices. nullopt: it does not have to.
[[nodiscard]] tl::expected<std::optional<duration>, notify_error>
watchdog_interval(const notify_environment& given, pid_t self);

// How many descriptors the manager keeps for this service over its restart
// (FileDescriptorStoreMax=); nullopt when it does not say (systemd before 254).
[[nodiscard]] std::optional<std::size_t> store_limit(const notify_environment& given) noexcept;

// ---- what is told ----

// The most bytes of one message; the manager ignores those that are longer.
constexpr std::size_t most_notice = 4095;

// One message. What is unset is not mentioned.
struct notice {
    bool ready = false;                  // READY=1: started, or done with reloading
    std::optional<instant> reloading{};  // RELOADING=1: a reload began then, by os::now()
    bool stopping = false;               // STOPPING=1
    bool well = false;                   // WATCHDOG=1
    std::optional<pid_t> main_process{}; // MAINPID: from now on it is another one
    std::optional<duration> more_time{}; // EXTEND_TIMEOUT_USEC: for this start or stop
    std::optional<std::string> status{}; // STATUS: a line for a person
};
// As it is sent, within most_notice. Control characters of the status are written as spaces, and a
// long one is cut.
[[nodiscard]] std::string to_text(const notice& told);

// ---- telling ----

// The way to the manager. Move-only. Threads: distinct objects safe, shared ones not.
class [[nodiscard]] notify_socket {
public:
    // To nobody: what is told is thrown away.
    notify_socket() noexcept = default;
    // To the manager of this environment; to nobody when NOTIFY_SOCKET is unset or empty. Opens
    // nothing yet. The error is of a value that names no socket.
    [[nodiscard]] static tl::expected<notify_socket, notify_error>
    to_manager(const notify_environment& given);

    [[nodiscard]] bool has_manager() const noexcept { return !at_.empty(); }

    // Opens the way; notify() does so when it was not done. Best before this process gives up its
    // rights, for afterwards a path may be out of its reach. ENOENT, ECONNREFUSED: the manager that
    // the variable names is gone. EACCES, EPROTOTYPE: the socket is somebody else's.
    [[nodiscard]] sys_status connect() noexcept;
    // Waiting for writability after EAGAIN; -1 when it is not connected.
    [[nodiscard]] int raw() const noexcept { return socket_.raw(); }

    // sendmsg(2) of one datagram, never raising SIGPIPE. If the manager has made its socket anew it
    // is found again. EINVAL: no text, or more than most_passed (fdpass.hpp) descriptors; EMSGSIZE:
    // more than most_notice; EAGAIN: the manager has too much to read; else as connect().
    [[nodiscard]] sys_status notify(std::string_view text,
                                    std::span<const int> descriptors = {}) noexcept;
    [[nodiscard]] sys_status notify(const notice& told);

    // FDSTORE=1: these descriptors come back, with this name in LISTEN_FDNAMES, to the next process
    // of the service; the manager silently closes those that are more than it keeps. Or
    // FDSTOREREMOVE=1: all of this name are forgotten. EINVAL: no name that the manager takes (1 to
    // 255 printable ASCII characters without ':'), or none or more than most_passed descriptors.
    [[nodiscard]] sys_status store(std::string_view name, std::span<const int> descriptors);
    [[nodiscard]] sys_status unstore(std::string_view name);

    // BARRIER=1: the descriptor hangs up (POLLHUP) when the manager has read all that was told
    // before, or has ended: so a process that hands its service over knows when it may end. Without
    // a manager it has hung up at once. Systemd before 246 never reads it: wait with a deadline.
    [[nodiscard]] sys_result<fd> barrier() noexcept;

private:
    [[nodiscard]] sys_status send_once(std::string_view text,
                                       std::span<const int> descriptors) noexcept;

    ip::unix_name at_; // empty: nobody
    fd socket_;
};

} // namespace portico::os
