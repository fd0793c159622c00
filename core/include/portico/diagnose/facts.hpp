// What is known of a host when a bind, an accept or a connect is to be explained. os/diag gathers
// it; tests make it up.
#pragma once

#include "portico/diagnose/nat.hpp"
#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/service.hpp"
#include "portico/plan/plan.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace portico::diagnose {

enum class socket_state : std::uint8_t {
    listening,
    bound,       // bound, and neither listening nor connected; of UDP: it takes from anybody
    connecting,  // SYN-SENT
    half_open,   // SYN-RECEIVED: the last packet of the handshake is missing
    established, // of UDP: connected
    closing,     // FIN-WAIT, CLOSE-WAIT, LAST-ACK, CLOSING
    time_wait,
};

// Which file it is, as stat(2) tells it.
struct file_id {
    std::uint64_t device = 0;
    std::uint64_t inode = 0; // of sock_diag(7): its lower 32 bits
};

// One socket as the kernel tells of it. What the kernel does not give is unset.
struct socket {
    ip::transport over = ip::transport::tcp; // of UNIX sockets udp: datagrams
    socket_state state = socket_state::bound;
    ip::any_endpoint local;
    ip::any_endpoint peer{};      // monostate: none
    bool v6 = false;              // an AF_INET6 socket, which may have an IPv4-mapped address
    std::optional<bool> v6only{}; // of AF_INET6 alone
    std::optional<bool> reuse_address{};
    std::optional<bool> reuse_port{};
    std::uint32_t uid = 0;
    std::uint64_t inode = 0;   // 0: no process has it, as in TIME-WAIT or before accept(2)
    std::uint64_t cgroup = 0;  // its number; 0: unknown
    std::string interface {};  // that it is bound to (SO_BINDTODEVICE); empty: none
    std::uint32_t waiting = 0; // of a listening one: connections nobody has accepted yet
    std::uint32_t most = 0;    // its backlog
    std::optional<std::uint32_t> drops{};             // packets that it has dropped
    std::optional<std::chrono::milliseconds> left{};  // in TIME-WAIT: until it is gone
    std::optional<std::chrono::milliseconds> quiet{}; // since it has sent something, or was made
    std::optional<file_id> file{};                    // of a UNIX socket: the one that it has made
    std::vector<std::size_t> holders{};               // into facts::processes
    std::size_t more_holders = 0;                     // that are not among them
    // Of the control group of whoever made it, as in `process`; for when that one is not seen.
    std::string unit{};
    std::string container{};
};

// What a program waits in or why it does not go on, from its state in /proc/PID/stat.
struct process {
    std::int32_t pid = 0;
    std::string name;    // of at most 15 characters
    std::string command; // with its arguments, between spaces
    std::uint32_t uid = 0;
    char state = '?';                                // R, S, D, T, t, Z
    std::string unit;                                // of systemd; empty: none
    bool of_user = false;                            // the unit is of the user's own systemd
    std::string container;                           // "docker 0123456789ab"; empty: none
    std::optional<std::uint64_t> descriptors{};      // that it has open
    std::optional<std::uint64_t> descriptor_limit{}; // RLIMIT_NOFILE
};

// Somebody listens at the port in another network namespace of this host.
struct listener_elsewhere {
    socket which;
    process who; // a process of that namespace
};

// What the kernel says about the way to a place.
struct route {
    ip::address to;
    std::optional<ip::address> source{};
    std::string interface;
    std::optional<ip::address> gateway{};
    bool local = false;        // it is this host
    bool broadcast = false;    // it is every host of a link
    std::error_code refused{}; // ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL ...: there is none
};

// What came of one attempt to connect; unset: no answer in time.
struct attempt {
    ip::any_endpoint to;
    std::optional<std::error_code> ended{}; // no error: it was connected
    std::chrono::milliseconds took{0};
};

// Would a packet from the client be taken on this interface? As the kernel decided it.
struct reverse_check {
    std::string interface;
    bool strict = false;  // rp_filter is 1
    bool refused = false; // the way back leads elsewhere. Known only with a client
};

// net/netstat, since the network namespace was made.
struct drop_counters {
    std::optional<std::uint64_t> overflows;    // ListenOverflows
    std::optional<std::uint64_t> drops;        // ListenDrops
    std::optional<std::uint64_t> cookies_sent; // SyncookiesSent
    std::optional<std::uint64_t> full_cookies; // TCPReqQFullDoCookies
    std::optional<std::uint64_t> full_drops;   // TCPReqQFullDrop
    std::optional<std::uint64_t> reverse_path; // IPReversePathFilter
};

// The file where a UNIX socket is, or would be; of connect and accept the one that links lead to.
struct socket_file {
    enum class kind : std::uint8_t {
        none,         // there is no such file
        socket,       // a socket
        other,        // something else
        no_directory, // the directory is not there
        hidden,       // it cannot be looked at
    };
    kind what = kind::none;
    bool file_in_way = false; // of `no_directory`: a file is in its place
    bool writable = true;     // by who asks: connecting needs that; of `none`: so is the directory
    // What connecting says when nobody was found who has it; no error: somebody accepts.
    std::optional<std::error_code> probed{};
};

struct port_range {
    std::uint16_t first = 32768;
    std::uint16_t last = 60999;
    [[nodiscard]] bool contains(std::uint16_t port) const noexcept {
        return first <= port && port <= last;
    }
    [[nodiscard]] std::size_t size() const noexcept {
        return last < first ? 0 : std::size_t{last} - first + 1;
    }
    friend bool operator==(const port_range&, const port_range&) = default;
};

struct facts {
    plan::facts host;
    bool other_user = false;          // uid is not the one of this process
    std::uint32_t uid = 0;            // who asks, or would bind
    bool nonlocal_bind = false;       // net.ipv4.ip_nonlocal_bind
    bool nonlocal_bind_v6 = false;    // net.ipv6.ip_nonlocal_bind
    std::vector<std::string> v6_off;  // interfaces with net.ipv6.conf.INTERFACE.disable_ipv6
    bool bindv6only = false;          // net.ipv6.bindv6only
    port_range ephemeral;             // net.ipv4.ip_local_port_range
    std::vector<port_range> reserved; // net.ipv4.ip_local_reserved_ports
    // Of `ephemeral`: bound by programs, so that no connection gets them.
    std::vector<std::uint16_t> held;
    // At the port, of both families; of UNIX sockets the one that the file is of, in whichever
    // network namespace, or that has the abstract name.
    std::vector<socket> sockets;
    std::vector<socket> outgoing; // towards the places that are to be reached
    std::vector<process> processes;
    bool seen_as_root = false; // nobody sees more processes than were looked at
    std::vector<listener_elsewhere> elsewhere;
    std::vector<nat_rule> nat;
    std::vector<nat_rule> filters;       // that drop or reject
    std::optional<ip::address> client{}; // that does not get in; unset: any
    std::vector<route> routes;           // to the places, IPv4-mapped ones as IPv4
    std::vector<attempt> attempts;
    std::vector<reverse_check> reverse;
    drop_counters drops{};
    std::optional<socket_file> file{}; // of a path
    std::vector<std::string> unseen;   // what could not be seen; one line each
};

} // namespace portico::diagnose
