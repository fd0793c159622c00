// Control groups by their numbers, which are the inodes of their directories.

#include "fd/text_file.hpp"
#include "pidfd/sockets_in.hpp"
#include "portico/os/diag.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <sys/stat.h>

namespace portico::os {
namespace {

// One line of /proc/PID/mountinfo (proc(5)): "36 35 98:0 ROOT MOUNT-POINT ... - TYPE ...".
std::optional<std::string> mount_point_of_groups(std::string_view text) {
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.find(" - cgroup2 ") == line.npos) {
            continue;
        }
        for (int field = 0; field < 4; ++field) {
            line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
        }
        return std::string{line.substr(0, line.find(' '))};
    }
    return std::nullopt;
}

std::uint64_t inode_of(const std::string& path) noexcept {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
}

} // namespace

std::map<std::uint64_t, std::string> find_control_groups(std::span<const std::uint64_t> numbers,
                                                         std::size_t most) {
    std::map<std::uint64_t, std::string> found;
    std::set<std::uint64_t> wanted{numbers.begin(), numbers.end()};
    const auto mounts = read_text("/proc/self/mountinfo");
    const auto top = mounts ? mount_point_of_groups(*mounts) : std::nullopt;
    if (!top || wanted.empty()) {
        return found;
    }
    const auto take = [&](std::uint64_t inode, const std::string& path) {
        if (wanted.erase(inode) > 0) {
            found.emplace(inode, path);
        }
    };
    take(inode_of(*top), "/");
    std::deque<std::string> to_do{{}}; // below the top
    for (std::size_t seen = 0; !to_do.empty() && !wanted.empty() && seen < most; ++seen) {
        const auto path = std::move(to_do.front());
        to_do.pop_front();
        const directory all{::opendir((*top + path).c_str())};
        while (const dirent* each = all ? ::readdir(all.get()) : nullptr) {
            const std::string_view name{each->d_name};
            if (each->d_type == DT_DIR && name != "." && name != "..") {
                to_do.push_back(path + "/" + each->d_name);
                take(each->d_ino, to_do.back());
            }
        }
    }
    return found;
}

} // namespace portico::os
