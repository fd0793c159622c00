// Who has a socket open, from /proc.

#include "fd/text_file.hpp"
#include "pidfd/sockets_in.hpp"
#include "portico/diagnose/proc_text.hpp"
#include "portico/os/diag.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unordered_map>
#include <unordered_set>

namespace portico::os {
namespace {

std::string proc_path(pid_t pid, std::string_view what) {
    return "/proc/" + std::to_string(pid) + "/" + std::string{what};
}

// Whether EACCES means that it may not be seen. A process that has ended and was not reaped says
// so, too, and has nothing any more.
bool is_hidden(pid_t pid, int error) {
    if (error != EACCES) {
        return false;
    }
    const auto stat = read_text(proc_path(pid, "stat"));
    if (!stat) {
        return false; // it is gone
    }
    diagnose::process who;
    diagnose::read_stat(*stat, who);
    return who.state != 'Z' && who.state != 'X';
}

sys_result<std::vector<pid_t>> all_processes() {
    const directory all{::opendir("/proc")};
    if (!all) {
        return failure(errno);
    }
    std::vector<pid_t> found;
    while (const dirent* each = ::readdir(all.get())) {
        if (const auto pid = number_of<pid_t>(each->d_name)) {
            found.push_back(*pid);
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

// One number for each descriptor: since Linux 6.2 it is the size of the directory, which costs one
// call; before that it is 0.
std::optional<std::uint64_t> count_descriptors(pid_t pid) {
    struct stat facts {};
    const auto path = proc_path(pid, "fd");
    if (::stat(path.c_str(), &facts) != 0 || ::access(path.c_str(), R_OK) != 0 ||
        facts.st_size == 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(facts.st_size);
}

std::uint64_t inode_of_namespace(const std::string& path) noexcept {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
}

void add(network_namespace which, namespace_search& to, std::size_t most) {
    if (to.found.size() < most) {
        to.found.push_back(std::move(which));
    } else {
        ++to.left_out;
    }
}

// Namespaces that somebody gave a name keep existing without a process (ip-netns(8)).
void add_named(namespace_search& to, std::unordered_set<std::uint64_t>& seen, std::size_t most) {
    const directory all{::opendir("/run/netns")};
    while (const dirent* each = all ? ::readdir(all.get()) : nullptr) {
        const auto path = std::string{"/run/netns/"} + each->d_name;
        const auto inode = each->d_name[0] == '.' ? 0 : inode_of_namespace(path);
        if (inode != 0 && seen.insert(inode).second) {
            add({inode, 0, path}, to, most);
        }
    }
}

} // namespace

sys_result<holder_search> find_holders(std::span<const std::uint64_t> inodes, bool every_one) {
    std::unordered_map<std::uint64_t, bool> wanted; // and whether it was found
    for (const auto each : inodes) {
        wanted.emplace(each, false);
    }
    holder_search search;
    std::size_t missing = wanted.size();
    if (missing == 0) {
        return search;
    }
    const auto processes = all_processes();
    if (!processes) {
        return tl::unexpected{processes.error()};
    }
    for (const auto pid : *processes) {
        const auto done = each_socket_in(proc_path(pid, "fd"), [&](const open_socket& each) {
            if (const auto at = wanted.find(each.inode); at != wanted.end()) {
                missing -= at->second ? 0U : 1U;
                at->second = true;
                search.found.push_back({pid, each.number, each.inode});
            }
            return every_one || missing > 0;
        });
        search.hidden += !done && is_hidden(pid, done.error().value()) ? 1U : 0U;
        if (missing == 0 && !every_one) {
            break;
        }
    }
    return search;
}

sys_result<diagnose::process> read_process(pid_t pid) {
    const auto stat = read_text(proc_path(pid, "stat"));
    if (!stat) {
        return tl::unexpected{stat.error()};
    }
    diagnose::process made;
    made.pid = pid;
    diagnose::read_stat(*stat, made);
    if (const auto words = read_text(proc_path(pid, "cmdline"))) {
        made.command = diagnose::command_of(*words);
    }
    if (const auto groups = read_text(proc_path(pid, "cgroup"))) {
        diagnose::read_cgroups(*groups, made);
    }
    if (const auto status = read_text(proc_path(pid, "status"))) {
        made.uid = diagnose::effective_uid(*status).value_or(0);
    }
    if (const auto limits = read_text(proc_path(pid, "limits"))) {
        made.descriptor_limit = diagnose::descriptor_limit(*limits);
    }
    made.descriptors = count_descriptors(pid);
    return made;
}

sys_result<reuse_flags> read_reuse_flags(const socket_holder& of) {
    const auto process = pidfd_open(of.pid);
    if (!process) {
        return tl::unexpected{process.error()};
    }
    const auto copy = pidfd_getfd(*process, of.number);
    if (!copy) {
        return tl::unexpected{copy.error()};
    }
    struct stat facts {};
    if (::fstat(copy->raw(), &facts) != 0 || facts.st_ino != of.inode) {
        return failure(ESTALE); // closed meanwhile, and another one has its number
    }
    const auto option = [&](int which) {
        int value = 0;
        socklen_t size = sizeof value;
        return ::getsockopt(copy->raw(), SOL_SOCKET, which, &value, &size) == 0 && value != 0;
    };
    return reuse_flags{option(SO_REUSEADDR), option(SO_REUSEPORT)};
}

bool shares_network(pid_t pid) {
    const auto theirs = inode_of_namespace(proc_path(pid, "ns/net"));
    return theirs == 0 || theirs == inode_of_namespace("/proc/thread-self/ns/net");
}

sys_result<namespace_search> find_network_namespaces(std::size_t most) {
    const auto processes = all_processes();
    if (!processes) {
        return tl::unexpected{processes.error()};
    }
    const auto ours = inode_of_namespace("/proc/thread-self/ns/net");
    namespace_search search;
    std::unordered_set<std::uint64_t> seen{ours};
    for (const auto pid : *processes) {
        auto path = proc_path(pid, "ns/net");
        const auto inode = inode_of_namespace(path);
        if (inode == 0) {
            search.hidden += is_hidden(pid, errno) ? 1U : 0U;
        } else if (seen.insert(inode).second) {
            add({inode, pid, std::move(path)}, search, most);
        }
    }
    add_named(search, seen, most);
    return search;
}

} // namespace portico::os
