// Whether an address can be used on this host.

#include "examiner.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/ip/prefix.hpp"

#include <algorithm>

namespace portico::diagnose {
namespace {

bool same(const plan::interface_address& have, const ip::address& which) {
    if (have.address.with_zone({}) != which.with_zone({})) {
        return false;
    }
    const auto& zone = which.zone();
    return zone.empty() || zone.text() == have.interface || zone.index() == have.index;
}

const plan::interface_address* find_own(const facts& known, const ip::address& which) {
    const auto& all = known.host.addresses;
    const auto at =
        std::find_if(all.begin(), all.end(), [&](const auto& each) { return same(each, which); });
    return at == all.end() ? nullptr : &*at;
}

void without_zone(examiner& into, const ip::endpoint& at) {
    finding made{cause::zone_missing,
                 sureness::certain,
                 ip::to_text(at) + " is link-local, and means nothing without an interface",
                 {"every interface has a link of its own, with its own fe80::/10"},
                 {}};
    for (const auto& each : into.known().host.addresses) {
        if (each.address.with_zone({}) == at.address) {
            made.evidence.push_back(each.interface + " has this address");
        }
    }
    for (const auto& name : into.known().host.interfaces) {
        const auto zone = ip::zone::from_text(name);
        const bool has = std::any_of(into.known().host.addresses.begin(),
                                     into.known().host.addresses.end(), [&](const auto& each) {
                                         return each.interface == name && each.address.is_v6() &&
                                                each.address.is_link_local();
                                     });
        if (zone && has) {
            made.fixes.push_back("write " +
                                 ip::to_text(ip::endpoint{at.address.with_zone(*zone), at.port}));
        }
    }
    if (made.fixes.empty()) {
        made.fixes.emplace_back("write the interface behind a %, as in [fe80::1%eth0]:80");
    }
    into.find(std::move(made));
}

bool is_in(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool names_no_interface(const facts& known, const ip::address& which) {
    const auto zone = which.zone().text();
    const auto& all = known.host.interfaces;
    return !zone.empty() && !all.empty() && !is_in(all, std::string{zone});
}

// The interface whose link the address belongs to; else the first that is not the loopback one.
// Rather one that is up: on others an IPv6 address cannot be bound, and nobody reaches it.
std::string interface_for(const facts& known, const ip::address& which) {
    if (const auto zone = which.zone().text(); !zone.empty()) {
        return std::string{zone};
    }
    std::vector<std::string> fitting;
    for (const auto& each : known.host.addresses) {
        const auto link = ip::prefix::make(each.address.with_zone({}), each.prefix_length);
        if (link && each.prefix_length != 0 && link->contains(which)) {
            fitting.push_back(each.interface);
        }
    }
    for (const auto& each : known.host.interfaces) {
        if (each != "lo" && !which.is_loopback()) {
            fitting.push_back(each);
        }
    }
    fitting.emplace_back("lo");
    const auto up = std::find_if(fitting.begin(), fitting.end(), [&](const auto& each) {
        return !is_in(known.host.down, each) && !(which.is_v6() && is_v6_off(known, each));
    });
    return up == fitting.end() ? fitting.front() : *up;
}

// With a prefix of this one address: a longer one would bring a route along.
std::string command_to_add(const facts& known, const ip::address& which) {
    return "ip addr add " + ip::to_text(which.with_zone({})) + (which.is_v6() ? "/128" : "/32") +
           " dev " + interface_for(known, which);
}

void without_interface(examiner& into, const ip::endpoint& at) {
    std::string all;
    for (const auto& each : into.known().host.interfaces) {
        all += (all.empty() ? "" : ", ") + each;
    }
    into.find({cause::address_not_here,
               sureness::certain,
               "there is no interface " + std::string{at.address.zone().text()} +
                   " on this host, which " + ip::to_text(at.address) + " names",
               {"the interfaces are " + all},
               {"write the one that the address is on behind the %: portico addrs lists them",
                "or make the interface first"}});
}

void nowhere(examiner& into, const ip::endpoint& at) {
    const auto& known = into.known();
    if (names_no_interface(known, at.address)) {
        without_interface(into, at);
        return;
    }
    // A network namespace that never had an IPv4 address lets any be bound.
    const bool sure =
        at.address.is_v6() || std::any_of(known.host.addresses.begin(), known.host.addresses.end(),
                                          [](const auto& each) { return each.address.is_v4(); });
    finding made{cause::address_not_here,
                 sure ? sureness::certain : sureness::likely,
                 "no interface of this host has the address " + ip::to_text(at.address),
                 {},
                 {}};
    std::string all;
    for (const auto& each : known.host.addresses) {
        all += (all.empty() ? "" : ", ") + ip::to_text(each.address.with_zone({})) + " on " +
               each.interface;
    }
    made.evidence.push_back("it has " + (all.empty() ? "no address at all" : all));
    if (at.address.is_loopback() && is_in(known.host.down, "lo")) {
        made.sentence += ": the loopback interface is down";
        made.fixes.emplace_back("ip link set lo up");
    } else if (const auto on = interface_for(known, at.address);
               at.address.is_v6() && is_v6_off(known, on)) {
        made.sentence += ": IPv6 is disabled on " + on;
        made.evidence.push_back(v6_switch(on) + " is 1");
        made.fixes.push_back("sysctl -w " + v6_switch(on) + "=0");
        if (!at.address.is_loopback()) { // which comes by itself
            made.fixes.push_back("and then: " + command_to_add(known, at.address));
        }
    } else {
        made.fixes.push_back(command_to_add(known, at.address));
    }
    made.fixes.emplace_back("or let the program bind it before it is there (IP_FREEBIND; portico "
                            "listen --freebind)");
    into.find(std::move(made));
}

void unfinished(examiner& into, const plan::interface_address& have, const ip::endpoint& at) {
    const auto text = ip::to_text(have.address.with_zone({})) + " on " + have.interface;
    if (have.dad_failed) {
        into.find({cause::address_duplicate,
                   sureness::certain,
                   text + " may not be used: duplicate address detection found another host that "
                          "has it",
                   {"the kernel marks it dadfailed (ip addr; portico addrs)"},
                   {"give one of the two hosts another address, then: ip addr del " +
                    ip::to_text(have.address.with_zone({})) + "/" +
                    std::to_string(have.prefix_length) + " dev " + have.interface}});
    } else if (is_in(into.known().host.down, have.interface)) {
        into.find({cause::address_tentative,
                   sureness::certain,
                   text + " cannot be bound yet: the interface is down",
                   {"the kernel marks it tentative (ip addr; portico addrs): duplicate address "
                    "detection begins when the interface is up"},
                   {"ip link set " + have.interface + " up",
                    "or bind " + ip::to_text(at) + " with IPV6_FREEBIND"}});
    } else {
        into.find({cause::address_tentative,
                   sureness::certain,
                   text + " cannot be bound yet: duplicate address detection is not done",
                   {"the kernel marks it tentative (ip addr; portico addrs)"},
                   {"wait: it takes a second or two; portico listen waits for it itself",
                    "or bind " + ip::to_text(at) + " with IPV6_FREEBIND"}});
    }
}

// Whether the kernel takes an address that no interface has as its own. Of IPv4 its routes decide
// that; binding an IPv6 one takes an interface, whatever the routes say.
bool is_taken_without_interface(const examiner& into, const ip::address& which) {
    const auto& known = into.known();
    const auto* way = route_for(known, which);
    if (which.is_v6()) {
        return into.asked().what != act::bind && way != nullptr && way->local;
    }
    const auto& all = known.host.addresses;
    const bool none_at_all =
        std::none_of(all.begin(), all.end(), [](const auto& each) { return each.address.is_v4(); });
    if (which.is_loopback() && (way == nullptr || none_at_all)) {
        return true;
    }
    const bool broadcast =
        which == ip::address::v4({255, 255, 255, 255}) ||
        std::any_of(all.begin(), all.end(), [&](const auto& each) {
            return each.broadcast == which && !is_in(known.host.down, each.interface);
        });
    return broadcast || (way != nullptr && (way->local || way->broadcast));
}

} // namespace

const route* route_for(const facts& known, const ip::address& to) {
    const auto at = std::find_if(known.routes.begin(), known.routes.end(),
                                 [&](const auto& each) { return each.to == to; });
    return at == known.routes.end() ? nullptr : &*at;
}

std::string_view interface_of(const facts& known, const ip::address& which) {
    const auto* have = find_own(known, which);
    return have == nullptr ? std::string_view{} : have->interface;
}

bool is_v6_off(const facts& known, std::string_view interface) {
    return is_in(known.v6_off, std::string{interface});
}

// sysctl(8) takes dots for separators, unless a slash comes first.
std::string sysctl_of(std::string_view interface, std::string_view family, std::string_view which) {
    const std::string between{interface.find('.') == std::string_view::npos ? "." : "/"};
    std::string all{"net"};
    for (const auto each : {family, std::string_view{"conf"}, interface, which}) {
        all += between + std::string{each};
    }
    return all;
}

std::string v6_switch(std::string_view interface) {
    return sysctl_of(interface, "ipv6", "disable_ipv6");
}

bool is_own(const facts& known, const ip::address& which) {
    const auto plain = which.is_v4_mapped() ? ip::canonical(which) : which;
    // All of 127.0.0.0/8 is this host.
    if (plain.is_unspecified() || plain.is_loopback() || find_own(known, plain) != nullptr) {
        return true;
    }
    const auto* way = route_for(known, plain);
    return way != nullptr && way->local;
}

void examine_address(examiner& into, const ip::endpoint& at) {
    const auto& known = into.known();
    const auto plain = at.address.is_v4_mapped() ? ip::canonical(at.address) : at.address;
    if (plain.is_v6() && plain.is_link_local() && plain.zone().empty()) {
        without_zone(into, at);
        return;
    }
    into.exclude(cause::zone_missing, ip::to_text(at) + " needs no interface, or has one");
    if (plain.is_unspecified() || plain.is_multicast()) {
        into.exclude(cause::address_not_here,
                     ip::to_text(plain) + " is no address of one interface");
        return;
    }
    const auto* have = find_own(known, plain);
    if (have == nullptr) {
        const bool allowed = plain.is_v6() ? known.nonlocal_bind_v6 : known.nonlocal_bind;
        if (allowed) {
            into.exclude(cause::address_not_here, "ip_nonlocal_bind is 1");
        } else if (is_taken_without_interface(into, plain)) {
            into.exclude(cause::address_not_here,
                         "the kernel takes " + ip::to_text(plain) + " as its own, by its routes");
        } else {
            nowhere(into, {plain, at.port});
        }
        return;
    }
    if (have->tentative || have->dad_failed) {
        unfinished(into, *have, at);
    }
    const auto usable = ip::to_text(have->address) + " on " + have->interface + " is usable";
    into.exclude(cause::address_not_here, have->interface + " has " + ip::to_text(plain));
    into.exclude(cause::address_tentative, usable);
    into.exclude(cause::address_duplicate, usable);
}

} // namespace portico::diagnose
