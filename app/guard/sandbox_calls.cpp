// Lists of system calls. Names that an architecture or the library does not have are passed over,
// so the older and the newer name of a call stand side by side.

#include "guard/sandbox.hpp"

#include <array>
#include <sys/socket.h>

namespace portico::app {
namespace {

using std::string_view;

constexpr auto needed = std::to_array<string_view>({
    // files and pipes
    "access", "chdir", "chmod", "close", "close_range", "copy_file_range", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fcntl",
    "fcntl64", "fdatasync", "flock", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
    "fsync", "ftruncate", "ftruncate64", "getcwd", "getdents", "getdents64", "ioctl", "link",
    "linkat", "lseek", "_llseek", "lstat", "lstat64", "newfstatat", "open", "openat", "openat2",
    "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "sendfile",
    "sendfile64", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "tee", "umask",
    "unlink", "unlinkat", "vmsplice", "write", "writev",
    // sockets; socket(2) itself by its families
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg",
    "sendto", "setsockopt", "shutdown", "socketpair",
    // waiting and time
    "alarm", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
    "clock_nanosleep", "clock_nanosleep_time64", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "getitimer", "gettimeofday",
    "nanosleep", "pause", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64",
    "_newselect", "select", "setitimer", "time", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
    // memory
    "brk", "madvise", "membarrier", "memfd_create", "mincore", "mmap", "mmap2", "mprotect",
    "mremap", "msync", "munmap",
    // processes and threads
    "arch_prctl", "capget", "clone", "clone3", "execve", "exit", "exit_group", "fork", "futex",
    "futex_time64", "get_robust_list", "get_thread_area", "getcpu", "getegid", "getegid32",
    "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getpgid", "getpgrp",
    "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "getuid32", "kill",
    "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "rseq", "sched_getaffinity",
    "sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "sched_setaffinity", "sched_yield", "set_robust_list", "set_thread_area", "set_tid_address",
    "setpgid", "setpriority", "setrlimit", "setsid", "sysinfo", "tgkill", "tkill", "ugetrlimit",
    "uname", "vfork", "wait4", "waitid", "waitpid",
    // signals
    "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
    "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4", "sigreturn",
    // the next process may take more away from itself
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp",
#ifdef __SANITIZE_ADDRESS__
    "ptrace", // LeakSanitizer stops the process so when it ends
#endif
});

// Name resolution asks name servers, and the sockets of its modules; rtnetlink tells of addresses.
constexpr std::array families{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

constexpr auto hostile = std::to_array<string_view>({
    "acct",
    "create_module",
    "delete_module",
    "finit_module",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "pivot_root",
    "quotactl",
    "reboot",
    "swapoff",
    "swapon",
});

constexpr auto privileged = std::to_array<string_view>({
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "ioperm",
    "iopl",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_writev",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "userfaultfd",
    "vhangup",
});

} // namespace

std::span<const string_view> needed_calls() noexcept {
    return needed;
}

std::span<const int> needed_families() noexcept {
    return families;
}

std::span<const string_view> hostile_calls() noexcept {
    return hostile;
}

std::span<const string_view> privileged_calls() noexcept {
    return privileged;
}

} // namespace portico::app
