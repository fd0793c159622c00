#include "portico/os/pidfd.hpp"

#include "fd/text_file.hpp"
#include "socket/call.hpp"

#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>

// Not <sys/pidfd.h>: that of Debian 12 cannot be linked from C++.

namespace portico::os {
namespace {

struct directory_end {
    void operator()(DIR* which) const noexcept { ::closedir(which); }
};
using directory = std::unique_ptr<DIR, directory_end>;

template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
    Number value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = code == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional{value} : std::nullopt;
}

// "socket:[4711]" (proc(5)).
std::optional<std::uint64_t> socket_inode(std::string_view link) noexcept {
    constexpr std::string_view before = "socket:[";
    if (!link.starts_with(before) || !link.ends_with(']')) {
        return std::nullopt;
    }
    link.remove_prefix(before.size());
    link.remove_suffix(1);
    return number_of<std::uint64_t>(link);
}

// nullopt: it is no socket, or was closed meanwhile.
sys_result<std::optional<open_socket>> socket_in(DIR* all, const char* name) noexcept {
    const auto number = number_of<int>(name);
    if (!number) {
        return std::nullopt; // "." and ".."
    }
    std::array<char, 64> link{}; // what is cut off is no socket
    const auto size = ::readlinkat(::dirfd(all), name, link.data(), link.size());
    if (size < 0 && errno != ENOENT) {
        return failure(errno);
    }
    const auto inode = socket_inode({link.data(), size < 0 ? 0 : static_cast<std::size_t>(size)});
    return inode ? std::optional{open_socket{*number, *inode}} : std::nullopt;
}

} // namespace

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
    const auto pid =
        number_of<pid_t>(std::string_view{*text}.substr(from, text->find('\n', from) - from));
    if (!pid) {
        return failure(EINVAL);
    }
    // -1: it has ended; 0: it is in a process namespace that this one does not see.
    if (*pid <= 0) {
        return failure(ESRCH);
    }
    return *pid;
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
    const directory all{::opendir(("/proc/" + std::to_string(*pid) + "/fd").c_str())};
    if (!all) {
        const int wrong = errno;
        const auto still = pid_of(process);
        return failure(still ? wrong : still.error().value());
    }
    std::vector<open_socket> found;
    while (const dirent* each = ::readdir(all.get())) {
        const auto socket = socket_in(all.get(), each->d_name);
        if (!socket) {
            return tl::unexpected{socket.error()};
        }
        if (*socket) {
            found.push_back(**socket);
        }
    }
    // If the number is still its own, then it was all the time.
    if (const auto still = pid_of(process); !still) {
        return tl::unexpected{still.error()};
    }
    return found;
}

} // namespace portico::os
