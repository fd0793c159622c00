// Whether an address can be used on this host.

#include "examiner.hpp"

#include "portico/ip/canonical.hpp"

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

std::string command_to_add(const facts& known, const ip::address& which) {
    const auto& names = known.host.interfaces;
    const auto outer =
        std::find_if(names.begin(), names.end(), [](const auto& each) { return each != "lo"; });
    return "ip addr add " + ip::to_text(which.with_zone({})) + (which.is_v6() ? "/64" : "/24") +
           " dev " + (outer == names.end() ? "INTERFACE" : *outer);
}

void nowhere(examiner& into, const ip::endpoint& at) {
    finding made{cause::address_not_here,
                 sureness::certain,
                 "no interface of this host has the address " + ip::to_text(at.address),
                 {},
                 {}};
    std::string all;
    for (const auto& each : into.known().host.addresses) {
        all += (all.empty() ? "" : ", ") + ip::to_text(each.address.with_zone({})) + " on " +
               each.interface;
    }
    made.evidence.push_back("it has " + (all.empty() ? "no address at all" : all));
    made.fixes.push_back(command_to_add(into.known(), at.address));
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
                    ip::to_text(have.address.with_zone({})) + "/64 dev " + have.interface}});
    } else {
        into.find({cause::address_tentative,
                   sureness::certain,
                   text + " cannot be bound yet: duplicate address detection is not done",
                   {"the kernel marks it tentative (ip addr; portico addrs)"},
                   {"wait: it takes a second or two; portico listen waits for it itself",
                    "or bind " + ip::to_text(at) + " with IPV6_FREEBIND"}});
    }
}

} // namespace

bool is_own(const facts& known, const ip::address& which) {
    const auto plain = which.is_v4_mapped() ? ip::canonical(which) : which;
    // All of 127.0.0.0/8 is this host.
    return plain.is_unspecified() || plain.is_loopback() || find_own(known, plain) != nullptr;
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
    if (have == nullptr && !plain.is_loopback()) {
        const bool allowed = plain.is_v6() ? known.nonlocal_bind_v6 : known.nonlocal_bind;
        if (allowed) {
            into.exclude(cause::address_not_here, "ip_nonlocal_bind is 1");
        } else {
            nowhere(into, at);
        }
    } else if (have != nullptr && (have->tentative || have->dad_failed)) {
        unfinished(into, *have, at);
    }
    if (have != nullptr) {
        const auto usable = ip::to_text(have->address) + " on " + have->interface + " is usable";
        into.exclude(cause::address_not_here, have->interface + " has " + ip::to_text(plain));
        into.exclude(cause::address_tentative, usable);
        into.exclude(cause::address_duplicate, usable);
    }
}

} // namespace portico::diagnose
