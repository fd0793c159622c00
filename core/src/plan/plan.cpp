// From wishes and facts to sockets: each form of wish, and what it takes.

#include "portico/plan/plan.hpp"

#include "plan/expansion.hpp"
#include "plan/words.hpp"

#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <utility>

namespace portico::plan {
namespace {

using weight = remark::weight;

constexpr ip::family families[] = {ip::family::v6, ip::family::v4};

std::string family_text(ip::family which) {
    return std::string{ip::to_text(which)};
}

// IPv6 before IPv4 as everywhere in a plan, else in the order given.
std::vector<ip::address> v6_first(std::vector<ip::address> addresses) {
    std::stable_partition(addresses.begin(), addresses.end(),
                          [](const auto& each) { return each.is_v6(); });
    return addresses;
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& each : names) {
        text += (text.empty() ? "" : ", ") + each;
    }
    return text;
}

std::string described(const inherited_socket& given) {
    std::string text = "descriptor " + std::to_string(given.number);
    return given.name.empty() ? text : text + " (" + given.name + ")";
}

} // namespace

void expansion::expand(std::size_t index) {
    index_ = index;
    const std::size_t first = made_.sockets.size();
    std::visit(*this, asked().where.where);
    group_ports(first);
}

// IPv6 comes first. Where IPV6_V6ONLY cannot be set, its socket takes IPv4's connections as well,
// and it does no harm that the IPv4 socket is then refused; the other way round IPv6 would be lost.
void expansion::operator()(const ip::every_address&) {
    const auto number = port();
    if (!number) {
        return;
    }
    if (wanted(ip::family::v6)) {
        add_if_family(ip::address::any(ip::family::v6), *number,
                      "all IPv6 addresses; before IPv4, because if IPV6_V6ONLY cannot be set this "
                      "socket serves both");
    }
    if (wanted(ip::family::v4)) {
        add_if_family(ip::address::any(ip::family::v4), *number, "all IPv4 addresses");
    }
}

void expansion::operator()(const ip::address& literal) {
    const auto number = port();
    if (!number) {
        return;
    }
    const ip::address which = ip::canonical(literal);
    if (which != literal) {
        say(weight::note, ip::to_text(literal) + " is the IPv4 address " + ip::to_text(which) +
                              " written as IPv6: an IPv4 socket is opened");
    }
    if (!wanted(which.family())) {
        say(weight::fault,
            quoted(written(asked())) + " is " + family_text(which.family()) + ", and only " +
                family_text(*asked().only) + " is asked for",
            "leave out -4 or -6, or the address");
        return;
    }
    if (!which.zone().empty() && !interface_known(which.zone())) {
        say(weight::fault, "there is no interface " + quoted(which.zone().text()),
            "the interfaces are: " + listed(known_.interfaces));
        return;
    }
    check_literal(which);
    add_ip(which, *number,
           which.is_unspecified() ? "all " + family_text(which.family()) + " addresses, and no " +
                                        family_text(which.is_v6() ? ip::family::v4 : ip::family::v6)
                                  : "the address as written");
}

void expansion::operator()(const ip::host_name& host) {
    const auto number = port();
    if (!number) {
        return;
    }
    if (is_localhost(host.name)) {
        for (const auto family : families) {
            if (wanted(family)) {
                add_if_family(ip::address::loopback(family), *number,
                              "the " + family_text(family) + " loopback");
            }
        }
        return;
    }
    const auto found = known_.resolved.find(host.name);
    if (found == known_.resolved.end() || found->second.empty()) {
        const auto why = known_.unresolved.find(host.name);
        say(weight::note,
            "the name " + quoted(host.name) + " has no address" +
                (why == known_.unresolved.end() ? "" : ": " + why->second),
            "write an address, or add the name to /etc/hosts");
        return;
    }
    bool any = false;
    for (const auto& each : v6_first(found->second)) {
        if (!wanted(each.family())) {
            continue;
        }
        any = true;
        if (each.needs_zone() && each.zone().empty()) {
            say(weight::warning, quoted(host.name) + " has the address " + ip::to_text(each) +
                                     ", which means nothing without a zone: it is left out");
            continue;
        }
        add_if_family(each, *number, "an address of " + quoted(host.name));
    }
    if (!any) {
        say(weight::warning,
            "the name " + quoted(host.name) + " has no " + family_text(*asked().only) + " address");
    }
}

void expansion::operator()(const ip::interface_name& interface) {
    const auto& all = known_.interfaces;
    if (std::find(all.begin(), all.end(), interface.name) == all.end()) {
        const bool waits = asked().needed == need::later;
        say(waits ? weight::note : weight::fault,
            "there is no interface " + quoted(interface.name) + (waits ? " yet" : ""),
            "the interfaces are: " + listed(all));
        return;
    }
    const bool any =
        add_own([&](const interface_address& each) { return each.interface == interface.name; },
                "an address of interface " + interface.name);
    if (!any) {
        say(weight::warning,
            "interface " + quoted(interface.name) + " has no " +
                (asked().only ? family_text(*asked().only) + " " : std::string{}) + "address",
            "give it one, or listen on ':port', which takes addresses that come later");
    }
}

void expansion::operator()(const ip::own_addresses& own) {
    const bool any =
        add_own([&](const interface_address& each) { return own.block.contains(each.address); },
                "an address of this host in " + ip::to_text(own.block));
    if (!any) {
        say(weight::warning, "this host has no address in " + ip::to_text(own.block),
            "portico addrs lists its addresses");
    }
}

// Whether there is one that the wish selects, be it of use or not.
template <class Selects>
bool expansion::add_own(const Selects& selects, const std::string& reason) {
    const auto number = port();
    if (!number) {
        return true; // it has been said
    }
    std::vector<ip::address> addresses;
    bool any = false;
    for (const auto& each : known_.addresses) {
        if (!selects(each) || !wanted(each.address.family())) {
            continue;
        }
        any = true;
        if (usable(each)) {
            const auto zone = ip::zone::from_text(each.interface);
            addresses.push_back(
                each.address.needs_zone()
                    ? each.address.with_zone(zone ? *zone : ip::zone::from_index(each.index))
                    : each.address);
        }
    }
    for (const auto& each : v6_first(std::move(addresses))) {
        add_if_family(each, *number, reason);
    }
    return any;
}

// Binding to an address whose duplicate address detection is not done fails (RFC 4862 section 5.4),
// unless IPV6_FREEBIND is set.
bool expansion::usable(const interface_address& which) {
    const std::string text = ip::to_text(which.address) + " of " + which.interface;
    if (which.dad_failed) {
        say(weight::warning, text + " is left out: another host uses this address",
            "find the other host, or remove the address");
        return false;
    }
    if (which.tentative && !asked().freebind) {
        say(weight::warning, text + " is left out: it is still being checked for duplicates",
            "try again in two seconds, or use --freebind");
        return false;
    }
    if (which.tentative) {
        say(weight::note, text + " is still being checked for duplicates");
    }
    if (which.deprecated) {
        say(weight::note, text + " is deprecated: it will go away" +
                              (asked().leave_deprecated ? ", and is left out" : ""));
        return !asked().leave_deprecated;
    }
    return true;
}

void expansion::operator()(const ip::unix_name& name) {
    if (asked().only) {
        say(weight::note, quoted(written(asked())) + " has no family: -4 and -6 do not concern it");
    }
    note_interface_of(name);
    planned_socket made =
        socket_for(name, name.is_abstract() ? "the name in the abstract namespace, as written"
                                            : "the socket file as written");
    if (asked().unix_mode && name.is_abstract()) {
        say(weight::warning,
            quoted(written(asked())) +
                " is no file: the mode is ignored, and every user of this network namespace may "
                "connect",
            "use a path such as unix:/run/name.sock");
    } else {
        made.unix_mode = asked().unix_mode;
    }
    add(std::move(made));
}

// "@eth0" is what is left of "@eth0:80" when the port is forgotten.
void expansion::note_interface_of(const ip::unix_name& name) {
    const auto& all = known_.interfaces;
    if (asked().where.text.starts_with('@') && name.is_abstract() &&
        std::find(all.begin(), all.end(), name.text()) != all.end()) {
        const std::string text{name.text()};
        say(weight::note,
            "this is a UNIX socket in the abstract namespace, although there is an interface " +
                quoted(text),
            "write @" + text + ":PORT for the addresses of the interface, or unix:@" + text +
                " if the UNIX socket is meant");
    }
}

void expansion::operator()(const ip::inherited_fd& descriptor) {
    const auto& all = known_.inherited;
    const auto given = std::find_if(
        all.begin(), all.end(), [&](const auto& each) { return each.number == descriptor.number; });
    if (given == all.end()) {
        say(weight::fault,
            "descriptor " + std::to_string(descriptor.number) +
                " was not inherited, or is not a socket",
            "open it before the start, e.g. with systemd-socket-activate or a shell redirection");
        return;
    }
    adopt(*given);
}

void expansion::operator()(const ip::inherited_name& group) {
    bool any = false;
    std::vector<std::string> names;
    for (const auto& given : known_.inherited) {
        if (given.name != group.name) {
            names.push_back(quoted(given.name));
            continue;
        }
        any = true;
        adopt(given);
    }
    if (!any) {
        say(weight::fault, "no inherited socket has the name " + quoted(group.name),
            names.empty() ? "no named sockets were inherited; set FileDescriptorName= in the "
                            ".socket unit"
                          : "the names in LISTEN_FDNAMES are: " + listed(names));
    }
}

bool expansion::can_adopt(const inherited_socket& given) {
    const std::string what = described(given);
    if (!given.over) {
        say(weight::fault, what + " is not a stream or datagram socket");
        return false;
    }
    if (*given.over != asked().over) {
        const bool is_udp = *given.over == ip::transport::udp;
        say(weight::fault,
            what + (is_udp ? " is a datagram socket, and a stream socket is asked for"
                           : " is a stream socket, and a datagram socket is asked for"),
            is_udp ? "add --udp" : "leave out --udp");
        return false;
    }
    const auto* where = std::get_if<ip::endpoint>(&given.bound);
    if (where != nullptr && !wanted(where->address.family())) {
        say(weight::fault, what + " is bound to " + ip::to_text(*where) + ", and only " +
                               family_text(*asked().only) + " is asked for");
        return false;
    }
    const auto* name = std::get_if<ip::unix_name>(&given.bound);
    const bool unbound =
        (where == nullptr || where->port == 0) && (name == nullptr || name->empty());
    if (unbound) {
        say(weight::fault, what + " is not bound to an address");
        return false;
    }
    return true;
}

void expansion::adopt(const inherited_socket& given) {
    if (const auto before = adopted_.find(given.number); before != adopted_.end()) {
        auto& first = made_.sockets[before->second];
        if (first.wish != index_) {
            first.also_for.push_back(index_);
            say(weight::note, described(given) + " is taken over once, for " +
                                  quoted(written(wishes_[first.wish])));
        }
        return;
    }
    if (!can_adopt(given)) {
        return;
    }
    planned_socket made;
    made.wish = index_;
    made.at = given.bound;
    made.over = asked().over;
    made.inherited = given.number;
    made.reason = described(given) + ", bound before the start";
    made.packet_info =
        made.over == ip::transport::udp && std::holds_alternative<ip::endpoint>(given.bound);
    if (made.over == ip::transport::tcp && (!given.listening || asked().backlog > 0)) {
        made.backlog = backlog();
    }
    if (made.over == ip::transport::tcp && !given.listening) {
        say(weight::note, described(given) + " does not listen yet: it is made to");
    }
    add_groups(made);
    adopted_.emplace(given.number, made_.sockets.size());
    made_.sockets.push_back(std::move(made));
}

planned_socket expansion::socket_for(ip::any_endpoint at, std::string reason) {
    planned_socket made;
    made.wish = index_;
    made.at = at;
    made.over = asked().over;
    made.reason = std::move(reason);
    made.backlog = made.over == ip::transport::tcp ? backlog() : 0;
    return made;
}

// SO_REUSEADDR is for TCP alone: with UDP, Linux would let a second process take the same port
// without a word (docs/design/0001-udp-reuseaddr.md).
void expansion::add_ip(const ip::address& which, std::uint16_t port, std::string reason) {
    planned_socket made = socket_for(ip::endpoint{which, port}, std::move(reason));
    made.v6only = which.is_v6();
    made.reuse_address = made.over == ip::transport::tcp;
    made.reuse_port = asked().reuse_port;
    made.freebind = asked().freebind && !which.is_unspecified();
    made.packet_info = made.over == ip::transport::udp;
    check_port(port);
    if (which.is_unspecified() && asked().broadcast && which.is_v4()) {
        made.reason += "; and what is sent to broadcast addresses";
    }
    add_groups(made);
    const auto copy = made;
    add(std::move(made));
    add_heard_besides(copy);
}

void expansion::add_if_family(const ip::address& which, std::uint16_t port, std::string reason) {
    if (has(which.family())) {
        add_ip(which, port, std::move(reason));
        return;
    }
    say(weight::note, "this host has no " + family_text(which.family()) + ": " +
                          ip::to_text(ip::endpoint{which, port}) + " is left out");
}

void expansion::add(planned_socket made) {
    const auto [before, is_new] = opened_.emplace(key_of(made), made_.sockets.size());
    if (is_new) {
        made_.sockets.push_back(std::move(made));
        return;
    }
    auto& first = made_.sockets[before->second];
    first.freebind = first.freebind || made.freebind;
    first.reuse_port = first.reuse_port || made.reuse_port;
    first.besides = first.besides && made.besides;
    for (const auto& each : made.groups) {
        if (std::find(first.groups.begin(), first.groups.end(), each) == first.groups.end()) {
            first.groups.push_back(each);
        }
    }
    if (first.wish == index_ || (!first.also_for.empty() && first.also_for.back() == index_)) {
        return; // a name that has an address twice
    }
    first.also_for.push_back(index_);
    if (first.unix_mode != made.unix_mode) {
        say(weight::warning, ip::to_text(made.at) + " is asked for with two different modes: that "
                                                    "of the first wish is used");
    }
    say(weight::note, ip::to_text(made.at) + " is asked for twice: it is opened once, for " +
                          quoted(written(wishes_[first.wish])));
}

plan expansion::finish() && {
    note_disabled();
    drop_covered();
    check_joined();
    // A name without an address or a family left out is worth a note while something else stands.
    for (auto& each : made_.remarks) {
        if (made_.sockets.empty() && each.how == weight::note) {
            each.how = weight::warning;
        }
    }
    std::stable_sort(made_.remarks.begin(), made_.remarks.end(),
                     [](const auto& a, const auto& b) { return a.wish < b.wish; });
    return std::move(made_);
}

std::vector<wish> make_wishes(const std::vector<ip::listen_address>& where) {
    std::vector<wish> made;
    made.reserve(where.size());
    for (const auto& each : where) {
        made.push_back({each});
    }
    return made;
}

plan make_plan(const std::vector<wish>& wishes, const facts& known) {
    expansion all{wishes, known};
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        all.expand(i);
    }
    return std::move(all).finish();
}

} // namespace portico::plan
