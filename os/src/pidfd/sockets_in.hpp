// Directories of proc(5): numbers as names, and descriptors that are sockets.
#pragma once

#include "fd/number_of.hpp"
#include "portico/os/pidfd.hpp"
#include "socket/call.hpp"

#include <dirent.h>
#include <memory>
#include <unistd.h>

namespace portico::os {

struct directory_end {
    void operator()(DIR* which) const noexcept { ::closedir(which); }
};
using directory = std::unique_ptr<DIR, directory_end>;

// "socket:[4711]" and "net:[4711]" (proc(5)), each with its kind.
[[nodiscard]] inline std::optional<std::uint64_t> inode_in_link(std::string_view link,
                                                                std::string_view kind) noexcept {
    if (!link.starts_with(kind) || !link.substr(kind.size()).starts_with(":[") ||
        !link.ends_with(']')) {
        return std::nullopt;
    }
    link.remove_prefix(kind.size() + 2);
    link.remove_suffix(1);
    return number_of<std::uint64_t>(link);
}

// Calls `see(open_socket)` for each descriptor in /proc/PID/fd that is a socket, until it returns
// false. What is closed meanwhile is passed over.
template <class See>
[[nodiscard]] sys_status each_socket_in(const std::string& path, See see) {
    const directory all{::opendir(path.c_str())};
    if (!all) {
        return failure(errno);
    }
    while (const dirent* each = ::readdir(all.get())) {
        const auto number = number_of<int>(each->d_name);
        if (!number) {
            continue; // "." and ".."
        }
        std::array<char, 64> link{}; // what is cut off is no socket
        const auto size = ::readlinkat(::dirfd(all.get()), each->d_name, link.data(), link.size());
        if (size < 0 && errno != ENOENT) {
            return failure(errno);
        }
        const auto inode =
            inode_in_link({link.data(), size < 0 ? 0 : static_cast<std::size_t>(size)}, "socket");
        if (inode && !see(open_socket{*number, *inode})) {
            break;
        }
    }
    return {};
}

} // namespace portico::os
