#include "gather.hpp"

#include "portico/diagnose/proc_text.hpp"
#include "portico/os/counters.hpp"
#include "portico/os/facts.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace portico::run {
namespace {

using diagnose::act;
using diagnose::socket_state;

constexpr std::size_t most_namespaces = 256;

bool is_on(const std::string& sysctl) {
    const auto text = os::read_sysctl(sysctl);
    return text && *text != "0";
}

} // namespace

diagnose::facts fact_gatherer::gather() && {
    host();
    const auto* name =
        asked_.places.empty() ? nullptr : std::get_if<ip::unix_name>(&asked_.places.front());
    if (name != nullptr) {
        unix_side(*name);
    } else {
        routes();
        sockets();
    }
    owners();
    if (name == nullptr && asked_.what != act::bind) {
        other_namespaces();
        if (asked_.what == act::accept) {
            way_in();
        } else {
            way_out();
            attempts();
        }
    }
    return std::move(made_);
}

void fact_gatherer::note(std::string what, const std::error_code& why) {
    made_.unseen.push_back(std::move(what) + ": " + why.message());
}

void fact_gatherer::host() {
    // Without inherited sockets: they are of this process, and not of the question.
    if (auto gathered = os::gather_facts(os::listen_environment{})) {
        made_.host = std::move(gathered->known);
        made_.unseen = std::move(gathered->unknown);
    }
    made_.uid = how_.uid.value_or(::geteuid());
    if (how_.uid && *how_.uid != ::geteuid()) {
        made_.host.privileged = *how_.uid == 0;
        made_.other_user = true;
    }
    for (const auto& each : made_.host.interfaces) {
        if (is_on("net/ipv6/conf/" + each + "/disable_ipv6")) {
            made_.v6_off.push_back(each);
        }
    }
    made_.nonlocal_bind = is_on("net/ipv4/ip_nonlocal_bind");
    made_.nonlocal_bind_v6 = is_on("net/ipv6/ip_nonlocal_bind");
    made_.bindv6only = is_on("net/ipv6/bindv6only");
    if (const auto text = os::read_sysctl("net/ipv4/ip_local_port_range")) {
        made_.ephemeral = diagnose::parse_port_range(*text).value_or(made_.ephemeral);
    }
    if (const auto text = os::read_sysctl("net/ipv4/ip_local_reserved_ports")) {
        made_.reserved = diagnose::parse_port_list(*text);
    }
}

std::vector<std::uint16_t> fact_gatherer::ports() const {
    std::vector<std::uint16_t> all;
    for (const auto& each : asked_.places) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        if (at != nullptr && at->port != 0 && std::count(all.begin(), all.end(), at->port) == 0) {
            all.push_back(at->port);
        }
    }
    return all;
}

bool fact_gatherer::is_here(const ip::any_endpoint& which) const {
    const auto* at = std::get_if<ip::endpoint>(&which);
    return at != nullptr && diagnose::is_own(made_, at->address);
}

std::optional<os::fd> fact_gatherer::open_diag() {
    auto diag = os::open_sock_diag();
    if (!diag) {
        note("the sockets: netlink", diag.error());
        return std::nullopt;
    }
    return std::move(*diag);
}

void fact_gatherer::add_sockets(const os::fd& diag, const os::socket_query& which,
                                std::vector<diagnose::socket>& to) {
    auto got = os::inet_sockets(diag, which);
    if (!got) {
        note("the " + std::string{ip::to_text(which.family)} + " sockets of " +
                 std::string{ip::to_text(which.over)},
             got.error());
        return;
    }
    std::move(got->begin(), got->end(), std::back_inserter(to));
}

void fact_gatherer::sockets() {
    const bool local =
        asked_.what != act::connect || std::any_of(asked_.places.begin(), asked_.places.end(),
                                                   [&](const auto& each) { return is_here(each); });
    const auto diag = local ? open_diag() : std::nullopt;
    if (!diag) {
        return;
    }
    for (const auto port : ports()) {
        for (const auto family : {ip::family::v4, ip::family::v6}) {
            os::socket_query which;
            which.family = family;
            which.over = asked_.over;
            which.local_port = port;
            which.ages = asked_.what != act::bind;
            add_sockets(*diag, which, made_.sockets);
        }
    }
}

void fact_gatherer::owners() {
    add_owners(made_, how_);
}

bool fact_gatherer::somebody_listens() const {
    return std::any_of(made_.sockets.begin(), made_.sockets.end(), [](const auto& each) {
        return each.state == socket_state::listening ||
               (each.state == socket_state::bound && each.over == ip::transport::udp);
    });
}

void fact_gatherer::each_namespace(const namespace_look& look) {
    const auto search = os::find_network_namespaces(most_namespaces);
    if (!search) {
        note("other network namespaces", search.error());
        return;
    }
    std::size_t refused = 0;
    for (const auto& each : search->found) {
        const auto diag = os::open_sock_diag_in(each);
        if (diag) {
            look(*diag, each);
        } else {
            ++refused;
        }
    }
    if (search->left_out > 0) {
        made_.unseen.push_back("other network namespaces: " + std::to_string(search->left_out) +
                               " beyond the first " + std::to_string(most_namespaces));
    }
    if (refused > 0 || search->hidden > 0) {
        made_.unseen.push_back("other network namespaces: " +
                               (refused > 0 ? std::to_string(refused) + " could not be entered"
                                            : "those of " + std::to_string(search->hidden) +
                                                  " processes that may not be looked at") +
                               (::geteuid() == 0 ? "; this root lacks capabilities for that "
                                                   "(CAP_SYS_PTRACE, CAP_SYS_ADMIN)"
                                                 : "; as root they can be seen (sudo)"));
    }
}

void fact_gatherer::other_namespaces() {
    const bool here = std::any_of(asked_.places.begin(), asked_.places.end(),
                                  [&](const auto& each) { return is_here(each); });
    if (!here || somebody_listens()) {
        return;
    }
    each_namespace([this](const os::fd& diag, const os::network_namespace& where) {
        std::vector<diagnose::socket> found;
        for (const auto port : ports()) {
            for (const auto family : {ip::family::v4, ip::family::v6}) {
                os::socket_query which;
                which.family = family;
                which.over = asked_.over;
                which.states = {asked_.over == ip::transport::tcp ? socket_state::listening
                                                                  : socket_state::bound};
                which.local_port = port;
                add_sockets(diag, which, found);
            }
        }
        if (!found.empty()) {
            const auto who = os::read_process(where.pid);
            made_.elsewhere.push_back({found.front(), who.value_or(diagnose::process{})});
        }
    });
}

} // namespace portico::run
