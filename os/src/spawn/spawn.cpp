// Starting programs with posix_spawn(3), which copies nothing and tells the errno of execve(2).

#include "portico/os/spawn.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace portico::os {
namespace {

// EACCES for what is there and cannot be executed; directories have the permission, too.
int why_not_executable(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        return errno;
    }
    if (!S_ISREG(facts.st_mode)) {
        return EACCES;
    }
    return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

std::vector<char*> pointers(std::span<const std::string> words) {
    std::vector<char*> raw;
    raw.reserve(words.size() + 1);
    for (const auto& each : words) {
        raw.push_back(const_cast<char*>(each.c_str())); // posix_spawn(3) does not write to them
    }
    raw.push_back(nullptr);
    return raw;
}

class spawn_actions {
public:
    spawn_actions() noexcept { ::posix_spawn_file_actions_init(&actions_); }
    spawn_actions(const spawn_actions&) = delete;
    spawn_actions& operator=(const spawn_actions&) = delete;
    ~spawn_actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    // The connection becomes 0 and 1, and everything above our stderr is closed, so that no
    // descriptor that somebody forgot to make close-on-exec reaches the program.
    [[nodiscard]] int prepare(int connection) noexcept {
        for (const int end : {STDIN_FILENO, STDOUT_FILENO}) {
            if (const int wrong = ::posix_spawn_file_actions_adddup2(&actions_, connection, end)) {
                return wrong;
            }
        }
        return ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    }
    [[nodiscard]] const posix_spawn_file_actions_t* raw() const noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

class spawn_attributes {
public:
    spawn_attributes() noexcept {
        ::posix_spawnattr_init(&attributes_);
        sigset_t signals;
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes_, &signals);
        ::sigfillset(&signals);
        ::posix_spawnattr_setsigdefault(&attributes_, &signals);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    spawn_attributes(const spawn_attributes&) = delete;
    spawn_attributes& operator=(const spawn_attributes&) = delete;
    ~spawn_attributes() { ::posix_spawnattr_destroy(&attributes_); }

    [[nodiscard]] const posix_spawnattr_t* raw() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

// O_NONBLOCK belongs to the open file, which the program shares with us.
sys_status make_blocking(int s) noexcept {
    const int flags = ::fcntl(s, F_GETFL);
    if (flags < 0) {
        return failure(errno);
    }
    return status_of(::fcntl(s, F_SETFL, flags & ~O_NONBLOCK));
}

exit_report report_of(const siginfo_t& end) noexcept {
    return {end.si_code != CLD_EXITED, end.si_status};
}

} // namespace

std::vector<std::string> environment() {
    std::vector<std::string> all;
    for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
        all.emplace_back(*each);
    }
    return all;
}

sys_result<std::string> find_program(std::string_view name, std::string_view path) {
    if (name.empty()) {
        return failure(ENOENT);
    }
    if (name.find('/') != std::string_view::npos) {
        std::string given{name};
        if (const int wrong = why_not_executable(given)) {
            return failure(wrong);
        }
        return given;
    }
    bool refused = false;
    for (std::size_t from = 0; from <= path.size();) {
        const auto end = std::min(path.find(':', from), path.size());
        const auto directory = path.substr(from, end - from);
        // "./" keeps a name of the working directory from being looked up again.
        auto candidate = std::string{directory.empty() ? "." : directory} + '/' + std::string{name};
        const int wrong = why_not_executable(candidate);
        if (wrong == 0) {
            return candidate;
        }
        refused = refused || wrong == EACCES;
        from = end + 1;
    }
    return failure(refused ? EACCES : ENOENT);
}

sys_result<std::optional<exit_report>> child::reap() noexcept {
    if (pid_ < 0) {
        return failure(ECHILD);
    }
    siginfo_t end{};
    const int done = static_cast<int>(without_eintr(
        [&] { return ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG); }));
    if (done == 0 && end.si_pid == 0) {
        return std::optional<exit_report>{};
    }
    const int wrong = errno;
    pid_ = -1;
    process_.reset();
    if (done != 0) {
        return failure(wrong);
    }
    return report_of(end);
}

sys_status child::kill(int signal) const noexcept {
    if (pid_ < 0) {
        return failure(ESRCH);
    }
    return status_of(::kill(pid_, signal));
}

sys_result<child> spawn(const std::string& path, std::span<const std::string> argv,
                        std::span<const std::string> env, const fd& connection) {
    if (const auto blocking = make_blocking(connection.raw()); !blocking) {
        return tl::unexpected{blocking.error()};
    }
    spawn_actions actions;
    if (const int wrong = actions.prepare(connection.raw())) {
        return failure(wrong);
    }
    const spawn_attributes attributes;
    const auto arguments = pointers(argv);
    const auto variables = pointers(env);
    pid_t pid = -1;
    if (const int wrong = ::posix_spawn(&pid, path.c_str(), actions.raw(), attributes.raw(),
                                        arguments.data(), variables.data())) {
        return failure(wrong);
    }
    return child{pid, fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))}};
}

sys_result<credentials> peer_credentials(int s) noexcept {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        return failure(errno);
    }
    return credentials{who.uid, who.gid, who.pid};
}

std::size_t descriptors_left() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return SIZE_MAX;
    }
    std::size_t open = 0;
    if (DIR* all = ::opendir("/proc/self/fd")) {
        while (const dirent* each = ::readdir(all)) {
            open += each->d_name[0] == '.' ? 0U : 1U;
        }
        ::closedir(all);
        --open; // the directory itself
    }
    const auto most = static_cast<std::size_t>(limit.rlim_cur);
    return most > open ? most - open : 0;
}

} // namespace portico::os
