// What may be wrong with a socket that is planned, and what several sockets mean to each other.

#include "plan/expansion.hpp"
#include "plan/words.hpp"

#include <algorithm>
#include <utility>

namespace portico::plan {
namespace {

using weight = remark::weight;

const ip::endpoint* ip_endpoint(const planned_socket& which) noexcept {
    return std::get_if<ip::endpoint>(&which.at);
}

bool is_new_wildcard(const planned_socket& which) noexcept {
    const auto* where = ip_endpoint(which);
    return where != nullptr && !which.inherited && where->address.is_unspecified() &&
           where->port != 0;
}

// What `narrow` would have joined `wide` joins in its place, and not on more interfaces.
void join_too(planned_socket& wide, const planned_socket& narrow) {
    for (auto each : narrow.groups) {
        each.interface = each.interface.empty() ? narrow.interface : each.interface;
        const ip::group everywhere{each.which, {}};
        if (std::find(wide.groups.begin(), wide.groups.end(), each) == wide.groups.end() &&
            std::find(wide.groups.begin(), wide.groups.end(), everywhere) == wide.groups.end()) {
            wide.groups.push_back(std::move(each));
        }
    }
}

} // namespace

bool expansion::wanted(ip::family which) const noexcept {
    return !asked().only || *asked().only == which;
}

bool expansion::has(ip::family which) const noexcept {
    return which == ip::family::v6 ? known_.has_v6 : known_.has_v4;
}

void expansion::say(weight how, std::string text, std::string hint) {
    made_.remarks.push_back({how, index_, std::move(text), std::move(hint)});
}

std::optional<std::uint16_t> expansion::port() {
    const auto& value = asked().where.port.value;
    if (const auto* number = std::get_if<std::uint16_t>(&value)) {
        return *number;
    }
    const auto& name = std::get<std::string>(value);
    const auto found = known_.services.port(name, asked().over);
    if (!found) {
        say(weight::fault,
            "there is no " + std::string{ip::to_text(asked().over)} + " service " + quoted(name),
            "write the port as a number, or add the service to /etc/services");
    }
    return found;
}

int expansion::backlog() {
    if (asked().backlog <= 0) {
        return known_.max_backlog;
    }
    if (asked().backlog > known_.max_backlog) {
        const bool said =
            std::any_of(made_.remarks.begin(), made_.remarks.end(), [&](const remark& each) {
                return each.wish == index_ && each.text.starts_with("a backlog of");
            });
        if (!said) {
            say(weight::note,
                "a backlog of " + std::to_string(asked().backlog) + " is cut to " +
                    std::to_string(known_.max_backlog),
                "raise the sysctl net.core.somaxconn");
        }
        return known_.max_backlog;
    }
    return asked().backlog;
}

bool expansion::interface_known(const ip::zone& where) const {
    const auto& names = known_.interfaces;
    if (names.empty() || std::find(names.begin(), names.end(), where.text()) != names.end()) {
        return true;
    }
    const auto index = where.index();
    // An interface without addresses has no number here; the kernel will know.
    return index && std::any_of(known_.addresses.begin(), known_.addresses.end(),
                                [&](const auto& each) { return each.index == *index; });
}

void expansion::check_literal(const ip::address& literal) {
    if (!has(literal.family())) {
        say(weight::warning, "this host has no " + std::string{ip::to_text(literal.family())} +
                                 ": opening " + quoted(written(asked())) + " will fail");
        return;
    }
    check_multicast(literal);
    check_on_interface(literal);
}

void expansion::check_multicast(const ip::address& literal) {
    if (!literal.is_multicast()) {
        return;
    }
    if (asked().over == ip::transport::tcp) {
        say(weight::warning,
            ip::to_text(literal) + " is a multicast address: no TCP connection ever comes to it");
        return;
    }
    const auto bare = literal.is_v6() ? literal.with_zone({}) : literal;
    if (std::none_of(asked().groups.begin(), asked().groups.end(),
                     [&](const ip::group& each) { return each.which == bare; })) {
        say(weight::warning,
            ip::to_text(literal) + " is a multicast address, and its group is not joined: only "
                                   "what the host gets anyway is heard",
            "add --join " + ip::to_text(bare));
    }
}

void expansion::check_on_interface(const ip::address& literal) {
    const bool anywhere = literal.is_unspecified() || literal.is_multicast();
    if (known_.interfaces.empty() || anywhere || asked().freebind) {
        return;
    }
    const ip::address bare = literal.is_v6() ? literal.with_zone({}) : literal;
    const auto found = std::find_if(
        known_.addresses.begin(), known_.addresses.end(), [&](const interface_address& each) {
            const auto& have = each.address;
            // All of 127.0.0.0/8 is there as soon as one of it is.
            return have == literal || (have.is_v6() ? have.with_zone({}) : have) == bare ||
                   (literal.is_v4() && literal.is_loopback() && have.is_v4() && have.is_loopback());
        });
    if (found == known_.addresses.end()) {
        say(weight::warning, ip::to_text(literal) + " is an address of no interface",
            "use --freebind if it will come later; `portico addrs` shows what there is");
    } else if (found->tentative || found->dad_failed) {
        say(weight::warning,
            ip::to_text(literal) + (found->dad_failed ? " is used by another host"
                                                      : " is still being checked for duplicates"),
            "use --freebind, or try again later");
    }
}

void expansion::check_port(std::uint16_t port) {
    if (port == 0 || port >= known_.first_unprivileged_port || known_.privileged) {
        return;
    }
    const bool said =
        std::any_of(made_.remarks.begin(), made_.remarks.end(),
                    [&](const remark& each) { return each.wish == index_ && each.low_port; });
    if (said) {
        return;
    }
    say(weight::warning,
        "a port below " + std::to_string(known_.first_unprivileged_port) +
            " needs CAP_NET_BIND_SERVICE: " + std::to_string(port) + " will be refused",
        "take a higher port, let the service manager open the socket (sd:name), or lower the "
        "sysctl net.ipv4.ip_unprivileged_port_start");
    made_.remarks.back().low_port = true;
}

// A random port is the same for all sockets of a wish: users write one port into their clients.
void expansion::group_ports(std::size_t first) {
    std::vector<std::size_t> random;
    for (std::size_t i = first; i < made_.sockets.size(); ++i) {
        const auto* where = ip_endpoint(made_.sockets[i]);
        if (where != nullptr && where->port == 0) {
            random.push_back(i);
        }
    }
    if (random.size() < 2) {
        return;
    }
    for (const std::size_t i : random) {
        made_.sockets[i].port_group = index_;
    }
}

void expansion::note_disabled() {
    if (!known_.v6_disabled || !known_.has_v6) {
        return;
    }
    for (const auto& each : made_.sockets) {
        const auto* where = ip_endpoint(each);
        if (where == nullptr || !where->address.is_v6()) {
            continue;
        }
        index_ = each.wish;
        say(weight::note, "IPv6 is switched off by the sysctl net.ipv6.conf.all.disable_ipv6: " +
                              ip::to_text(each.at) +
                              (where->address.is_unspecified() ? " hears nothing until it is on"
                                                               : " will probably be refused"));
        return;
    }
}

// A wildcard and an address under it, with one port, cannot both listen, unless both have
// SO_REUSEPORT. The wildcard takes what comes to the address, so it alone is opened.
void expansion::drop_covered() {
    std::map<std::tuple<ip::family, ip::transport, std::uint16_t>, std::size_t> wildcards;
    for (std::size_t i = 0; i < made_.sockets.size(); ++i) {
        if (const auto& each = made_.sockets[i]; is_new_wildcard(each)) {
            const auto* where = ip_endpoint(each);
            wildcards.emplace(std::tuple{where->address.family(), each.over, where->port}, i);
        }
    }
    std::vector<bool> covered(made_.sockets.size(), false);
    for (std::size_t i = 0; i < made_.sockets.size(); ++i) {
        const auto& each = made_.sockets[i];
        const auto* where = ip_endpoint(each);
        if (where == nullptr || each.inherited || where->address.is_unspecified()) {
            continue;
        }
        const auto over = wildcards.find({where->address.family(), each.over, where->port});
        if (over == wildcards.end()) {
            continue;
        }
        auto& wide = made_.sockets[over->second];
        if (wide.reuse_port && each.reuse_port) {
            continue;
        }
        covered[i] = true;
        join_too(wide, each);
        wide.also_for.push_back(each.wish);
        wide.also_for.insert(wide.also_for.end(), each.also_for.begin(), each.also_for.end());
        index_ = each.wish;
        say(weight::note, ip::to_text(each.at) + " is not opened: " + ip::to_text(wide.at) +
                              " of " + quoted(written(wishes_[wide.wish])) + " takes it in");
    }
    std::vector<planned_socket> kept;
    for (std::size_t i = 0; i < made_.sockets.size(); ++i) {
        if (!covered[i]) {
            kept.push_back(std::move(made_.sockets[i]));
        }
    }
    made_.sockets = std::move(kept);
}

expansion::key expansion::key_of(const planned_socket& which) const {
    key made{which.at, which.over, 0, which.interface};
    auto* where = std::get_if<ip::endpoint>(&std::get<0>(made));
    if (where == nullptr) {
        return made;
    }
    if (where->port == 0) {
        std::get<2>(made) = index_ + 1;
    }
    // The zone %2 is the zone %eth0 when that is interface 2.
    if (const auto number = where->address.zone().index()) {
        const auto found =
            std::find_if(known_.addresses.begin(), known_.addresses.end(),
                         [&](const interface_address& each) { return each.index == *number; });
        const auto named =
            found == known_.addresses.end() ? std::nullopt : ip::zone::from_text(found->interface);
        if (named) {
            where->address = where->address.with_zone(*named);
        }
    }
    return made;
}

} // namespace portico::plan
