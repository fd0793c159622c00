// What a UDP socket does not hear by itself: groups, which have to be joined, and, when it is bound
// to one address, all that is sent to another one, as broadcasts are. For those there is a socket
// at that other address, bound to the interface, so that a service at the addresses of one
// interface hears no broadcasts of others.

#include "plan/expansion.hpp"
#include "plan/words.hpp"
#include "portico/plan/memberships.hpp"

#include <algorithm>
#include <utility>

namespace portico::plan {
namespace {

using weight = remark::weight;

const ip::address limited_broadcast = ip::address::v4(255, 255, 255, 255);

ip::address without_zone(const ip::address& which) {
    return which.is_v6() ? which.with_zone({}) : which;
}

bool is_own(const interface_address& each, const ip::address& which) {
    const auto& zone = which.zone();
    return without_zone(each.address) == without_zone(which) &&
           (zone.empty() || zone.text() == each.interface || zone.index() == each.index);
}

bool is_joined_by(const ip::group& group, const planned_socket& which) {
    return std::any_of(which.groups.begin(), which.groups.end(),
                       [&](const ip::group& each) { return each.which == group.which; });
}

} // namespace

// A socket at all addresses hears every group that it joins, and one at a group's address that
// group.
void expansion::add_groups(planned_socket& to) {
    const auto* where = std::get_if<ip::endpoint>(&to.at);
    if (where == nullptr || to.over != ip::transport::udp) {
        return;
    }
    for (const auto& each : asked().groups) {
        if (each.which.family() == where->address.family() &&
            (where->address.is_unspecified() || without_zone(where->address) == each.which)) {
            to.groups.push_back(each);
        }
    }
}

void expansion::add_heard_besides(const planned_socket& one) {
    const bool any = asked().broadcast || !asked().groups.empty();
    const auto& which = std::get<ip::endpoint>(one.at).address;
    if (!any || one.over != ip::transport::udp || which.is_unspecified() || which.is_multicast()) {
        return;
    }
    bool found = false;
    for (const auto& each : known_.addresses) {
        if (is_own(each, which)) {
            found = true;
            add_broadcasts(one, each);
            add_group_sockets(one, each);
        }
    }
    if (!found) {
        say(weight::warning,
            ip::to_text(which) + " is an address of no interface, and so it is not known on which "
                                 "one broadcasts and groups are to be heard",
            "listen on ':port' or '0.0.0.0:port', which hears those of every interface");
    }
}

planned_socket expansion::besides(const planned_socket& one, const ip::address& which,
                                  const interface_address& of, std::string reason) {
    auto made = one;
    const auto zone = ip::zone::from_text(of.interface);
    made.at = ip::endpoint{which.needs_zone() && zone ? which.with_zone(*zone) : which,
                           std::get<ip::endpoint>(one.at).port};
    made.interface = of.interface;
    made.groups.clear();
    made.freebind = false;
    made.besides = true;
    made.reason = std::move(reason);
    return made;
}

void expansion::add_broadcasts(const planned_socket& one, const interface_address& of) {
    if (!asked().broadcast || !of.address.is_v4()) {
        return;
    }
    if (!of.broadcast) {
        say(weight::note, ip::to_text(of.address) + " of " + of.interface +
                              " has no broadcast address: no broadcasts are heard there");
        return;
    }
    const auto by = " that come in by " + of.interface;
    add(besides(one, *of.broadcast, of,
                "broadcasts to the network of " + ip::to_text(of.address) + by));
    add(besides(one, limited_broadcast, of, "broadcasts to all" + by));
}

void expansion::add_group_sockets(const planned_socket& one, const interface_address& of) {
    for (const auto& each : asked().groups) {
        const bool here = each.interface.empty()
                              ? of.can_multicast
                              : is_meant(each.interface, {of.index, of.interface});
        if (!here || each.which.family() != of.address.family()) {
            continue;
        }
        auto made = besides(one, each.which, of,
                            "what is sent to the group and comes in by " + of.interface);
        made.groups.push_back({each.which, {}});
        add(std::move(made));
    }
}

// A group that no socket can join, for want of its family or its interface.
void expansion::check_joined() {
    std::vector<ip::group> seen;
    for (index_ = 0; index_ < wishes_.size(); ++index_) {
        for (const auto& each : asked().groups) {
            const bool is_new = std::find(seen.begin(), seen.end(), each) == seen.end();
            const bool is_heard =
                std::any_of(made_.sockets.begin(), made_.sockets.end(),
                            [&](const planned_socket& one) { return is_joined_by(each, one); });
            if (is_new && !is_heard) {
                seen.push_back(each);
                say(weight::warning, "the group " + ip::to_text(each) + " is joined by no socket",
                    "it needs a UDP socket of " + std::string{ip::to_text(each.which.family())} +
                        " at all addresses, at the group's, or at one of the interface");
            }
        }
    }
}

} // namespace portico::plan
