// Why clients do not get in (accept), or do not get out (connect).

#include "examiner.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/ip/prefix.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace portico::diagnose {
namespace {

bool takes_clients(const socket& which, ip::transport over) noexcept {
    return which.over == over &&
           (over == ip::transport::tcp ? which.state == socket_state::listening
                                       : which.state == socket_state::bound);
}

// ---- nobody at this place ----

class missing_listener {
public:
    missing_listener(examiner& into, const ip::endpoint& at)
        : into_{into}, known_{into.known()}, at_{at} {}

    void examine() {
        const socket* other = nullptr;
        const socket* elsewhere = nullptr;
        for (const auto& each : known_.sockets) {
            if (!takes_clients(each, into_.asked().over)) {
                continue;
            }
            if (serves(each, at_)) {
                on_an_interface(each);
                return;
            }
            if (other == nullptr && is_counterpart(each)) {
                other = &each;
            }
            elsewhere = elsewhere == nullptr ? &each : elsewhere;
        }
        if (other != nullptr) {
            other_family(*other);
        } else if (elsewhere != nullptr) {
            at_another_address(*elsewhere);
        } else if (!in_namespaces() && !only_bound()) {
            nobody();
        }
    }

private:
    // It would serve, were the address the one of the other family.
    [[nodiscard]] bool is_counterpart(const socket& which) const {
        const auto have = place_of(which);
        if (!have || have->address.family() == at_.address.family()) {
            return false;
        }
        return have->address.is_unspecified() || at_.address.is_unspecified() ||
               (have->address.is_loopback() && at_.address.is_loopback());
    }

    void other_family(const socket& which) {
        const bool v6 = at_.address.is_v6();
        const std::string_view wanted = v6 ? "IPv6" : "IPv4";
        finding made{cause::other_family,
                     sureness::certain,
                     "nobody listens at " + ip::to_text(at_) + ": " + who_has(which, known_) +
                         " listens at " + ip::to_text(which.local) + ", and not on " +
                         std::string{wanted},
                     {},
                     {}};
        if (into_.asked().name == "localhost") {
            made.what = cause::localhost_other_family;
            const auto first = into_.asked().places.front() == ip::any_endpoint{at_};
            made.sure = first ? sureness::certain : sureness::likely;
            made.sentence = "localhost is " + ip::to_text(at_.address) +
                            (first ? " first" : ", too") +
                            ", where nobody listens: " + who_has(which, known_) + " listens at " +
                            ip::to_text(which.local) + " only";
        }
        add_evidence(made.evidence, which, known_);
        made.fixes.push_back("let it listen at " + ip::to_text(at_) + ", too (portico listen :" +
                             std::to_string(at_.port) + " does both families)");
        made.fixes.push_back("or use " + ip::to_text(which.local));
        into_.find(std::move(made));
    }

    void on_an_interface(const socket& which) {
        finding made{cause::listens_elsewhere,
                     sureness::certain,
                     "nobody listens at " + ip::to_text(at_) + ": " + who_has(which, known_) +
                         " listens at " + ip::to_text(which.local) + " on the interface " +
                         which.interface + " only",
                     {},
                     {"let it listen without SO_BINDTODEVICE"}};
        add_evidence(made.evidence, which, known_);
        into_.find(std::move(made));
    }

    void at_another_address(const socket& which) {
        finding made{cause::listens_elsewhere,
                     sureness::certain,
                     "nobody listens at " + ip::to_text(at_) + ": " + who_has(which, known_) +
                         " listens at " + ip::to_text(which.local) + " only",
                     {},
                     {}};
        add_evidence(made.evidence, which, known_);
        made.fixes.push_back("let it listen at " + ip::to_text(at_) + ", or at every address");
        into_.find(std::move(made));
    }

    bool in_namespaces() {
        for (const auto& each : known_.elsewhere) {
            finding made{cause::other_namespace,
                         sureness::certain,
                         "nobody listens at " + ip::to_text(at_) +
                             " here, but somebody listens at " + ip::to_text(each.which.local) +
                             " in another network namespace" +
                             (each.who.container.empty() ? "" : ", " + each.who.container),
                         {line_of(each.which)},
                         {}};
            if (each.who.pid != 0) {
                made.evidence.push_back("of that namespace: " + line_of(each.who));
                made.fixes.push_back("from inside: nsenter --net=/proc/" +
                                     std::to_string(each.who.pid) + "/ns/net ...");
            }
            made.fixes.emplace_back("publish the port of the container, or use its address");
            into_.find(std::move(made));
        }
        return !known_.elsewhere.empty();
    }

    bool only_bound() {
        bool found = false;
        for (const auto& each : known_.sockets) {
            if (into_.asked().over != ip::transport::tcp || each.state != socket_state::bound ||
                each.over != ip::transport::tcp || !overlaps(each, at_)) {
                continue;
            }
            finding made{cause::bound_not_listening,
                         sureness::certain,
                         who_has(each, known_) + " has bound " + ip::to_text(each.local) +
                             " and does not listen there",
                         {},
                         {"the program has not called listen(2): see whether it still starts"}};
            add_evidence(made.evidence, each, known_);
            into_.find(std::move(made));
            found = true;
        }
        return found;
    }

    void nobody() {
        const bool tcp = into_.asked().over == ip::transport::tcp;
        into_.find({cause::nobody_listens,
                    sureness::certain,
                    std::string{"nobody "} + (tcp ? "listens at" : "takes datagrams at") +
                        " port " + std::to_string(at_.port) + " of this host",
                    {"no " + std::string{ip::to_text(into_.asked().over)} +
                     " socket of this network namespace has the port, in either family"},
                    {"start the program that is to listen there"}});
    }

    examiner& into_;
    const facts& known_;
    ip::endpoint at_;
};

// Which interface packets to an address of this host come in by; empty: any. Its own come in by the
// one that has the address, as the kernel tells them apart for SO_BINDTODEVICE.
std::string_view way_in(const examiner& into, const ip::address& to) {
    if (to.is_loopback()) {
        return "lo";
    }
    if (into.asked().what != act::connect) {
        return to.zone().index() ? std::string_view{} : to.zone().text();
    }
    const auto has = interface_of(into.known(), to);
    return has.empty() ? "lo" : has;
}

// True when somebody listens there.
bool examine_own(examiner& into, const ip::endpoint& at) {
    if (const auto* listener = listener_for(into.known(), at, way_in(into, at.address));
        listener != nullptr && takes_clients(*listener, into.asked().over)) {
        examine_listener(into, *listener);
        const auto have =
            who_has(*listener, into.known()) + " listens at " + ip::to_text(listener->local);
        for (const auto which : {cause::nobody_listens, cause::other_family,
                                 cause::listens_elsewhere, cause::other_namespace}) {
            into.exclude(which, have);
        }
        return true;
    }
    missing_listener{into, at}.examine();
    return false;
}

std::string filter_of(const std::string& interface) {
    return sysctl_of(interface, "ipv4", "rp_filter");
}

void examine_reverse_path(examiner& into) {
    const auto& known = into.known();
    const auto dropped = known.drops.reverse_path.value_or(0);
    const auto counter =
        "IPReversePathFilter " + std::to_string(dropped) + " since the network namespace was made";
    for (const auto& each : known.reverse) {
        if (!each.refused && (!each.strict || dropped == 0)) {
            continue;
        }
        const auto& name = each.interface;
        // Loose, it asks for a way back by any interface; only then is there none at all.
        const std::string way =
            each.strict ? "the way back to it leads elsewhere" : "there is no way back to it";
        into.find(
            {cause::reverse_path,
             each.refused ? sureness::certain : sureness::possible,
             each.refused ? "packets of the client that come in by " + name +
                                " are dropped: " + way + " (rp_filter)"
                          : "packets that come in by " + name +
                                " may be dropped: their way back leads elsewhere (rp_filter)",
             {each.refused ? "asked for the route of such a packet, the kernel refuses it"
                           : "the client is not known (--from), but packets were dropped",
              "rp_filter of " + name + " is " + (each.strict ? "1 (strict)" : "2 (loose)"),
              counter},
             {each.strict ? "sysctl -w net.ipv4.conf.all.rp_filter=2 " + filter_of(name) + "=2"
                          : "give this host a route to the client",
              each.strict ? "or make the route back lead out by " + name
                          : "or sysctl -w net.ipv4.conf.all.rp_filter=0 " + filter_of(name) +
                                "=0, if answers need not go there"}});
    }
    into.exclude(cause::reverse_path, counter);
}

// ---- the way out ----

const attempt* attempt_for(const facts& known, const ip::endpoint& to) {
    const auto at = std::find_if(known.attempts.begin(), known.attempts.end(),
                                 [&](const auto& each) { return each.to == ip::any_endpoint{to}; });
    return at == known.attempts.end() ? nullptr : &*at;
}

// How a place fares; empty: it can be reached, as far as is known.
struct obstacle {
    cause what = cause::none;
    std::string text;
};

// What kind of route it is that refuses: blackhole, prohibit or unreachable; empty: none is there.
// Of 0.0.0.0/8 the kernel says EINVAL, too.
std::string_view kind_of_refusal(const facts& known, const ip::address& to) {
    const auto* way = route_for(known, to);
    if (way == nullptr || !way->refused) {
        return {};
    }
    const auto nil = ip::prefix::make(ip::address::v4({0, 0, 0, 0}), 8);
    if (way->refused == std::errc::invalid_argument && !(nil && nil->contains(to))) {
        return "blackhole";
    }
    return way->refused == std::errc::permission_denied  ? "prohibit"
           : way->refused == std::errc::host_unreachable ? "unreachable"
                                                         : std::string_view{};
}

obstacle obstacle_at(const facts& known, const ip::endpoint& at) {
    const auto* way = route_for(known, at.address);
    if (const auto kind = kind_of_refusal(known, at.address); !kind.empty()) {
        return {cause::no_route, "a route or a rule of this host keeps packets to it back, of the "
                                 "kind " +
                                     std::string{kind}};
    }
    if (way != nullptr && way->refused) {
        return {cause::no_route, "the kernel has no route to it: " + way->refused.message()};
    }
    const auto* tried = attempt_for(known, at);
    if (tried == nullptr) {
        return {};
    }
    if (!tried->ended) {
        return {cause::no_answer, "it did not answer within " + time_text(tried->took)};
    }
    if (*tried->ended == std::errc::connection_refused) {
        return {cause::refused_there, "connections to this port are refused"};
    }
    return *tried->ended ? obstacle{cause::no_answer, tried->ended->message()} : obstacle{};
}

std::vector<std::string> fixes_for(const facts& known, cause what, const ip::endpoint& at) {
    const auto to = ip::to_text(at.address.with_zone({}));
    const std::string ip_tool = at.address.is_v6() ? "ip -6" : "ip";
    if (const auto kind = std::string{kind_of_refusal(known, at.address)};
        what == cause::no_route && !kind.empty()) {
        return {
            "see it: " + ip_tool + " route show table all type " + kind + "; " + ip_tool + " rule",
            "take away the one that has " + to + ": " + ip_tool + " route del " + kind + " PREFIX"};
    }
    if (what == cause::no_route) {
        return {"see it: " + ip_tool + " route get " + to,
                ip_tool + " route add " + to + " via ROUTER"};
    }
    if (what == cause::refused_there) {
        return {"start the service there, or use its port; portico why --accept on that host "
                "says more",
                "or a firewall rejects it: here (nft list ruleset), there, or on the way"};
    }
    std::vector<std::string> all{"see where packets end: " + ip_tool + " neigh; tracepath " + to};
    if (known.drops.reverse_path.value_or(0) > 0) {
        all.emplace_back("answers may be dropped here: IPReversePathFilter counts " +
                         std::to_string(*known.drops.reverse_path));
    }
    return all;
}

std::vector<std::string> evidence_for(const facts& known, const ip::endpoint& at) {
    std::vector<std::string> all;
    if (const auto* way = route_for(known, at.address); way != nullptr && !way->refused) {
        all.push_back("the route leads out by " + way->interface +
                      (way->gateway ? ", by the router " + ip::to_text(*way->gateway) : "") +
                      (way->source ? ", from " + ip::to_text(*way->source) : ""));
    }
    if (const auto* tried = attempt_for(known, at)) {
        all.push_back("an attempt to connect: " + (!tried->ended
                                                       ? "no answer in " + time_text(tried->took)
                                                       : tried->ended->message()));
    }
    return all;
}

void examine_first_address(examiner& into) {
    const auto& places = into.asked().places;
    const auto& known = into.known();
    const auto* first = std::get_if<ip::endpoint>(&places.front());
    if (into.asked().name.empty() || places.size() < 2 || first == nullptr ||
        is_own(known, first->address)) {
        return;
    }
    const auto why = obstacle_at(known, *first);
    const auto works = std::find_if(places.begin() + 1, places.end(), [&](const auto& each) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        return at != nullptr && obstacle_at(known, *at).what == cause::none;
    });
    if (why.what == cause::none || works == places.end()) {
        into.exclude(cause::first_address_unreachable,
                     "the first address of " + into.asked().name + " is no worse than the others");
        return;
    }
    finding made{cause::first_address_unreachable, sureness::certain,
                 "the first address of " + into.asked().name + ", " + ip::to_text(first->address) +
                     ", cannot be reached: " + why.text + "; " + ip::to_text(*works) + " can",
                 evidence_for(known, *first), fixes_for(known, why.what, *first)};
    made.fixes.emplace_back("programs that try one address after the other wait for it: use one "
                            "that races them (portico dial)");
    into.find(std::move(made));
}

void examine_obstacle(examiner& into, const ip::endpoint& at) {
    const auto why = obstacle_at(into.known(), at);
    if (why.what == cause::none) {
        into.exclude(cause::no_route, "there is a route to " + ip::to_text(at.address));
        into.exclude(cause::no_answer, ip::to_text(at) + " answers, or was not asked");
        into.exclude(cause::refused_there, ip::to_text(at) + " does not refuse");
        return;
    }
    if (into.found(cause::first_address_unreachable)) {
        return;
    }
    // Who refuses does not say: it may be a firewall, here or on the way.
    const bool guess = why.what == cause::no_answer || why.what == cause::refused_there;
    into.find({why.what, guess ? sureness::likely : sureness::certain,
               ip::to_text(at) + " cannot be reached: " + why.text, evidence_for(into.known(), at),
               fixes_for(into.known(), why.what, at)});
}

// What a host sends to itself goes by its loopback interface. True when that is down.
bool examine_loopback_interface(examiner& into, const ip::endpoint& at) {
    const auto& known = into.known();
    const auto& down = known.host.down;
    if (std::find(down.begin(), down.end(), "lo") != down.end()) {
        into.find({cause::no_route,
                   sureness::certain,
                   ip::to_text(at) + " cannot be reached: the loopback interface is down",
                   {"packets of this host to its own addresses go by lo"},
                   {"ip link set lo up"}});
        return true;
    }
    const bool everywhere = known.host.v6_disabled;
    if (at.address.is_v6() && at.address.is_loopback() && (everywhere || is_v6_off(known, "lo")) &&
        interface_of(known, at.address).empty()) {
        const auto off = v6_switch(everywhere ? "all" : "lo");
        into.find({cause::no_route,
                   sureness::certain,
                   ip::to_text(at) + " cannot be reached: IPv6 is disabled on " +
                       (everywhere ? "this host" : "lo"),
                   {"no interface has " + ip::to_text(at.address), off + " is 1"},
                   {"sysctl -w " + off + "=0", "or use IPv4"}});
        return true;
    }
    return false;
}

// Ports of the range that connections from one of our addresses to this place have.
void examine_ports(examiner& into, const ip::endpoint& at) {
    const auto& known = into.known();
    std::map<ip::address, std::set<std::uint16_t>> used;
    std::size_t waiting = 0;
    const std::set<std::uint16_t> held{known.held.begin(), known.held.end()};
    const auto reserved = [&](std::uint16_t port) {
        return held.contains(port) ||
               std::any_of(known.reserved.begin(), known.reserved.end(),
                           [&](const auto& each) { return each.contains(port); });
    };
    for (const auto& each : known.outgoing) {
        const auto* peer = std::get_if<ip::endpoint>(&each.peer);
        const auto mine = place_of(each);
        if (each.over == into.asked().over && peer != nullptr && mine &&
            ip::canonical(*peer) == ip::canonical(at) && known.ephemeral.contains(mine->port) &&
            !reserved(mine->port) && used[mine->address].insert(mine->port).second) {
            waiting += each.state == socket_state::time_wait ? 1U : 0U;
        }
    }
    std::size_t total = 0;
    for (unsigned port = known.ephemeral.first; port <= known.ephemeral.last; ++port) {
        total += reserved(static_cast<std::uint16_t>(port)) ? 0U : 1U;
    }
    std::size_t most = 0;
    std::string from;
    for (const auto& [address, ports] : used) {
        if (ports.size() > most) {
            most = ports.size();
            from = ip::to_text(address);
        }
    }
    const auto count = std::to_string(most) + " of " + std::to_string(total);
    if (most < total) {
        into.exclude(cause::ephemeral_ports_used_up,
                     count + " ports towards " + ip::to_text(at) + " are used");
        return;
    }
    into.find({cause::ephemeral_ports_used_up,
               waiting == 0 ? sureness::certain : sureness::likely,
               "no source port is left towards " + ip::to_text(at) + ": " + count + " are used" +
                   (from.empty() ? "" : " from " + from),
               {"net.ipv4.ip_local_port_range is " + std::to_string(known.ephemeral.first) +
                    " to " + std::to_string(known.ephemeral.last) +
                    (known.reserved.empty() ? "" : ", less net.ipv4.ip_local_reserved_ports"),
                std::to_string(waiting) + " of them are in TIME-WAIT",
                std::to_string(held.size()) +
                    " more of the range are bound by programs, and no client gets those"},
               {"sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"",
                "or keep connections open and use them again, or add addresses on either side"}});
}

// Through which filters packets to it go, from here or, of `accept`, from others.
void examine_filters_to(examiner& into, const ip::endpoint& at) {
    using hook = nat_rule::hook;
    constexpr std::array ours{hook::output, hook::prerouting, hook::input, hook::answers};
    const std::span all{ours};
    const bool own = is_own(into.known(), at.address);
    const auto* tried = attempt_for(into.known(), at);
    if (tried != nullptr && tried->ended && !*tried->ended) {
        into.exclude(cause::filter_rule, ip::to_text(at) + " answers");
        return;
    }
    if (into.asked().what == act::accept && !at.address.is_loopback()) {
        examine_filters(into, at, all.subspan(1), {});
    } else if (own) {
        examine_filters(into, at, all, "lo");
    } else if (const auto* way = route_for(into.known(), at.address);
               way != nullptr && !way->refused) {
        examine_filters(into, at, all.first(1), way->interface);
    }
}

void examine_way_out(examiner& into, const ip::endpoint& at) {
    if (at.address.is_v6() && at.address.is_link_local() && at.address.zone().empty()) {
        examine_address(into, at);
        return;
    }
    into.exclude(cause::zone_missing, ip::to_text(at) + " needs no interface, or has one");
    examine_ports(into, at);
    if (examine_nat(into, at, nat_rule::hook::output)) {
        return;
    }
    examine_filters_to(into, at);
    if (!is_own(into.known(), at.address)) {
        examine_obstacle(into, at);
    } else if (!examine_loopback_interface(into, at)) {
        examine_own(into, at);
    }
}

} // namespace

const socket* listener_for(const facts& known, const ip::endpoint& at, std::string_view by) {
    const socket* best = nullptr;
    for (const auto& each : known.sockets) {
        if (!takes_clients(each, each.over) || !serves(each, at, by)) {
            continue;
        }
        // The more exact address wins, as in the kernel; of equals the fuller queue is looked at.
        const auto rank = [](const socket& s) {
            const auto place = place_of(s);
            return std::tuple{!place->address.is_unspecified(), !s.interface.empty(),
                              s.waiting > s.most};
        };
        if (best == nullptr || rank(*best) < rank(each)) {
            best = &each;
        }
    }
    return best;
}

void examine_accept(examiner& into) {
    std::vector<ip::endpoint> left; // that no NAT rule takes the packets of
    for (const auto& each : into.asked().places) {
        if (const auto* at = std::get_if<ip::endpoint>(&each)) {
            examine_address(into, *at);
            // Only packets of this host come to its loopback addresses.
            const auto hook =
                at->address.is_loopback() ? nat_rule::hook::output : nat_rule::hook::prerouting;
            if (!examine_nat(into, *at, hook)) {
                left.push_back(*at);
            }
        }
    }
    for (const auto& at : left) {
        examine_filters_to(into, at);
    }
    // Of all addresses, a listener at one that does not accept is worse than one that nobody has.
    for (const auto& at : left) {
        for (const auto& each : into.known().sockets) {
            if (at.address.is_unspecified() && takes_clients(each, into.asked().over) &&
                overlaps(each, at)) {
                examine_listener(into, each);
            }
        }
    }
    for (const auto& at : left) {
        examine_own(into, at);
    }
    examine_reverse_path(into);
}

void examine_connect(examiner& into) {
    if (into.asked().places.empty()) {
        return;
    }
    examine_first_address(into);
    for (const auto& each : into.asked().places) {
        if (const auto* at = std::get_if<ip::endpoint>(&each)) {
            examine_way_out(into, *at);
        }
    }
}

} // namespace portico::diagnose
