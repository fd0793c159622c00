// What this kernel and this process offer to plan::make_plan().
#pragma once

#include "portico/os/inherit.hpp"
#include "portico/os/socket.hpp"
#include "portico/plan/plan.hpp"

#include <string>
#include <vector>

namespace portico::os {

struct gathered_facts {
    plan::facts known;
    // What could not be found out, and is left at its default: one line for a person each.
    std::vector<std::string> unknown;
};

// Where to look; tests look elsewhere.
struct fact_sources {
    std::string proc = "/proc";
    std::string services = "/etc/services";
    std::string hosts = "/etc/hosts";
};

// Everything but `resolved` and `unresolved`, which are for names_to_resolve() and the resolver. A
// missing /proc or /etc/services is survived: the defaults of plan::facts stand. The error is of
// inherited sockets that are not what the environment says.
[[nodiscard]] tl::expected<gathered_facts, inherit_error>
gather_facts(const listen_environment& inherited, const fact_sources& from = {});

// The same with the real environment.
[[nodiscard]] tl::expected<gathered_facts, inherit_error> gather_facts();

// The service names of this host alone: /etc/services over the built-in table, or only that.
[[nodiscard]] ip::service_table read_services(const fact_sources& from = {});

// The addresses that the file gives a name (hosts(5)); none without the file. Other programs get
// theirs of "localhost" from there.
[[nodiscard]] std::vector<ip::address> read_hosts(std::string_view name,
                                                  const fact_sources& from = {});

// A parameter of the kernel, "net/ipv4/ip_local_port_range", without the end of its line. Those of
// net are of this thread's network namespace.
[[nodiscard]] sys_result<std::string> read_sysctl(const std::string& name);

} // namespace portico::os
