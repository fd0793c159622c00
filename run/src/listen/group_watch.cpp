#include "portico/run/group_watch.hpp"

#include "portico/os/netlink.hpp"
#include "portico/os/socket.hpp"

#include <algorithm>
#include <utility>

namespace portico::run {
namespace {

// What a socket is bound to by an option, or by the zone of its address.
std::string bound_interface(const bound_socket& which) {
    const auto* at = std::get_if<ip::endpoint>(&which.at);
    return !which.interface.empty() || at == nullptr ? which.interface : std::string {
        at->address.zone().text()
    };
}

} // namespace

struct group_watch::interfaces {
    std::vector<plan::group_interface> all;

    [[nodiscard]] std::string name_of(std::uint32_t index) const {
        const auto found = std::find_if(all.begin(), all.end(),
                                        [&](const auto& each) { return each.index == index; });
        return found == all.end() ? std::to_string(index) : found->name;
    }
};

bool group_watch::is_needed(std::span<const bound_socket> sockets) noexcept {
    return std::any_of(sockets.begin(), sockets.end(), [](const bound_socket& each) {
        return !each.groups.empty() || !each.joined->empty();
    });
}

// It is watched before it is looked at, so that no change is missed.
group_watch::group_watch(const asio::any_io_executor& executor,
                         std::span<const bound_socket> sockets, heard tell)
    : tell_{std::move(tell)} {
    for (const auto& each : sockets) {
        if (!each.groups.empty() || !each.joined->empty()) {
            members_.push_back(
                {each.descriptor.raw(), each.at, bound_interface(each), each.groups, each.joined});
        }
    }
    auto made = network_watch::open(executor, [this] { look(); });
    if (made) {
        watch_ = *std::move(made);
    } else if (tell_) {
        tell_({.what = group_news::kind::unwatched, .why = made.error().code});
    }
    look();
}

void group_watch::look() {
    const auto seen = os::take_snapshot();
    if (!seen) {
        return; // the next change is another chance
    }
    interfaces now;
    for (const auto& each : seen->links) {
        now.all.push_back({each.index, each.name, each.multicast});
    }
    for (auto& each : members_) {
        settle(each, now);
    }
}

// First what goes, for the kernel bounds how many a socket may have.
void group_watch::settle(member& which, const interfaces& now) {
    const auto wanted = plan::memberships(which.groups, which.bound_to, now.all);
    for (auto each = which.joined->begin(); each != which.joined->end();) {
        if (wanted.contains(*each)) {
            ++each;
            continue;
        }
        static_cast<void>(os::leave_group(which.raw, each->group, each->interface));
        tell(group_news::kind::left, which, *each, now);
        each = which.joined->erase(each);
    }
    for (const auto& each : wanted) {
        if (which.joined->contains(each)) {
            continue;
        }
        const auto done = os::join_group(which.raw, each.group, each.interface);
        if (done || done.error() == std::errc::address_in_use) {
            which.joined->insert(each);
            which.refused.erase(each);
            tell(group_news::kind::joined, which, each, now);
        } else if (which.refused.insert(each).second) {
            tell(group_news::kind::refused, which, each, now, done.error());
        }
    }
    std::erase_if(which.refused, [&](const auto& each) { return !wanted.contains(each); });
}

void group_watch::tell(group_news::kind what, const member& which, const plan::membership& of,
                       const interfaces& now, std::error_code why) {
    if (tell_) {
        tell_({what, which.at, of.group, now.name_of(of.interface), why});
    }
}

} // namespace portico::run
