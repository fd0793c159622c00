// What this process takes away from itself beyond its user: system calls (seccomp(2)), and files
// and TCP ports (landlock(7)). What is forbidden here is the caller's to say.
//
// Both hold for good, for all that the process starts afterwards as well, and need
// set_no_new_privileges() before, or CAP_SYS_ADMIN. Descriptors that are open stay usable.
#pragma once

#include "portico/os/socket.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portico::os {

// ---- system calls ----

struct call_filter {
    enum class list : std::uint8_t { allow, deny }; // these and no others; all others
    enum class answer : std::uint8_t {
        fail, // the call fails with `number`
        kill, // the process ends by SIGSYS
    };
    list which = list::deny;
    std::vector<std::string> names{}; // of system calls, as syscalls(2) has them
    // Of a list of allowed calls: socket(2) of these families besides (AF_INET ...). They cannot be
    // told apart where it is one of the calls of socketcall(2), as on 32-bit x86.
    std::vector<int> socket_families{};
    answer refused = answer::fail;
    // An errno. With EPERM for all that is not on a list of allowed ones, the C library does not
    // fall back from calls that are newer than the list; with ENOSYS it does.
    int number = 1; // EPERM
};

// Whether this kernel can filter, and kill by it. ENOSYS, EINVAL: not compiled in; EOPNOTSUPP:
// before Linux 4.14.
[[nodiscard]] sys_status call_filters_available() noexcept;

// Installs it for all threads of the process. Calls by the ABI of another architecture (32 bits)
// are refused, all of them. The names that this architecture, or this libseccomp, does not have:
// for a list of denied calls they could not be forbidden.
//
// EACCES: no set_no_new_privileges(); ESRCH: a thread has a filter that others have not; EINVAL:
// families with a list of denied calls.
[[nodiscard]] sys_result<std::vector<std::string>> install_call_filter(const call_filter& wanted);

// ---- files and ports ----

// What may be done with a path, and all that is below it.
enum class path_access : std::uint8_t {
    read,       // files and directories
    execute,    // read, and execute files
    read_write, // read, write, make, rename and remove, and control terminals and devices
};
struct path_rule {
    std::string path;
    path_access access = path_access::read;
};

// All that is left. What is unset is not limited.
struct landlock_rules {
    std::optional<std::vector<path_rule>> paths{};
    // TCP alone; for bind(2), 0 stands for any port that the kernel chooses.
    std::optional<std::vector<std::uint16_t>> bind_ports{};
    std::optional<std::vector<std::uint16_t>> connect_ports{};
    // No abstract UNIX socket of, and no signal to, processes that were not started afterwards.
    bool own_abstract_sockets = false;
    bool own_signals = false;
};

// What came to Landlock later than its first ABI.
enum class landlock_part : std::uint8_t {
    truncating,       // truncate(2), ABI 3, Linux 6.2
    ports,            // ABI 4, Linux 6.7
    device_control,   // ioctl(2) of devices, ABI 5, Linux 6.10
    abstract_sockets, // ABI 6, Linux 6.12
    signals,          // the same
};
// "TCP ports (needs Linux 6.7)"
[[nodiscard]] std::string_view to_text(landlock_part part) noexcept;

struct landlock_report {
    int abi = 0; // that was applied
    // What was asked for, and this ABI does not limit.
    std::vector<landlock_part> not_limited;
    // Paths that could not be looked at, and so have no rule: nothing may be done there.
    struct skipped_path {
        std::string path;
        std::error_code why;
    };
    std::vector<skipped_path> skipped;
};

// The newest ABI that is known here.
constexpr int newest_landlock = 6;

// The ABI of this kernel, 1 or more. ENOSYS: not compiled in; EOPNOTSUPP: not among the modules
// that were chosen at boot (lsm= of the kernel's command line).
[[nodiscard]] sys_result<int> landlock_abi() noexcept;

// Limits this thread and those that it starts, by an ABI that is at most `most_abi`. With ABI 1 no
// file can be renamed or linked into another directory.
//
// EPERM: no set_no_new_privileges(); E2BIG: 16 layers of limits are there already; else as
// landlock_abi(). After an error nothing is limited. Threads: call it before others are started.
[[nodiscard]] sys_result<landlock_report> restrict_by_landlock(const landlock_rules& wanted,
                                                               int most_abi = newest_landlock);

} // namespace portico::os
