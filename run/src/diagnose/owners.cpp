// Who has the sockets.

#include "gather.hpp"

#include "portico/diagnose/proc_text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unistd.h>

namespace portico::run {
namespace {

using diagnose::socket;
using diagnose::socket_state;

bool is_server(const socket& which) noexcept {
    return which.state == socket_state::listening || which.state == socket_state::bound;
}

bool is_full(const socket& which) noexcept {
    return which.state == socket_state::listening && which.waiting > which.most;
}

// Servers first. Of connections a few are enough: they are evidence, and no more.
std::vector<std::uint64_t> wanted_inodes(const std::vector<socket>& all) {
    constexpr std::size_t most_connections = 16;
    std::vector<std::uint64_t> wanted;
    for (const auto& each : all) {
        if (is_server(each) && each.inode != 0) {
            wanted.push_back(each.inode);
        }
    }
    if (!wanted.empty()) {
        return wanted;
    }
    for (const auto& each : all) {
        if (each.inode != 0 && wanted.size() < most_connections) {
            wanted.push_back(each.inode);
        }
    }
    return wanted;
}

// Index of the process in the facts; nullopt when it has ended meanwhile.
class process_list {
public:
    explicit process_list(diagnose::facts& to) : to_{to} {}

    std::optional<std::size_t> index_of(pid_t pid) {
        if (const auto at = known_.find(pid); at != known_.end()) {
            return at->second;
        }
        std::optional<std::size_t> index;
        if (auto read = os::read_process(pid)) {
            index = to_.processes.size();
            to_.processes.push_back(std::move(*read));
        }
        return known_.emplace(pid, index).first->second;
    }

private:
    diagnose::facts& to_;
    std::map<pid_t, std::optional<std::size_t>> known_;
};

// Of sockets whose process is not seen, at least for whom it was made.
void guess_groups(diagnose::facts& to) {
    constexpr std::size_t most_directories = 4096;
    std::vector<std::uint64_t> wanted;
    for (const auto& each : to.sockets) {
        if (each.holders.empty() && each.inode != 0 && each.cgroup != 0) {
            wanted.push_back(each.cgroup);
        }
    }
    const auto found = os::find_control_groups(wanted, most_directories);
    for (auto& each : to.sockets) {
        if (const auto at = found.find(each.cgroup); at != found.end() && each.holders.empty()) {
            diagnose::process maker;
            diagnose::read_cgroups("0::" + at->second, maker);
            each.unit = std::move(maker.unit);
            each.container = std::move(maker.container);
        }
    }
}

} // namespace

void add_owners(diagnose::facts& to, const diagnose_options& how) {
    const auto wanted = wanted_inodes(to.sockets);
    // Any one of those that share a full queue may be the one that does not accept.
    const bool full = std::any_of(to.sockets.begin(), to.sockets.end(), is_full);
    const bool every_one = how.every_holder || full;
    const auto search = os::find_holders(wanted, every_one || how.count_holders);
    if (!search) {
        to.unseen.push_back("the processes: /proc: " + search.error().message());
        return;
    }
    process_list processes{to};
    std::map<std::uint64_t, std::vector<os::socket_holder>> holders;
    for (const auto& each : search->found) {
        holders[each.inode].push_back(each);
    }
    std::size_t missing = 0;
    for (auto& each : to.sockets) {
        const auto have = holders.find(each.inode);
        if (have == holders.end()) {
            missing += std::count(wanted.begin(), wanted.end(), each.inode) > 0 ? 1U : 0U;
            continue;
        }
        std::set<pid_t> counted;
        for (const auto& holder : have->second) {
            if (!every_one && !counted.empty()) {
                each.more_holders += counted.insert(holder.pid).second ? 1U : 0U;
                continue;
            }
            counted.insert(holder.pid);
            const auto index = processes.index_of(holder.pid);
            const bool again =
                index && std::count(each.holders.begin(), each.holders.end(), *index) > 0;
            if (index && !again) {
                each.holders.push_back(*index);
            }
        }
        if (const auto flags = os::read_reuse_flags(have->second.front())) {
            each.reuse_address = flags->address;
            each.reuse_port = flags->port;
        }
    }
    if (missing > 0) {
        guess_groups(to);
    }
    to.seen_as_root = search->hidden == 0 || ::geteuid() == 0;
    if (missing > 0 && search->hidden > 0) {
        to.unseen.push_back("the descriptors of other users' processes (" +
                            std::to_string(search->hidden) + ")" +
                            (to.seen_as_root ? "" : "; as root they can be seen (sudo)"));
    } else if (missing > 0) {
        to.unseen.emplace_back("a process that has one of the sockets: it is the kernel's own, or "
                               "in a process namespace that is not seen from here");
    }
}

} // namespace portico::run
