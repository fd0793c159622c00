#include "portico/os/pidfd.hpp"

#include "fd/text_file.hpp"
#include "pidfd/sockets_in.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Not <sys/pidfd.h>: that of Debian 12 cannot be linked from C++.

namespace portico::os {

sys_result<fd> pidfd_open(pid_t pid) noexcept {
    fd made{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_result<pid_t> pid_of(const fd& process) {
    const auto text = read_text("/proc/self/fdinfo/" + std::to_string(process.raw()));
    if (!text) {
        return tl::unexpected{text.error()};
    }
    constexpr std::string_view name = "\nPid:\t";
    const auto at = text->find(name);
    const auto from = at == std::string::npos ? text->size() : at + name.size();
    const auto told = std::string_view{*text}.substr(from, text->find('\n', from) - from);
    // -1: it has ended; 0: it is in a process namespace that this one does not see.
    if (told == "-1" || told == "0") {
        return failure(ESRCH);
    }
    const auto pid = number_of<pid_t>(told);
    return pid ? sys_result<pid_t>{*pid} : failure(EINVAL);
}

sys_status pidfd_send_signal(const fd& process, int signal) noexcept {
    return status_of(
        static_cast<int>(::syscall(SYS_pidfd_send_signal, process.raw(), signal, nullptr, 0)));
}

sys_result<fd> pidfd_getfd(const fd& process, int number) noexcept {
    fd made{static_cast<int>(::syscall(SYS_pidfd_getfd, process.raw(), number, 0))};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_result<std::vector<open_socket>> open_sockets(const fd& process) {
    const auto pid = pid_of(process);
    if (!pid) {
        return tl::unexpected{pid.error()};
    }
    std::vector<open_socket> found;
    const auto done =
        each_socket_in("/proc/" + std::to_string(*pid) + "/fd", [&](const open_socket& each) {
            found.push_back(each);
            return true;
        });
    if (!done) {
        const auto still = pid_of(process);
        return tl::unexpected{still ? done.error() : still.error()};
    }
    // If the number is still its own, then it was all the time.
    if (const auto still = pid_of(process); !still) {
        return tl::unexpected{still.error()};
    }
    return found;
}

} // namespace portico::os
