#include "describe.hpp"

#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <array>

namespace portico::diagnose {
namespace {

bool same_but_zone(const ip::address& a, const ip::address& b) {
    const bool any_zone = a.zone().empty() || b.zone().empty();
    return any_zone ? a.with_zone({}) == b.with_zone({}) : a == b;
}

std::string flag_text(std::string_view name, std::optional<bool> set) {
    return std::string{name} + (set ? *set ? " set" : " not set" : " not known");
}

std::string part_of(const process& who) {
    std::string text = "pid " + std::to_string(who.pid);
    text += who.container.empty() ? "" : ", " + who.container;
    text += who.container.empty() && !who.unit.empty() ? ", " + who.unit : "";
    return text;
}

// A scope is a login or a container, which is not what is to be stopped.
bool is_service(const std::string& unit) {
    return unit.ends_with(".service") && !unit.starts_with("user@");
}

// The container's own tool; empty: it has none.
std::string way_to_stop(const std::string& container) {
    struct tool {
        std::string_view of;
        std::string_view command;
    };
    constexpr std::array tools = std::to_array<tool>({
        {"docker ", "docker stop "},
        {"podman ", "podman stop "},
        {"containerd ", "crictl stop "},
        {"cri-o ", "crictl stop "},
        {"kubernetes ", "crictl stop "},
        {"lxc ", "lxc-stop -n "},
    });
    for (const auto& each : tools) {
        if (container.starts_with(each.of)) {
            return std::string{each.command} + quoted(container.substr(each.of.size()));
        }
    }
    return {};
}

} // namespace

std::optional<socket_place> place_of(const socket& which) {
    const auto* at = std::get_if<ip::endpoint>(&which.local);
    if (at == nullptr) {
        return std::nullopt;
    }
    const auto plain = at->address.is_v4_mapped() ? ip::canonical(at->address) : at->address;
    const bool takes_v4 = which.v6 && at->address.is_unspecified() && !which.v6only.value_or(false);
    return socket_place{plain, at->port, takes_v4};
}

bool serves(const socket& which, const ip::endpoint& at, std::string_view by) {
    const auto have = place_of(which);
    const bool elsewhere = !which.interface.empty() && !by.empty() && which.interface != by;
    if (!have || have->port != at.port || elsewhere) {
        return false;
    }
    if (have->address.is_unspecified()) {
        return have->address.family() == at.address.family() ||
               (have->takes_v4 && at.address.is_v4());
    }
    return same_but_zone(have->address, at.address);
}

bool overlaps(const socket& which, const ip::endpoint& at) {
    const auto have = place_of(which);
    if (!have || have->port != at.port) {
        return false;
    }
    if (at.address.is_unspecified() && have->address.family() == at.address.family()) {
        return true;
    }
    return serves(which, at, at.address.zone().text());
}

std::string_view to_text(socket_state which) noexcept {
    switch (which) {
    case socket_state::listening:
        return "listening";
    case socket_state::bound:
        return "bound";
    case socket_state::connecting:
        return "connecting";
    case socket_state::half_open:
        return "half-open";
    case socket_state::established:
        return "connected";
    case socket_state::closing:
        return "closing";
    case socket_state::time_wait:
        break;
    }
    return "TIME-WAIT";
}

std::string quoted(const std::string& text) {
    const bool plain = std::all_of(text.begin(), text.end(), [](char each) {
        constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789@%+=:,./-_";
        return safe.find(each) != safe.npos;
    });
    if (plain) {
        return text;
    }
    std::string made = "'";
    for (const char each : text) {
        made += each == '\'' ? std::string{"'\\''"} : std::string{each};
    }
    return made + "'";
}

std::string counted(std::size_t count, std::string_view what, std::string_view plural) {
    return std::to_string(count) + " " + std::string{what} +
           (count == 1 ? std::string{} : std::string{plural});
}

std::string time_text(std::chrono::milliseconds length) {
    const auto count = length.count();
    if (count < 1000) {
        return std::to_string(count) + " ms";
    }
    return std::to_string(count / 1000) + "." + std::to_string(count % 1000 / 100) + " s";
}

std::string who_has(const socket& which, const facts& known) {
    if (!which.holders.empty()) {
        const auto& first = known.processes[which.holders.front()];
        return (first.name.empty() ? "a process" : first.name) + " (" + part_of(first) + ")";
    }
    if (which.inode == 0) {
        return "the kernel (no process has it open)";
    }
    if (known.seen_as_root) {
        return "the kernel itself, or a process that is seen with CAP_SYS_PTRACE only,";
    }
    const auto& group = which.container.empty() ? which.unit : which.container;
    return "a process of user " + std::to_string(which.uid) + " that cannot be seen from here" +
           (group.empty() ? "" : " (" + group + ", by its control group)");
}

std::string line_of(const socket& which) {
    const bool is_ip = std::holds_alternative<ip::endpoint>(which.local);
    std::string text = is_ip ? std::string{ip::to_text(which.over)} + " " : std::string{};
    text += ip::to_text(which.local);
    if (!std::holds_alternative<std::monostate>(which.peer)) {
        text += " to " + ip::to_text(which.peer);
    }
    text += ": " + std::string{to_text(which.state)} + ", user " + std::to_string(which.uid);
    if (which.state == socket_state::listening) {
        text += ", queue " + std::to_string(which.waiting) + " of " + std::to_string(which.most);
    }
    if (which.left) {
        text += ", gone in " + time_text(*which.left);
    }
    if (which.v6) {
        text += ", " + flag_text("IPV6_V6ONLY", which.v6only);
    }
    if (is_ip && !which.interface.empty()) {
        text += ", bound to the interface " + which.interface;
    }
    if (is_ip && which.inode != 0) {
        text += ", " + flag_text("SO_REUSEADDR", which.reuse_address);
        text += ", " + flag_text("SO_REUSEPORT", which.reuse_port);
    }
    return text;
}

std::string line_of(const process& which) {
    std::string text = "pid " + std::to_string(which.pid) + " " + which.name + ", user " +
                       std::to_string(which.uid);
    text += which.unit.empty() ? "" : ", unit " + which.unit;
    text += which.container.empty() ? "" : ", container " + which.container;
    text += which.command.empty() ? "" : ": " + which.command;
    return text;
}

void add_evidence(std::vector<std::string>& to, const socket& which, const facts& known) {
    to.push_back(line_of(which));
    for (const auto each : which.holders) {
        to.push_back(line_of(known.processes[each]));
    }
    if (which.more_holders > 0) {
        to.push_back("and " + std::to_string(which.more_holders) + " more " +
                     (which.more_holders == 1 ? "process has" : "processes have") + " it open");
    }
}

void add_way_to_end(std::vector<std::string>& to, const socket& which, const facts& known) {
    const auto* at = std::get_if<ip::endpoint>(&which.local);
    if (which.holders.empty()) {
        if (which.inode != 0 && known.seen_as_root) {
            to.emplace_back("look for an interface of the kernel that has the port (ip -d link: "
                            "vxlan, wireguard), or ask outside of this container");
        } else if (which.inode != 0) {
            to.emplace_back("run this as root to see which process it is: sudo portico why ...");
        }
        return;
    }
    const auto& first = known.processes[which.holders.front()];
    if (first.pid == 1 && first.name == "systemd") {
        to.emplace_back("it is the service manager's, for a program that it starts: systemctl "
                        "list-sockets, then systemctl stop NAME.socket");
    } else if (first.pid == 1) {
        to.emplace_back("it is the first process here, which a container is made for: stop the "
                        "container");
    } else if (first.name == "docker-proxy" && at != nullptr) {
        to.push_back("a container has published the port: docker ps --filter publish=" +
                     std::to_string(at->port) + ", then docker stop NAME");
    } else if (auto stop = way_to_stop(first.container); !stop.empty()) {
        to.push_back(std::move(stop));
    } else if (is_service(first.unit)) {
        to.push_back((first.of_user ? "systemctl --user stop " : "systemctl stop ") +
                     quoted(first.unit) +
                     (first.of_user ? "   (as user " + std::to_string(first.uid) + ")" : ""));
    } else {
        to.push_back("kill " + std::to_string(first.pid));
        if (const auto others = which.holders.size() - 1 + which.more_holders; others > 0) {
            to.push_back("and what is left of the " + counted(others, "other process", "es") +
                         " that " + (others == 1 ? "has" : "have") + " it open (portico why -v)");
        }
    }
}

} // namespace portico::diagnose
