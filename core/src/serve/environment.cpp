// The environment of a program that serves a connection.

#include "portico/serve/environment.hpp"
#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <array>

namespace portico::serve {
namespace {

// Everything that variables_of() may set, and what other servers of connections set besides.
constexpr std::array<std::string_view, 35> misleading{
    "PROTO",         "TCPLOCALIP",     "TCPLOCALPORT",   "TCPLOCALHOST",   "TCPREMOTEIP",
    "TCPREMOTEPORT", "TCPREMOTEHOST",  "TCPREMOTEINFO",  "TCPCONNNUM",     "TCPINTERFACE",
    "REMOTE_ADDR",   "REMOTE_PORT",    "REMOTE_HOST",    "REMOTE_IDENT",   "REMOTE_USER",
    "SERVER_ADDR",   "SERVER_PORT",    "SERVER_NAME",    "UNIXLOCALPATH",  "UNIXLOCALUID",
    "UNIXLOCALGID",  "UNIXREMOTEPATH", "UNIXREMOTEEUID", "UNIXREMOTEEGID", "UNIXREMOTEPID",
    "LISTEN_FDS",    "LISTEN_PID",     "LISTEN_PIDFDID", "LISTEN_FDNAMES", "NOTIFY_SOCKET",
    "WATCHDOG_USEC", "WATCHDOG_PID",   "MAINPID",        "MANAGERPID",     "GATEWAY_INTERFACE",
};
constexpr std::array<std::string_view, 8> misleading_beginnings{
    "TCP6",      "UDPLOCAL", "UDPREMOTE", "IPCLOCAL",
    "IPCREMOTE", "SOCAT_",   "NCAT_",     "PORTICO_INTERFACE"};

void add_ip(std::vector<variable>& to, const std::string& protocol, const ip::endpoint& local,
            const ip::endpoint& peer) {
    const auto here = ip::canonical(local);
    const auto there = ip::canonical(peer);
    const auto peer_address = ip::to_text(there.address);
    to.push_back({"PROTO", protocol});
    to.push_back({protocol + "LOCALIP", ip::to_text(here.address)});
    to.push_back({protocol + "LOCALPORT", std::to_string(here.port)});
    to.push_back({protocol + "REMOTEIP", peer_address});
    to.push_back({protocol + "REMOTEPORT", std::to_string(there.port)});
    to.push_back({protocol + "REMOTEHOST", peer_address});
}

void add_cgi(std::vector<variable>& to, const ip::endpoint& local, const ip::endpoint& peer) {
    const auto here = ip::canonical(local);
    const auto there = ip::canonical(peer);
    const auto peer_address = ip::to_text(there.address);
    to.push_back({"SERVER_ADDR", ip::to_text(here.address)});
    to.push_back({"SERVER_PORT", std::to_string(here.port)});
    to.push_back({"REMOTE_ADDR", peer_address});
    to.push_back({"REMOTE_PORT", std::to_string(there.port)});
    to.push_back({"REMOTE_HOST", peer_address});
}

// A value of the environment ends at its first zero byte, which abstract names may have.
std::string path_of(const ip::unix_name& name) {
    std::string text = (name.is_abstract() ? "@" : "") + std::string{name.text()};
    std::replace(text.begin(), text.end(), '\0', '@');
    return text;
}

void add_path(std::vector<variable>& to, std::string name, const ip::any_endpoint& which) {
    const auto* file = std::get_if<ip::unix_name>(&which);
    if (file != nullptr && !file->empty()) {
        to.push_back({std::move(name), path_of(*file)});
    }
}

void add_unix(std::vector<variable>& to, const connection_facts& connection) {
    to.push_back({"PROTO", "UNIX"});
    add_path(to, "UNIXLOCALPATH", connection.local);
    add_path(to, "UNIXREMOTEPATH", connection.peer);
    if (const auto& process = connection.process) {
        to.push_back({"UNIXREMOTEEUID", std::to_string(process->user)});
        to.push_back({"UNIXREMOTEEGID", std::to_string(process->group)});
        if (process->pid != 0) {
            to.push_back({"UNIXREMOTEPID", std::to_string(process->pid)});
        }
    }
}

} // namespace

std::vector<variable> variables_of(const connection_facts& connection) {
    std::vector<variable> made;
    const auto* local = std::get_if<ip::endpoint>(&connection.local);
    const auto* peer = std::get_if<ip::endpoint>(&connection.peer);
    if (local != nullptr && peer != nullptr) {
        add_ip(made, "TCP", *local, *peer);
        made.push_back({"TCPCONNNUM", std::to_string(connection.from_peer)});
        add_cgi(made, *local, *peer);
    } else {
        add_unix(made, connection);
    }
    return made;
}

std::vector<variable> variables_of_query(const query_facts& query) {
    std::vector<variable> made;
    const auto* asked = std::get_if<ip::endpoint>(&query.asked);
    const auto* peer = std::get_if<ip::endpoint>(&query.peer);
    if (asked == nullptr || peer == nullptr) {
        add_unix(made, {query.asked, query.peer, 1, {}});
        return made;
    }
    add_ip(made, "UDP", *asked, *peer);
    add_cgi(made, {query.answer_from.value_or(asked->address), asked->port}, *peer);
    if (!query.interface.empty()) {
        made.push_back({"PORTICO_INTERFACE", query.interface});
    }
    if (query.interface_index != 0) {
        made.push_back({"PORTICO_INTERFACE_INDEX", std::to_string(query.interface_index)});
    }
    return made;
}

std::vector<variable> variables_of_socket(const ip::any_endpoint& local, ip::transport over) {
    std::vector<variable> made;
    const auto* at = std::get_if<ip::endpoint>(&local);
    if (at == nullptr) {
        made.push_back({"PROTO", "UNIX"});
        add_path(made, "UNIXLOCALPATH", local);
        return made;
    }
    const auto here = ip::canonical(*at);
    const auto address = ip::to_text(here.address);
    const auto port = std::to_string(here.port);
    const std::string protocol = over == ip::transport::tcp ? "TCP" : "UDP";
    made.push_back({"PROTO", protocol});
    made.push_back({protocol + "LOCALIP", address});
    made.push_back({protocol + "LOCALPORT", port});
    made.push_back({"SERVER_ADDR", address});
    made.push_back({"SERVER_PORT", port});
    return made;
}

bool misleads(std::string_view name) noexcept {
    return std::find(misleading.begin(), misleading.end(), name) != misleading.end() ||
           std::any_of(misleading_beginnings.begin(), misleading_beginnings.end(),
                       [name](std::string_view each) { return name.starts_with(each); });
}

std::vector<std::string> inheritable(std::span<const std::string> inherited) {
    std::vector<std::string> made;
    for (const auto& each : inherited) {
        const auto end = each.find('=');
        const bool is_variable = end != std::string::npos && end != 0;
        if (is_variable && !misleads(std::string_view{each}.substr(0, end))) {
            made.push_back(each);
        }
    }
    return made;
}

void set_variable(std::vector<std::string>& environment, const variable& which) {
    const auto begin = which.name + '=';
    std::erase_if(environment, [&](const std::string& each) { return each.starts_with(begin); });
    environment.push_back(begin + which.value);
}

std::vector<std::string> program_environment(std::span<const std::string> inherited,
                                             std::span<const variable> own) {
    std::vector<std::string> made;
    made.reserve(inherited.size() + own.size());
    made.assign(inherited.begin(), inherited.end());
    for (const auto& [name, value] : own) {
        auto& line = made.emplace_back();
        line.reserve(name.size() + 1 + value.size());
        line += name;
        line += '=';
        line += value;
    }
    return made;
}

} // namespace portico::serve
