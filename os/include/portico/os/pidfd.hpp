// Another process by a descriptor that never means a different one, and copies of its descriptors:
// how the listening sockets of a program that knows nothing of it are taken over.
#pragma once

#include "portico/os/socket.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// pidfd_open(2), close-on-exec. It becomes readable when the process has ended. ESRCH: there is no
// process of this number; EINVAL: it is a thread's, or no number of a process; ENOSYS before Linux
// 5.3.
[[nodiscard]] sys_result<fd> pidfd_open(pid_t pid) noexcept;

// The number of that process here. ESRCH when it has ended and was reaped; EINVAL when this is not
// a pidfd; ENOENT without /proc. While it gives a number, that number has not gone to another.
[[nodiscard]] sys_result<pid_t> pid_of(const fd& process);

// pidfd_send_signal(2). 0 only asks whether it may be sent. ESRCH when the process has ended.
[[nodiscard]] sys_status pidfd_send_signal(const fd& process, int signal) noexcept;

// pidfd_getfd(2): another descriptor, close-on-exec, of the file that is open there as `number`.
// Both share its flags (O_NONBLOCK), and it stays open there. EBADF: no such descriptor; ESRCH: the
// process has ended; EPERM: see why_not_taken(); ENOSYS before Linux 5.6.
[[nodiscard]] sys_result<fd> pidfd_getfd(const fd& process, int number) noexcept;

// A socket that is open in a process. Two numbers with one inode are the same socket.
struct open_socket {
    int number = -1;
    std::uint64_t inode = 0;
    friend bool operator==(const open_socket&, const open_socket&) = default;
};

// All of them, in ascending order of their numbers: which ones listen, their copies tell
// (inspect_socket() in inherit.hpp). The process may open and close others meanwhile. EACCES: see
// why_not_taken(); ESRCH: it has ended; ENOENT: /proc does not show it.
//
// Memory: 16 bytes each, for as many as the process may have open.
[[nodiscard]] sys_result<std::vector<open_socket>> open_sockets(const fd& process);

// ---- why it is refused ----

// What the rules of ptrace(2) ask about a process: real, effective and saved ids, and permitted
// capabilities as a mask (capabilities(7)).
struct process_identity {
    std::array<uid_t, 3> users{};
    std::array<gid_t, 3> groups{};
    std::uint64_t capabilities = 0;
    friend bool operator==(const process_identity&, const process_identity&) = default;
};

// Reads the text of /proc/PID/status; nullopt when a line that is needed is missing or malformed.
[[nodiscard]] std::optional<process_identity> parse_process_status(std::string_view text) noexcept;

// What is known when a process refuses its descriptors.
struct ptrace_facts {
    process_identity ours{};
    bool has_sys_ptrace = false;              // CAP_SYS_PTRACE is effective here
    std::optional<process_identity> theirs{}; // unset: it could not be read
    bool not_dumpable = false;                // PR_SET_DUMPABLE of prctl(2); false when unknown
    std::optional<int> yama_scope{};          // kernel.yama.ptrace_scope; unset without Yama
};
[[nodiscard]] ptrace_facts gather_ptrace_facts(pid_t pid);

// Which rule it is, and what would help, for a person.
struct taking_refusal {
    std::string why;  // "it runs as user 0, and this process as 1000"
    std::string hint; // "run this as that user, or give it CAP_SYS_PTRACE (...)"
};
// After EPERM of pidfd_getfd(), or EACCES of open_sockets(): the first rule of ptrace(2), "Ptrace
// access mode checking", that does not hold.
[[nodiscard]] taking_refusal why_not_taken(const ptrace_facts& known);

} // namespace portico::os
