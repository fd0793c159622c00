// Why a bind, an accept or a connect fails, on this host, now: what os can see of it, given to
// core's diagnose().
#pragma once

#include "portico/base/error.hpp"
#include "portico/diagnose/diagnose.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace portico::run {

struct listen_report;

struct diagnose_options {
    bool every_holder = false;  // of a socket that several processes have; else one of them ...
    bool count_holders = false; // ... and how many there are, for which all of /proc is read
    // Places of other hosts are tried with one connection each, for so long; zero: not at all.
    std::chrono::milliseconds try_for{0};
    std::optional<ip::address> client{}; // that does not get in (accept)
    std::optional<std::uint32_t> uid{};  // who binds; unset: the user of this process
};

// Gathers what the question needs and decides. It opens no socket that listens, binds nothing and
// changes nothing; the file of a UNIX socket that nobody seems to have is asked by one connection.
// What could not be seen is in diagnosis::unseen.
//
// Time: it blocks, for a few milliseconds and `try_for`; looking for a process takes as many
// readlink(2) as there are descriptors on the host, at most. Memory: the sockets at the port.
// Threads: safe; a helper thread looks into other network namespaces.
[[nodiscard]] diagnose::diagnosis diagnose_here(const diagnose::question& asked,
                                                const diagnose_options& how = {});

// The cause of a failed bind or connect in one sentence, for the end of a message; empty when
// nothing better than the errno is known, or what is found would give another errno. It blocks as
// diagnose_here() does, and tries nothing.
[[nodiscard]] std::string cause_of(const error& why, ip::transport over);

// Adds it to each of the first attempts that failed, behind their remarks; to others how to ask.
void explain(listen_report& report);

// Every place where a process takes connections or datagrams, each with its diagnosis.
struct process_places {
    diagnose::process who;
    std::vector<diagnose::socket> sockets; // in order of their ports, UNIX ones last
    std::vector<diagnose::diagnosis> each; // of accept, one for each socket
    std::vector<std::string> unseen;
};
// ESRCH: there is no such process; EACCES: its descriptors may not be seen.
[[nodiscard]] tl::expected<process_places, std::error_code>
diagnose_process(pid_t pid, const diagnose_options& how = {});

// The addresses of a name in the order in which programs try them (RFC 6724): those that this host
// has no way to come last.
[[nodiscard]] std::vector<ip::address> in_dial_order(const std::vector<ip::address>& all,
                                                     std::uint16_t port);

} // namespace portico::run
