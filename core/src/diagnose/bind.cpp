// Why bind(2) fails: the address first, then the port, then who has it.

#include "examiner.hpp"

#include "portico/ip/canonical.hpp"

#include <algorithm>

namespace portico::diagnose {
namespace {

bool asks_for(const question& asked, const ip::endpoint& at) {
    return std::any_of(asked.places.begin(), asked.places.end(),
                       [&](const auto& each) { return each == ip::any_endpoint{at}; });
}

bool is_connection(const socket& which) noexcept {
    switch (which.state) {
    case socket_state::connecting:
    case socket_state::half_open:
    case socket_state::established:
    case socket_state::closing:
        return true;
    default:
        return false;
    }
}

// A program's outgoing connections get their ports from the range; those that clients made to a
// server here have its port on this side, and one of the range on theirs.
struct origin {
    bool outgoing = false;
    sureness sure = sureness::certain;
};
origin origin_of(const socket& which, const facts& known) {
    if (which.state == socket_state::connecting) {
        return {true, sureness::certain};
    }
    // A server may have its port of the range, too.
    const auto place = place_of(which);
    return {place && known.ephemeral.contains(place->port), sureness::likely};
}

// What the sysctl is to be, so that it has the port and what it had before.
std::string with_reserved(const facts& known, const std::string& port) {
    std::string all;
    for (const auto& each : known.reserved) {
        all += std::to_string(each.first) +
               (each.first == each.last ? "" : "-" + std::to_string(each.last)) + ",";
    }
    return all + port;
}

// SO_REUSEADDR of both lets UDP sockets share a port, and TCP sockets until one listens.
sureness unless_reused(const socket& which) {
    return which.reuse_address == false ? sureness::certain : sureness::likely;
}

class bind_examiner {
public:
    bind_examiner(examiner& into, const ip::endpoint& at)
        : into_{into}, known_{into.known()}, at_{ip::canonical(at)}, text_{ip::to_text(at)},
          v6_socket_{at.address.is_v6()} {}

    // True when this host has the family of the address.
    bool family() {
        const bool missing = v6_socket_ ? !known_.host.has_v6 : !known_.host.has_v4;
        const bool disabled = !missing && is_disabled();
        if (!missing && !disabled) {
            into_.exclude(cause::family_missing, "this host has the family of " + text_);
            return true;
        }
        finding made{cause::family_missing,
                     sureness::certain,
                     text_ + " cannot be bound: this host has no " + (v6_socket_ ? "IPv6" : "IPv4"),
                     {},
                     {}};
        if (disabled) {
            made.evidence.emplace_back("net.ipv6.conf.all.disable_ipv6 is 1");
            made.fixes.emplace_back("sysctl -w net.ipv6.conf.all.disable_ipv6=0");
        }
        into_.find(std::move(made));
        return false;
    }

    void privilege() {
        const auto first = known_.host.first_unprivileged_port;
        if (at_.port == 0 || at_.port >= first || known_.host.privileged) {
            into_.exclude(cause::privileged_port,
                          at_.port >= first
                              ? "port " + std::to_string(at_.port) + " is not below " +
                                    std::to_string(first) + " (ip_unprivileged_port_start)"
                              : "this user may bind ports below " + std::to_string(first));
            return;
        }
        const auto port = std::to_string(at_.port);
        into_.find(
            {cause::privileged_port,
             sureness::certain,
             "port " + port + " is below " + std::to_string(first) + ", and user " +
                 std::to_string(known_.uid) + " may not bind such ports",
             {"net.ipv4.ip_unprivileged_port_start is " + std::to_string(first),
              known_.other_user ? "a program of that user has no CAP_NET_BIND_SERVICE by itself"
                                : "CAP_NET_BIND_SERVICE is not effective in this process"},
             {"setcap cap_net_bind_service=+ep /path/of/the/program",
              "sysctl -w net.ipv4.ip_unprivileged_port_start=" + port,
              "or let its manager open the port (systemd.socket(5))"}});
    }

    void sockets() {
        bool servers = false;
        for (const auto& each : known_.sockets) {
            if (each.over != into_.asked().over || !overlaps(each, at_)) {
                continue;
            }
            const bool serves_here =
                each.state == socket_state::listening ||
                (each.state == socket_state::bound && each.over == ip::transport::udp);
            servers |= serves_here;
            shared_ |= serves_here && is_shared(each);
            if (serves_here) {
                server(each);
            } else if (each.state == socket_state::bound) {
                only_bound(each);
            }
        }
        if (!servers) {
            connections(false);
            into_.exclude(cause::in_use, "nobody listens at " + text_);
        }
        ended(false);
        if (is_dual_wildcard()) {
            if (!dual_binder()) {
                connections(true);
            }
            ended(true);
        }
    }

private:
    // With disable_ipv6 interfaces lose their addresses, and sockets go on: [::] can be bound, and
    // an interface may be an exception.
    [[nodiscard]] bool is_disabled() const {
        const auto& which = at_.address;
        const auto& all = known_.host.addresses;
        return which.is_v6() && known_.host.v6_disabled && !which.is_unspecified() &&
               !which.is_multicast() && !into_.asked().freebind && !known_.nonlocal_bind_v6 &&
               std::none_of(all.begin(), all.end(),
                            [](const auto& each) { return each.address.is_v6(); });
    }

    void server(const socket& which) {
        if (into_.asked().reuse_port) {
            shared_server(which);
            return;
        }
        const auto have = *place_of(which);
        const bool other_family = have.address.is_v6() && at_.address.is_v4();
        // Whoever asks for both wildcards meets this socket at its own address.
        if (other_family && asks_for(into_.asked(), {have.address, have.port})) {
            return;
        }
        finding made;
        if (other_family) {
            made.what = cause::v6_wildcard_takes_v4;
            made.sure = which.v6only ? sureness::certain : sureness::likely;
            made.sentence = who_has(which, known_) + " has " + ip::to_text(which.local) +
                            " without IPV6_V6ONLY, which takes the IPv4 port " + text_ + " as well";
            made.fixes.emplace_back("let that program set IPV6_V6ONLY, or listen at " + text_ +
                                    " itself (nginx: listen [::]:" + std::to_string(at_.port) +
                                    " ipv6only=on)");
        } else {
            made.what = cause::in_use;
            made.sentence =
                who_has(which, known_) +
                (which.over == ip::transport::tcp ? " listens at " : " has bound ") +
                ip::to_text(which.local) +
                (which.v6only == false && have.takes_v4 ? ", and at the IPv4 port, too" : "");
        }
        if (which.over == ip::transport::udp) {
            made.sure = std::max(made.sure, unless_reused(which));
        }
        add_evidence(made.evidence, which, known_);
        if (which.over == ip::transport::udp && which.reuse_address != false) {
            made.evidence.emplace_back("if both programs set SO_REUSEADDR, both can bind it, and "
                                       "only one of them gets each datagram");
        }
        add_way_to_end(made.fixes, which, known_);
        into_.find(std::move(made));
    }

    // SO_REUSEPORT of both, and of one user, lets them all be.
    [[nodiscard]] bool is_shared(const socket& which) const {
        return into_.asked().reuse_port && which.reuse_port == true && which.uid == known_.uid;
    }

    // The one that binds sets SO_REUSEPORT, which needs it of both, and one user.
    void shared_server(const socket& which) {
        const bool same_user = which.uid == known_.uid;
        finding made;
        made.sure = which.reuse_port ? sureness::certain : sureness::likely;
        if (which.reuse_port.value_or(same_user) && same_user) {
            if (which.reuse_port) {
                into_.exclude(cause::in_use, who_has(which, known_) + " shares " + text_ +
                                                 ": SO_REUSEPORT is set on both, of one user");
                return;
            }
            made.sure = sureness::possible;
            made.what = cause::reuse_port_missing;
            made.sentence = who_has(which, known_) + " has " + ip::to_text(which.local) +
                            ", and must have set SO_REUSEPORT, too; whether it has is not known";
        } else if (which.reuse_port.value_or(!same_user)) {
            made.what = cause::reuse_port_other_user;
            made.sentence =
                "SO_REUSEPORT shares a port among sockets of one user: " + who_has(which, known_) +
                " at " + ip::to_text(which.local) + " is of user " + std::to_string(which.uid) +
                ", and this is user " + std::to_string(known_.uid);
            made.fixes.push_back("run both as user " + std::to_string(which.uid));
        } else {
            made.what = cause::reuse_port_missing;
            made.sentence = who_has(which, known_) + " has " + ip::to_text(which.local) +
                            " without SO_REUSEPORT, so nobody can share it";
            made.fixes.emplace_back("let that program set SO_REUSEPORT before it binds, and "
                                    "start it again");
        }
        add_evidence(made.evidence, which, known_);
        add_way_to_end(made.fixes, which, known_);
        into_.find(std::move(made));
    }

    void only_bound(const socket& which) {
        if (into_.asked().reuse_port) {
            shared_server(which);
            return;
        }
        finding made{cause::bound_not_listening,
                     unless_reused(which),
                     who_has(which, known_) + " has bound " + ip::to_text(which.local) +
                         " and does not listen there",
                     {},
                     {}};
        add_evidence(made.evidence, which, known_);
        if (which.reuse_address != false) {
            made.evidence.emplace_back(
                "if both programs set SO_REUSEADDR, both can bind it until one listens");
        }
        add_way_to_end(made.fixes, which, known_);
        into_.find(std::move(made));
    }

    // Who binds [::] without IPV6_V6ONLY wants the IPv4 port as well.
    [[nodiscard]] bool is_dual_wildcard() const {
        const ip::endpoint v4{ip::address::any(ip::family::v4), at_.port};
        return at_.address.is_v6() && at_.address.is_unspecified() &&
               !asks_for(into_.asked(), v4) && !known_.bindv6only;
    }

    // `by_v4`: it has the IPv4 port that a dual wildcard wants.
    [[nodiscard]] bool is_in_the_way(const socket& which, bool by_v4) const {
        if (which.over != into_.asked().over) {
            return false;
        }
        const auto have = place_of(which);
        return by_v4 ? have && have->address.is_v4() && have->port == at_.port
                     : overlaps(which, at_);
    }

    // An IPv6 socket at an IPv4-mapped address was left by a dual wildcard, and the next one will
    // be such a one as well.
    static sureness sure_by_v4(const socket& which) {
        return which.v6 ? sureness::likely : sureness::possible;
    }

    [[nodiscard]] std::string wanted(bool by_v4) const {
        return by_v4 ? "the IPv4 port of " + text_ : text_;
    }

    void add_dual(finding& to, bool by_v4) const {
        if (by_v4) {
            to.evidence.push_back("a program that binds " + text_ +
                                  " without IPV6_V6ONLY wants the IPv4 port, too");
            to.fixes.emplace_back("or let the program set IPV6_V6ONLY");
        }
    }

    // Without a listener: connections of an earlier one, or of a client.
    void connections(bool by_v4) {
        std::vector<const socket*> left;
        for (const auto& each : known_.sockets) {
            if (!is_connection(each) || !is_in_the_way(each, by_v4)) {
                continue;
            }
            if (is_shared(each)) {
                into_.exclude(cause::connections_left,
                              "SO_REUSEPORT is set on the connections at " + text_ +
                                  " as well, of one user");
                continue;
            }
            const auto from = origin_of(each, known_);
            if (from.outgoing) {
                outgoing(each, by_v4 ? sure_by_v4(each) : from.sure, by_v4);
            } else if (each.over == ip::transport::udp) {
                connected(each, by_v4);
            } else {
                left.push_back(&each);
            }
        }
        if (!left.empty()) {
            leftover(left, by_v4);
        }
    }

    void outgoing(const socket& which, sureness sure, bool by_v4) {
        const auto port = std::to_string(at_.port);
        const bool reserved =
            std::any_of(known_.reserved.begin(), known_.reserved.end(),
                        [&](const auto& each) { return each.contains(at_.port); });
        finding made{cause::ephemeral_source_port,
                     sure,
                     "port " + port + " is the source port of a " +
                         (which.over == ip::transport::tcp ? "connection" : "UDP socket") +
                         " that " + who_has(which, known_) +
                         (which.over == ip::transport::tcp ? " made to " : " has connected to ") +
                         ip::to_text(which.peer),
                     {},
                     {}};
        add_evidence(made.evidence, which, known_);
        made.evidence.push_back("net.ipv4.ip_local_port_range is " +
                                std::to_string(known_.ephemeral.first) + " to " +
                                std::to_string(known_.ephemeral.last));
        if (which.over == ip::transport::tcp && which.state != socket_state::connecting) {
            made.evidence.push_back("unless a server at port " + port +
                                    " took it, and does not listen any more: the kernel does not "
                                    "tell who began");
        }
        if (!reserved) {
            made.fixes.push_back(
                "sysctl -w net.ipv4.ip_local_reserved_ports=" + with_reserved(known_, port) +
                "   (keeps clients off it from now on)");
        }
        made.fixes.emplace_back("or listen at a port outside the range");
        add_dual(made, by_v4);
        into_.find(std::move(made));
    }

    // A UDP socket that takes from one peer alone.
    void connected(const socket& which, bool by_v4) {
        finding made{cause::in_use,
                     by_v4 ? sureness::possible : unless_reused(which),
                     who_has(which, known_) + " has bound " + ip::to_text(which.local) +
                         ", connected to " + ip::to_text(which.peer),
                     {},
                     {}};
        add_evidence(made.evidence, which, known_);
        add_way_to_end(made.fixes, which, known_);
        add_dual(made, by_v4);
        into_.find(std::move(made));
    }

    void leftover(const std::vector<const socket*>& all, bool by_v4) {
        const auto& first = *all.front();
        finding made{
            cause::connections_left,
            by_v4 ? sure_by_v4(first) : sureness::likely,
            counted(all.size(), "connection") + " of a server at " + text_ +
                " that does not listen any more " + (all.size() == 1 ? "keeps" : "keep") +
                " the port from programs that do not set SO_REUSEADDR",
            {},
            {"let both programs, the one before and the next, set SO_REUSEADDR before they "
             "bind, as servers do"}};
        constexpr std::size_t shown = 3;
        for (std::size_t i = 0; i < std::min(all.size(), shown); ++i) {
            add_evidence(made.evidence, *all[i], known_);
        }
        made.evidence.emplace_back("or of clients that had bound this port before they connected: "
                                   "it is outside of net.ipv4.ip_local_port_range");
        if (all.size() > shown) {
            made.evidence.push_back("and " + std::to_string(all.size() - shown) + " more");
        }
        if (first.inode != 0) {
            add_way_to_end(made.fixes, first, known_);
        }
        add_dual(made, by_v4);
        into_.find(std::move(made));
    }

    void ended(bool by_v4) {
        std::size_t count = 0;
        sureness sure = by_v4 ? sureness::possible : sureness::likely;
        std::chrono::milliseconds longest{0};
        for (const auto& each : known_.sockets) {
            if (each.state == socket_state::time_wait && is_in_the_way(each, by_v4)) {
                ++count;
                sure = by_v4 ? std::min(sure, sure_by_v4(each)) : sure;
                longest = std::max(longest, each.left.value_or(longest));
            }
        }
        if (count == 0) {
            into_.exclude(cause::time_wait, "no connection is in TIME-WAIT at " + text_);
            return;
        }
        const bool shares = into_.asked().reuse_port;
        if (shared_) {
            into_.exclude(cause::time_wait, "whoever listens at " + text_ +
                                                " with SO_REUSEPORT set is not kept out by them");
            return;
        }
        finding made{cause::time_wait,
                     shares ? sureness::possible : sure,
                     counted(count, "connection") + " in TIME-WAIT " +
                         (count == 1 ? "keeps " : "keep ") + wanted(by_v4) +
                         " from programs that " +
                         (shares ? "set SO_REUSEPORT, unless the one before had set it, too"
                                 : "do not set SO_REUSEADDR"),
                     {"the last of them is gone in " + time_text(longest),
                      "they stay on the side that closed first"},
                     {"let both programs, the one before and the next, set SO_REUSEADDR before "
                      "they bind, as servers do",
                      "or wait " + time_text(longest)}};
        if (shares) {
            made.evidence.emplace_back("what the one before had set is not told by the kernel");
        }
        add_dual(made, by_v4);
        into_.find(std::move(made));
    }

    // True when somebody has the IPv4 port of a dual wildcard.
    bool dual_binder() {
        bool found = false;
        for (const auto& each : known_.sockets) {
            if (!is_in_the_way(each, true) || is_shared(each) ||
                (each.state != socket_state::listening && each.state != socket_state::bound)) {
                continue;
            }
            finding made{cause::in_use,
                         sureness::possible,
                         "a program that binds " + text_ +
                             " without IPV6_V6ONLY wants the IPv4 port, too, which " +
                             who_has(each, known_) + " has at " + ip::to_text(each.local),
                         {},
                         {"let the program set IPV6_V6ONLY"}};
            add_evidence(made.evidence, each, known_);
            into_.find(std::move(made));
            found = true;
        }
        return found;
    }

    examiner& into_;
    const facts& known_;
    ip::endpoint at_;
    std::string text_;
    bool v6_socket_;
    bool shared_ = false; // with somebody who serves there
};

} // namespace

void examine_bind(examiner& into) {
    for (const auto& each : into.asked().places) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        if (at == nullptr) {
            continue;
        }
        bind_examiner work{into, *at};
        if (work.family() && !into.asked().freebind) {
            examine_address(into, *at);
        }
        work.privilege();
        work.sockets();
    }
}

} // namespace portico::diagnose
