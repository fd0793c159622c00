// Where programs lie, and how they end.

#include "portico/os/spawn.hpp"
#include "child_side.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace portico::os {
namespace {

// 0 for an executable file; directories have the permission, too.
int executable(const struct stat& facts) {
    return S_ISREG(facts.st_mode) ? 0 : EACCES;
}

// EACCES for what is there and cannot be executed.
int why_not_executable(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        return errno;
    }
    if (const int wrong = executable(facts)) {
        return wrong;
    }
    return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// The same for who has chroot(2)ed to `root`. Whether it is the one whom the permission is for
// shows when it is executed.
int why_not_executable(const fd& root, const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT;
    const fd found{
        static_cast<int>(::syscall(SYS_openat2, root.raw(), path.c_str(), &how, sizeof how))};
    struct stat facts {};
    if (!found || ::fstat(found.raw(), &facts) != 0) {
        return errno;
    }
    constexpr mode_t anybody = S_IXUSR | S_IXGRP | S_IXOTH;
    return (facts.st_mode & anybody) == 0 ? EACCES : executable(facts);
}

// The path in the first directory where `why_not` is 0.
template <class WhyNot>
sys_result<std::string> first_that_fits(std::string_view name, std::string_view path,
                                        WhyNot why_not) {
    bool refused = false;
    for (std::size_t from = 0; from <= path.size();) {
        const auto end = std::min(path.find(':', from), path.size());
        const auto directory = path.substr(from, end - from);
        // "./" keeps a name of the working directory from being looked up again.
        auto candidate = std::string{directory.empty() ? "." : directory} + '/' + std::string{name};
        const int wrong = why_not(candidate);
        if (wrong == 0) {
            return candidate;
        }
        if (wrong == ENOSYS) {
            return failure(wrong);
        }
        refused = refused || wrong == EACCES;
        from = end + 1;
    }
    return failure(refused ? EACCES : ENOENT);
}

sys_result<std::string> find_in(std::string_view name, std::string_view path,
                                const std::string& root) {
    const fd top{::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!top) {
        return failure(errno);
    }
    const auto why_not = [&top](const std::string& candidate) {
        return why_not_executable(top, candidate);
    };
    // From "/", which is the working directory there.
    const auto from_top = [](const std::string& found) {
        return found.starts_with('/') ? found : '/' + found;
    };
    if (name.find('/') != std::string_view::npos) {
        std::string given{name};
        if (const int wrong = why_not(given)) {
            return failure(wrong);
        }
        return from_top(given);
    }
    const auto found = first_that_fits(name, path, why_not);
    return found ? from_top(*found) : found;
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

sys_result<std::string> find_program(std::string_view name, std::string_view path,
                                     const std::string& root) {
    if (name.empty()) {
        return failure(ENOENT);
    }
    if (!root.empty()) {
        return find_in(name, path, root);
    }
    if (name.find('/') != std::string_view::npos) {
        std::string given{name};
        if (const int wrong = why_not_executable(given)) {
            return failure(wrong);
        }
        return given;
    }
    return first_that_fits(
        name, path, [](const std::string& candidate) { return why_not_executable(candidate); });
}

bool child::has_ended() const noexcept {
    siginfo_t end{};
    const auto ask = [&] {
        return ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT);
    };
    return pid_ >= 0 && without_eintr(ask) == 0 && end.si_pid != 0;
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

sys_status child::kill_group(int signal) const noexcept {
    if (pid_ < 0) {
        return failure(ESRCH);
    }
    return status_of(::kill(-pid_, signal));
}

process_group apart_from_terminal() noexcept {
    const fd terminal{::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)};
    return !terminal && errno == ENXIO ? process_group::own : process_group::own_session;
}

sys_result<credentials> peer_credentials(int s) noexcept {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        return failure(errno);
    }
    return credentials{who.uid, who.gid, who.pid};
}

descriptor_count count_descriptors() noexcept {
    descriptor_count made;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        made.most = static_cast<std::size_t>(limit.rlim_cur);
    }
    if (DIR* all = ::opendir("/proc/self/fd")) {
        while (const dirent* each = ::readdir(all)) {
            made.open += each->d_name[0] == '.' ? 0U : 1U;
        }
        ::closedir(all);
        --made.open; // the directory itself
    } else if (errno == EMFILE) {
        made.open = made.most; // there is none for the directory
    }
    return made;
}

void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) {
        return;
    }
    const auto before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0 && soft_descriptor_limit == 0) {
        soft_descriptor_limit = before;
    }
}

std::size_t descriptors_left() noexcept {
    const auto now = count_descriptors();
    return now.most > now.open ? now.most - now.open : 0;
}

} // namespace portico::os
