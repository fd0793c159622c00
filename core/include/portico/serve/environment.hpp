// What a program that serves a connection finds in its environment: UCSPI-1996 and RFC 3875 names.
#pragma once

#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/service.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::serve {

// Who is at the other end of a UNIX socket (SO_PEERCRED in unix(7)).
struct peer_process {
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::int32_t pid = 0; // 0: in another PID namespace
};

// One connection, as its program is told of it.
struct connection_facts {
    ip::any_endpoint local;
    ip::any_endpoint peer;
    // How many connections this peer's address has here now, this one among them.
    std::uint64_t from_peer = 1;
    std::optional<peer_process> process{}; // of a UNIX socket
};

struct variable {
    std::string name;
    std::string value;

    friend bool operator==(const variable&, const variable&) = default;
};

// The variables of a connection, from canonical addresses: who came in over IPv4 is told an IPv4
// address, whatever socket took it.
//
// TCP: PROTO=TCP TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT TCPREMOTEHOST TCPCONNNUM,
// SERVER_ADDR SERVER_PORT REMOTE_ADDR REMOTE_PORT REMOTE_HOST (RFC 3875 section 4.1). No name is
// looked up, so both hosts are the address, as RFC 3875 section 4.1.9 has it. An IPv6 address has
// its zone if it needs one, and no brackets.
// UNIX: PROTO=UNIX UNIXLOCALPATH UNIXREMOTEPATH UNIXREMOTEEUID UNIXREMOTEEGID UNIXREMOTEPID, as far
// as known. An abstract name begins with '@', and its zero bytes are written as '@', too.
[[nodiscard]] std::vector<variable> variables_of(const connection_facts& connection);

// One datagram, as the program that answers it is told of it.
struct query_facts {
    ip::any_endpoint asked; // where it was sent to: it may be a broadcast address, or a group
    ip::any_endpoint peer;
    std::optional<ip::address> answer_from{}; // the address of ours that the answer leaves from
    std::string interface {};                 // that it came in by; empty: unknown
    std::uint32_t interface_index = 0;
};

// The variables of a query. UDP: PROTO=UDP UDPLOCALIP UDPLOCALPORT UDPREMOTEIP UDPREMOTEPORT
// UDPREMOTEHOST and the CGI names, as above; UDPLOCALIP is the address that it was sent to, and
// SERVER_ADDR the one that the answer leaves from. PORTICO_INTERFACE and PORTICO_INTERFACE_INDEX
// name the interface that it came in by, as far as known. UNIX: as above.
[[nodiscard]] std::vector<variable> variables_of_query(const query_facts& query);

// The variables of a program that takes its clients itself, from a socket at `local`: PROTO,
// TCPLOCALIP or UDPLOCALIP with the port, or UNIXLOCALPATH, and SERVER_ADDR and SERVER_PORT, as
// above. The socket may be at all addresses, :: or 0.0.0.0.
[[nodiscard]] std::vector<variable> variables_of_socket(const ip::any_endpoint& local,
                                                        ip::transport over);

// Whether a variable that we were started with must not reach a program: it would tell of another
// connection (those above, TCP6*, UDP*, IPCREMOTE*, SOCAT_* ...) or speak to our manager
// (LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC and their kin).
[[nodiscard]] bool misleads(std::string_view name) noexcept;

// What of `inherited`, "NAME=VALUE" each, may reach a program: less what misleads or cannot be a
// variable. Time: linear.
[[nodiscard]] std::vector<std::string> inheritable(std::span<const std::string> inherited);

// Adds a variable, instead of all of its name.
void set_variable(std::vector<std::string>& environment, const variable& which);

// The whole environment of a program: `inherited`, which has nothing that misleads, and then
// `own`. Time: linear.
[[nodiscard]] std::vector<std::string> program_environment(std::span<const std::string> inherited,
                                                           std::span<const variable> own);

} // namespace portico::serve
