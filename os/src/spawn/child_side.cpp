#include "child_side.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <type_traits>
#include <unistd.h>

// A sanitizer's notes would stay behind in memory that is not only the child's.
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

namespace portico::os {
namespace {

constexpr int kernel_signals = 64; // _NSIG; not all architectures have the same names for them
constexpr std::size_t signal_bytes = kernel_signals / 8;

[[noreturn]] IN_CHILD void fail(launch& my, spawn_step step, int wrong, std::size_t which = 0) {
    my.step = step;
    my.which = which;
    my.wrong = wrong;
    for (;;) {
        ::syscall(SYS_exit, 127);
    }
}

// A whole register, whatever the type.
template <class Argument>
IN_CHILD long word(Argument what) {
    if constexpr (std::is_pointer_v<Argument>) {
        return reinterpret_cast<long>(what);
    } else if constexpr (std::is_null_pointer_v<Argument>) {
        return 0;
    } else {
        return static_cast<long>(what);
    }
}

// -1 and errno, as the C library has it; after EINTR it is called again. errno is that of our
// thread, which waits.
template <class... Arguments>
IN_CHILD long call(long number, Arguments... arguments) {
    long done = ::syscall(number, word(arguments)...);
    while (done == -1 && errno == EINTR) {
        done = ::syscall(number, word(arguments)...);
    }
    return done;
}

// Handlers are ours, and execve(2) would leave ignored signals ignored.
IN_CHILD void reset_signals() {
    // A struct sigaction of the kernel, which differs between architectures but is all zeros for
    // SIG_DFL without flags.
    const std::array<std::uint64_t, 8> by_default{};
    for (int each = 1; each <= kernel_signals; ++each) {
        call(SYS_rt_sigaction, each, by_default.data(), nullptr, signal_bytes);
    }
}

IN_CHILD void unblock_signals() {
    const std::uint64_t none = 0;
    call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, signal_bytes);
}

IN_CHILD void set_process_group(launch& my) {
    const auto which = my.settings->group_of_processes;
    const bool is_wrong = which == process_group::own           ? call(SYS_setpgid, 0, 0) < 0
                          : which == process_group::own_session ? call(SYS_setsid) < 0
                                                                : false;
    if (is_wrong) {
        fail(my, spawn_step::session, errno);
    }
}

// The number that a name in /proc/self/fd is; -1 for "." and "..".
IN_CHILD int number_of(const char* name) {
    int number = 0;
    for (; *name != '\0'; ++name) {
        if (*name < '0' || *name > '9') {
            return -1;
        }
        number = number * 10 + (*name - '0');
    }
    return number;
}

// Closes all in one part of the listing but `listing` itself; whether there was anything.
IN_CHILD bool close_entries(const char* entries, long size, int first, int listing) {
    // Where d_reclen and d_name are, see getdents64(2).
    constexpr long length_at = 16;
    constexpr long name_at = 19;
    bool any = false;
    for (long at = 0; at < size;) {
        const int number = number_of(entries + at + name_at);
        if (number >= first && number != listing) {
            call(SYS_close, number);
            any = true;
        }
        std::uint16_t length; // NOLINT: written next
        __builtin_memcpy(&length, entries + at + length_at, sizeof length);
        at += length;
    }
    return any;
}

// Without close_range(2): what /proc tells of. Some may be left out while others are closed, so it
// is read until there is nothing to close.
IN_CHILD bool close_listed(int first) {
    const auto listing = static_cast<int>(
        call(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (listing < 0) {
        return false;
    }
    alignas(8) char entries[2048]; // NOLINT: the kernel fills it
    for (bool any = true; any;) {
        any = false;
        call(SYS_lseek, listing, 0, SEEK_SET);
        for (long size = 0;
             (size = call(SYS_getdents64, listing, &entries[0], sizeof entries)) > 0;) {
            any = close_entries(&entries[0], size, first, listing) || any;
        }
    }
    call(SYS_close, listing);
    return true;
}

// Those that stand where another one is to come are put aside first.
IN_CHILD void place_descriptors(launch& my) {
    const int count = static_cast<int>(my.descriptors.size());
    int* const from = my.descriptors.data();
    for (int i = 0; i < count; ++i) {
        if (from[i] < count && from[i] != i) {
            const long aside = call(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, count);
            if (aside < 0) {
                fail(my, spawn_step::descriptors, errno, static_cast<std::size_t>(i));
            }
            from[i] = static_cast<int>(aside);
        }
    }
    for (int i = 0; i < count; ++i) {
        const long done = from[i] == i ? call(SYS_fcntl, i, F_SETFD, 0) // it may be close-on-exec
                                       : call(SYS_dup3, from[i], i, 0);
        if (done < 0) {
            fail(my, spawn_step::descriptors, errno, static_cast<std::size_t>(i));
        }
    }
    // Not only those that are close-on-exec: somebody may have forgotten it.
    if (call(SYS_close_range, count, ~0U, 0) < 0 && !close_listed(count)) {
        fail(my, spawn_step::descriptors, errno, my.descriptors.size());
    }
}

IN_CHILD void lower_descriptor_limit() {
    std::array<std::uint64_t, 2> both; // NOLINT: written before it is read
    if (soft_descriptor_limit != 0 &&
        call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, both.data()) >= 0 &&
        both[0] > soft_descriptor_limit) {
        both[0] = soft_descriptor_limit;
        call(SYS_prlimit64, 0, RLIMIT_NOFILE, both.data(), nullptr); // lowering cannot fail
    }
}

IN_CHILD void set_limits(launch& my) {
    const resource_limit* const all = my.settings->limits.data();
    for (std::size_t i = 0; i < my.settings->limits.size(); ++i) {
        const std::array<std::uint64_t, 2> both{all[i].soft, all[i].hard}; // struct rlimit64
        if (call(SYS_prlimit64, 0, all[i].which, both.data(), nullptr) < 0) {
            fail(my, spawn_step::limit, errno, i);
        }
    }
}

IN_CHILD void set_groups(launch& my) {
    if (const auto& groups = my.settings->groups) {
        if (call(SYS_setgroups, groups->size(), groups->data()) < 0) {
            fail(my, spawn_step::groups, errno);
        }
    }
    if (const auto& group = my.settings->group) {
        if (call(SYS_setresgid, *group, *group, *group) < 0) {
            fail(my, spawn_step::group, errno);
        }
    }
}

IN_CHILD void set_place(launch& my) {
    const auto& how = *my.settings;
    if (!how.root.empty() && (call(SYS_chroot, how.root.c_str()) < 0 || call(SYS_chdir, "/") < 0)) {
        fail(my, spawn_step::root, errno);
    }
    if (!how.directory.empty() && call(SYS_chdir, how.directory.c_str()) < 0) {
        fail(my, spawn_step::directory, errno);
    }
}

IN_CHILD void set_user(launch& my) {
    if (const auto& user = my.settings->user) {
        if (call(SYS_setresuid, *user, *user, *user) < 0) {
            fail(my, spawn_step::user, errno);
        }
    }
}

// No capability is ambient that is not inheritable. The kernel takes the ambient ones away by
// itself only from those who were root and become somebody else.
IN_CHILD void drop_inheritable(launch& my) {
    if (my.settings->inherits_capabilities && !my.settings->user) {
        return;
    }
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (call(SYS_capget, &head, sets.data()) < 0) {
        fail(my, spawn_step::capabilities, errno);
    }
    auto& [low, high] = sets;
    if ((low.inheritable | high.inheritable) == 0) {
        return;
    }
    low.inheritable = high.inheritable = 0;
    if (call(SYS_capset, &head, sets.data()) < 0) {
        fail(my, spawn_step::capabilities, errno);
    }
}

IN_CHILD void write_pid(char* to) {
    std::array<char, pid_room> digits; // NOLINT: written before it is read
    auto left = static_cast<std::uint32_t>(::syscall(SYS_getpid));
    std::size_t count = 0;
    do {
        digits[count++] = static_cast<char>('0' + left % 10);
        left /= 10;
    } while (left != 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    *to = '\0';
}

} // namespace

std::uint64_t soft_descriptor_limit = 0;

IN_CHILD int run_child(void* what) {
    launch& my = *static_cast<launch*>(what);
    const auto& how = *my.settings;
    reset_signals();
    set_process_group(my);
    place_descriptors(my);
    lower_descriptor_limit();
    set_limits(my);
    if (how.nice && call(SYS_setpriority, PRIO_PROCESS, 0, *how.nice) < 0) {
        fail(my, spawn_step::nice, errno);
    }
    if (how.mask) {
        call(SYS_umask, *how.mask); // cannot fail
    }
    set_groups(my);
    set_place(my);
    set_user(my);
    drop_inheritable(my);
    if (my.pid_digits != nullptr) {
        write_pid(my.pid_digits);
    }
    if (my.argv == nullptr) { // a rehearsal
        if (call(SYS_faccessat, AT_FDCWD, my.path, X_OK) < 0) {
            fail(my, spawn_step::execute, errno);
        }
        fail(my, spawn_step::execute, 0);
    }
    unblock_signals();
    ::execve(my.path, my.argv, my.env);
    fail(my, spawn_step::execute, errno);
}

} // namespace portico::os
