#include "portico/os/resolve.hpp"
#include "portico/os/resolve_name.hpp"
#include "program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

constexpr std::size_t max_name = 1024; // NI_MAXHOST is 1025 with its terminator

tl::unexpected<error> not_started(std::error_code code, side who = side::system) {
    return tl::unexpected{error{code, operation::resolve, who, {}}};
}

tl::unexpected<error> not_started(int number) {
    return not_started({number, std::system_category()});
}

// What the new process finds open, and its signals.
class spawn_setting {
public:
    explicit spawn_setting(int answer) {
        ::posix_spawn_file_actions_init(&actions);
        // The pipe first: it may be one of the three when this program runs with them closed.
        ::posix_spawn_file_actions_adddup2(&actions, answer, STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        // Descriptors of this program that are not close-on-exec are no business of a resolver.
        ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);

        sigset_t none;
        sigset_t all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_init(&attributes);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    spawn_setting(const spawn_setting&) = delete;
    spawn_setting& operator=(const spawn_setting&) = delete;
    ~spawn_setting() {
        ::posix_spawnattr_destroy(&attributes);
        ::posix_spawn_file_actions_destroy(&actions);
    }

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

using words = std::vector<std::string>; // arguments, without the program's own name

// posix_spawn(3) of `program`; 0 or an errno.
int spawn(pid_t& pid, const std::string& program, words what, const spawn_setting& setting) {
    std::string name = "portico-resolve";
    std::vector<char*> arguments{name.data()};
    for (auto& each : what) {
        arguments.push_back(each.data());
    }
    arguments.push_back(nullptr);
    return ::posix_spawn(&pid, program.c_str(), &setting.actions, &setting.attributes,
                         arguments.data(), environ);
}

result<pid_t> spawn_given(const std::string& program, const words& what,
                          const spawn_setting& setting) {
    pid_t pid = -1;
    switch (const int number = spawn(pid, program, what, setting)) {
    case 0:
        return pid;
    case ENOENT:
    case EACCES:
    case ENOTDIR:
    case ENOEXEC:
        return not_started(lookup_errc::program_unusable, side::caller);
    default:
        return not_started(number);
    }
}

result<pid_t> spawn_found(const words& what, const spawn_setting& setting) {
    for (const auto& place : resolve_programs()) {
        if (place.check_owner && !has_trusted_owner(place.path)) {
            continue;
        }
        pid_t pid = -1;
        const int number = spawn(pid, place.path, what, setting);
        if (number == 0) {
            return pid;
        }
        if (number != ENOENT && number != EACCES && number != ENOTDIR) {
            return not_started(number);
        }
    }
    return not_started(lookup_errc::program_missing);
}

bool can_be_a_name(const std::string& name) {
    return !name.empty() && name.size() <= max_name && name.find('\0') == std::string::npos;
}

// The name is the first word.
result<lookup> start_asking(const words& what, const lookup_config& how) {
    if (!can_be_a_name(what.front())) {
        return not_started(errc::name_not_found, side::caller);
    }
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return not_started(errno);
    }
    fd answer{ends[0]};
    const fd answering{ends[1]};
    // Only our end: a description is shared by those who inherit it, and the program writes simply.
    if (::fcntl(answer.raw(), F_SETFL, O_NONBLOCK) != 0) {
        return not_started(errno);
    }
    const spawn_setting setting{answering.raw()};
    const auto pid =
        how.program.empty() ? spawn_found(what, setting) : spawn_given(how.program, what, setting);
    if (!pid) {
        return tl::unexpected{pid.error()};
    }
    fd process{static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0U))};
    return lookup{std::move(answer), *pid, std::move(process)};
}

} // namespace

lookup::lookup(fd answer, pid_t pid, fd process) noexcept
    : answer_{std::move(answer)}, pid_{pid}, process_{std::move(process)} {}

lookup::lookup(lookup&& other) noexcept
    : answer_{std::move(other.answer_)}, pid_{std::exchange(other.pid_, -1)}, process_{std::move(
                                                                                  other.process_)} {
}

lookup& lookup::operator=(lookup&& other) noexcept {
    if (this != &other) {
        stop();
        answer_ = std::move(other.answer_);
        pid_ = std::exchange(other.pid_, -1);
        process_ = std::move(other.process_);
    }
    return *this;
}

void lookup::stop() noexcept {
    answer_.reset();
    const auto pid = std::exchange(pid_, -1);
    if (pid < 0) {
        return;
    }
    const bool named = static_cast<bool>(process_);
    if (named) {
        ::syscall(SYS_pidfd_send_signal, process_.raw(), SIGKILL, nullptr, 0U);
    } else {
        ::kill(pid, SIGKILL);
    }
    // ECHILD means that SIGCHLD is ignored, or that somebody who waits for every child was faster.
    const auto kind = named ? P_PIDFD : P_PID;
    const auto id = static_cast<id_t>(named ? process_.raw() : pid);
    siginfo_t end{};
    while (::waitid(kind, id, &end, WEXITED) < 0 && errno == EINTR) {
    }
    process_.reset();
}

result<lookup> start_lookup(const lookup_request& what, const lookup_config& how) {
    return start_asking(
        {what.name, what.family == ip::family::v4 ? "4" : "6", what.passive ? "passive" : "active"},
        how);
}

result<lookup> start_service_lookup(const std::string& name, const lookup_config& how) {
    return start_asking({name, "srv"}, how);
}

result<lookup> start_name_lookup(const ip::address& who, const lookup_config& how) {
    return start_asking({ip::to_text(who), "name"}, how);
}

} // namespace portico::os
