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
constexpr std::array<std::string_view, 7> misleading_beginnings{
    "TCP6", "UDPLOCAL", "UDPREMOTE", "IPCLOCAL", "IPCREMOTE", "SOCAT_", "NCAT_"};

void add_ip(std::vector<variable>& to, const ip::endpoint& local, const ip::endpoint& peer,
            std::uint64_t from_peer) {
    const auto here = ip::canonical(local);
    const auto there = ip::canonical(peer);
    const auto local_address = ip::to_text(here.address);
    const auto local_port = std::to_string(here.port);
    const auto peer_address = ip::to_text(there.address);
    const auto peer_port = std::to_string(there.port);
    to.push_back({"PROTO", "TCP"});
    to.push_back({"TCPLOCALIP", local_address});
    to.push_back({"TCPLOCALPORT", local_port});
    to.push_back({"TCPREMOTEIP", peer_address});
    to.push_back({"TCPREMOTEPORT", peer_port});
    to.push_back({"TCPREMOTEHOST", peer_address});
    to.push_back({"TCPCONNNUM", std::to_string(from_peer)});
    to.push_back({"SERVER_ADDR", local_address});
    to.push_back({"SERVER_PORT", local_port});
    to.push_back({"REMOTE_ADDR", peer_address});
    to.push_back({"REMOTE_PORT", peer_port});
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
        add_ip(made, *local, *peer, connection.from_peer);
    } else {
        add_unix(made, connection);
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
