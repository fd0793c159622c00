// What the files of proc(5), and those of the host, say. Any text is safe; what cannot be read is
// left as it was.
#pragma once

#include "portico/diagnose/facts.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portico::diagnose {

// /proc/PID/stat: the name and the state.
void read_stat(std::string_view text, process& into);

// /proc/PID/cmdline: the arguments with a space between them, and what is not printable as '?'; at
// most 512 bytes.
[[nodiscard]] std::string command_of(std::string_view text);

// /proc/PID/cgroup: the unit of systemd and the container, by the names that systemd, Docker,
// Podman, containerd, Kubernetes and LXC give their groups.
void read_cgroups(std::string_view text, process& into);

// /proc/PID/status: "Uid:", its second number.
[[nodiscard]] std::optional<std::uint32_t> effective_uid(std::string_view text) noexcept;

// /proc/PID/limits: the soft one of "Max open files"; nullopt when it is unlimited.
[[nodiscard]] std::optional<std::uint64_t> descriptor_limit(std::string_view text) noexcept;

// net/ipv4/ip_local_port_range: "32768\t60999".
[[nodiscard]] std::optional<port_range> parse_port_range(std::string_view text) noexcept;

// net/ipv4/ip_local_reserved_ports: "8080,9000-9010". What follows a mistake is left out.
[[nodiscard]] std::vector<port_range> parse_port_list(std::string_view text);

// /etc/hosts (hosts(5)): the addresses of a name, in any case, in the order of the lines.
[[nodiscard]] std::vector<ip::address> addresses_in_hosts(std::string_view text,
                                                          std::string_view name);

} // namespace portico::diagnose
