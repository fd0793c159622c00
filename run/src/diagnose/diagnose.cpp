#include "portico/run/diagnose.hpp"

#include "gather.hpp"
#include "portico/os/pidfd.hpp"

#include <algorithm>
#include <cerrno>

namespace portico::run {
namespace {

using diagnose::act;
using diagnose::socket_state;

std::optional<act> act_of(operation op) noexcept {
    switch (op) {
    case operation::bind:
    case operation::listen:
        return act::bind;
    case operation::connect:
        return act::connect;
    default:
        return std::nullopt;
    }
}

bool takes_clients(const diagnose::socket& which) noexcept {
    return which.state == socket_state::listening ||
           (which.state == socket_state::bound && which.over == ip::transport::udp);
}

// UNIX sockets behind all others.
unsigned port_of(const diagnose::socket& which) noexcept {
    const auto* at = std::get_if<ip::endpoint>(&which.local);
    return at == nullptr ? UINT16_MAX + 1U : at->port;
}

// Every server socket of the namespace whose inode is among those.
std::vector<diagnose::socket> sockets_of(pid_t pid, const std::vector<os::open_socket>& open,
                                         std::vector<std::string>& unseen) {
    std::vector<diagnose::socket> mine;
    const auto keep = [&](os::sys_result<std::vector<diagnose::socket>> got, std::string what) {
        if (!got) {
            unseen.push_back(std::move(what) + ": " + got.error().message());
            return;
        }
        for (auto& each : *got) {
            const auto own = std::find_if(open.begin(), open.end(),
                                          [&](const auto& one) { return one.inode == each.inode; });
            if (own == open.end() || !takes_clients(each)) {
                continue;
            }
            if (const auto flags = os::read_reuse_flags({pid, own->number, own->inode})) {
                each.reuse_address = flags->address;
                each.reuse_port = flags->port;
            }
            mine.push_back(std::move(each));
        }
    };
    const auto diag = os::open_sock_diag();
    if (!diag) {
        unseen.push_back("the sockets: netlink: " + diag.error().message());
        return mine;
    }
    for (const auto over : {ip::transport::tcp, ip::transport::udp}) {
        for (const auto family : {ip::family::v4, ip::family::v6}) {
            os::socket_query which;
            which.family = family;
            which.over = over;
            which.states = {over == ip::transport::tcp ? socket_state::listening
                                                       : socket_state::bound};
            keep(os::inet_sockets(*diag, which), std::string{ip::to_text(over)} + " sockets");
        }
    }
    keep(os::unix_sockets(*diag), "UNIX sockets");
    std::stable_sort(mine.begin(), mine.end(),
                     [](const auto& a, const auto& b) { return port_of(a) < port_of(b); });
    return mine;
}

// A UNIX socket of a process is known already: its path may be relative, and the process have a
// root directory of its own.
diagnose::facts of_one_socket(diagnose::socket which, const diagnose::process& who) {
    diagnose::facts known;
    which.holders = {0};
    known.sockets = {std::move(which)};
    known.processes = {who};
    return known;
}

} // namespace

diagnose::diagnosis diagnose_here(const diagnose::question& asked, const diagnose_options& how) {
    const auto real = diagnose::settled(asked);
    return diagnose::diagnose(real, fact_gatherer{real, how}.gather());
}

std::string cause_of(const error& why, ip::transport over) {
    if (why.code == std::errc::too_many_files_open) {
        return "this process has as many open files as it may have; raise the limit: ulimit -n, "
               "LimitNOFILE=";
    }
    const auto what = act_of(why.op);
    if (!what || std::holds_alternative<std::monostate>(why.at)) {
        return {};
    }
    diagnose::question asked;
    asked.what = *what;
    asked.over = over;
    asked.text = ip::to_text(why.at);
    asked.places = {why.at};
    const auto made = diagnose_here(asked);
    for (const auto& each : made.findings) {
        if (each.sure != diagnose::sureness::possible && diagnose::explains(each.what, why.code)) {
            return each.sentence;
        }
    }
    return {};
}

tl::expected<process_places, std::error_code> diagnose_process(pid_t pid,
                                                               const diagnose_options& how) {
    const auto process = os::pidfd_open(pid);
    if (!process) {
        return tl::unexpected{process.error()};
    }
    const auto open = os::open_sockets(*process);
    if (!open) {
        return tl::unexpected{open.error()};
    }
    auto who = os::read_process(pid);
    if (!who) {
        return tl::unexpected{who.error()};
    }
    process_places made;
    made.who = std::move(*who);
    if (!os::shares_network(pid)) {
        made.unseen.push_back("its IP sockets, which are in another network namespace: nsenter "
                              "--net=/proc/" +
                              std::to_string(pid) + "/ns/net portico why --pid " +
                              std::to_string(pid));
    }
    for (auto& each : sockets_of(pid, *open, made.unseen)) {
        diagnose::question asked;
        asked.what = act::accept;
        asked.over = each.over;
        asked.text = ip::to_text(each.local);
        asked.places = {each.local};
        made.each.push_back(std::holds_alternative<ip::unix_name>(each.local)
                                ? diagnose::diagnose(asked, of_one_socket(each, made.who))
                                : diagnose_here(asked, how));
        made.sockets.push_back(std::move(each));
    }
    return made;
}

} // namespace portico::run
