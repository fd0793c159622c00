// Sockets of a process that is not asked.

#include "host/handover.hpp"

#include "portico/os/inherit.hpp"
#include "portico/os/listening.hpp"
#include "portico/os/pidfd.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

namespace portico::app {
namespace {

bool is_refusal(std::error_code why) {
    return why.value() == EPERM || why.value() == EACCES;
}

std::string reason(pid_t which, std::error_code why) {
    const auto who = "process " + std::to_string(which) + ": ";
    if (!is_refusal(why)) {
        return who + why.message();
    }
    const auto told = os::why_not_taken(os::gather_ptrace_facts(which));
    return who + "its sockets cannot be taken: " + told.why +
           (told.hint.empty() ? "" : "\n    " + told.hint);
}

// nullopt: it is connected, or of no use here.
std::optional<run::held_socket> listening_one(os::fd copy) {
    const auto seen = os::inspect_socket(copy.raw());
    if (!seen || !seen->over || (*seen->over == ip::transport::tcp && !seen->listening)) {
        return std::nullopt;
    }
    if (*seen->over == ip::transport::udp && os::getpeername(copy.raw())) {
        return std::nullopt;
    }
    const auto wish = ip::parse_listen_address(ip::to_text(seen->bound));
    if (!wish) {
        return std::nullopt;
    }
    run::held_socket made;
    made.wish = *wish;
    made.socket.at = seen->bound;
    made.socket.over = *seen->over;
    made.socket.interface = os::bound_device(copy.raw(), seen->bound);
    // One that takes IPv4 as well is good for either, and nothing is opened for IPv4 then.
    const auto* at = std::get_if<ip::endpoint>(&seen->bound);
    made.socket.v6only = at != nullptr && at->address.is_v6();
    made.socket.foreign = true;
    made.socket.descriptor = std::move(copy);
    return made;
}

} // namespace

tl::expected<std::vector<run::held_socket>, std::string> take_sockets_of(pid_t which) {
    const auto process = os::pidfd_open(which);
    if (!process) {
        return tl::unexpected{reason(which, process.error())};
    }
    const auto all = os::open_sockets(*process);
    if (!all) {
        return tl::unexpected{reason(which, all.error())};
    }
    std::vector<run::held_socket> made;
    std::set<std::uint64_t> seen; // one socket may have several numbers
    for (const auto& each : *all) {
        if (!seen.insert(each.inode).second) {
            continue;
        }
        auto copy = os::pidfd_getfd(*process, each.number);
        if (!copy && is_refusal(copy.error())) {
            return tl::unexpected{reason(which, copy.error())};
        }
        if (!copy) {
            continue; // closed meanwhile
        }
        if (auto one = listening_one(*std::move(copy))) {
            made.push_back(*std::move(one));
        }
    }
    if (made.empty()) {
        return tl::unexpected{"process " + std::to_string(which) +
                              " has no listening or unconnected socket"};
    }
    return made;
}

} // namespace portico::app
