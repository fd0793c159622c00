// The sockets of a network namespace as sock_diag(7) tells of them, and the processes that have
// them open.
#pragma once

#include "portico/diagnose/facts.hpp"
#include "portico/os/socket.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// ---- sockets ----

// Which ones to ask for. The kernel picks them: others never come here.
struct socket_query {
    ip::family family = ip::family::v4; // of the socket: IPv6 ones may serve IPv4
    ip::transport over = ip::transport::tcp;
    std::vector<diagnose::socket_state> states{}; // none: all
    std::optional<std::uint16_t> local_port{};
    std::optional<diagnose::port_range> local_range{};
    std::optional<ip::endpoint> peer{};
    bool ages = false; // ask for diagnose::socket::quiet and left, which costs more
};

// A socket of NETLINK_SOCK_DIAG, which goes on telling of the namespace that it was made in.
[[nodiscard]] sys_result<fd> open_sock_diag();

// What one buffer of answers says.
struct diag_reply {
    std::vector<diagnose::socket> sockets; // in order
    bool done = false;                     // NLMSG_DONE: the dump is complete
    bool interrupted = false;              // NLM_F_DUMP_INTR: some may be missing
    bool malformed = false;                // a length pointed out of the buffer
    int error = 0;                         // errno of an NLMSG_ERROR, 0 for none
};
// Reads answers about TCP, UDP and UNIX sockets, bounds checked: any bytes are safe. `over` is what
// was asked for, which the answers do not repeat; those about UNIX sockets do. Pure. Time: linear.
[[nodiscard]] diag_reply parse_sock_diag(std::span<const std::byte> bytes, ip::transport over);

// All that the query picks. EAGAIN and the like: see take_snapshot(); ENOENT: this kernel has no
// such diagnosis (inet_diag, udp_diag). IPv6 ones that are bound to an interface have its name as
// their zone. Memory: the sockets it picks, and 64 KiB.
[[nodiscard]] sys_result<std::vector<diagnose::socket>> inet_sockets(const fd& diag,
                                                                     const socket_query& which);
// The UNIX sockets that have a name; stream ones that are connected are left out. ENOENT: no
// unix_diag. The names are those that bind(2) was given: relative ones, and through links, as well.
[[nodiscard]] sys_result<std::vector<diagnose::socket>> unix_sockets(const fd& diag);

// ---- processes ----

// A process that has a socket open.
struct socket_holder {
    pid_t pid = 0;
    int number = -1; // of its descriptor
    std::uint64_t inode = 0;
    friend bool operator==(const socket_holder&, const socket_holder&) = default;
};

struct holder_search {
    std::vector<socket_holder> found; // in ascending order of processes
    std::size_t hidden = 0;           // processes whose descriptors may not be seen
};

// Looks through /proc/PID/fd for these inodes, from the lowest process number up. Not `every_one`:
// it stops when each was found once. Time: as many readlink(2) as descriptors there are.
[[nodiscard]] sys_result<holder_search> find_holders(std::span<const std::uint64_t> inodes,
                                                     bool every_one);

// What /proc tells of a process. ENOENT or ESRCH when it has ended. What may not be read is left
// out.
[[nodiscard]] sys_result<diagnose::process> read_process(pid_t pid);

// Whether SO_REUSEADDR and SO_REUSEPORT are set on a socket of another process, which sock_diag(7)
// does not tell, by pidfd_getfd(2): its own descriptor stays as it is.
struct reuse_flags {
    bool address = false;
    bool port = false;
};
// ESTALE: the descriptor is another socket by now. EPERM: see why_not_taken() in pidfd.hpp.
[[nodiscard]] sys_result<reuse_flags> read_reuse_flags(const socket_holder& of);

// Where control groups of version 2 are (cgroups(7)), by the numbers that sockets have of those who
// made them: "/system.slice/nginx.service". For one that is gone, or not below what this process
// sees, there is nothing. Time: a readdir(3) of each directory of theirs, of `most` at most.
[[nodiscard]] std::map<std::uint64_t, std::string>
find_control_groups(std::span<const std::uint64_t> numbers, std::size_t most);

// ---- other network namespaces ----

struct network_namespace {
    std::uint64_t inode = 0;
    pid_t pid = 0;    // a process in it; 0: none was seen
    std::string path; // to open it: "/proc/PID/ns/net", "/run/netns/NAME"
};
struct namespace_search {
    std::vector<network_namespace> found; // without ours
    std::size_t hidden = 0;               // processes that do not show theirs
    std::size_t left_out = 0;             // that were more than `most`
};
// At most `most` of them.
[[nodiscard]] sys_result<namespace_search> find_network_namespaces(std::size_t most);

// Whether the process is in this thread's network namespace; true when that may not be seen.
[[nodiscard]] bool shares_network(pid_t pid);

// open_sock_diag() in another namespace; a helper thread enters it, and this one stays where it is.
// EPERM without CAP_SYS_ADMIN.
[[nodiscard]] sys_result<fd> open_sock_diag_in(const network_namespace& which);

} // namespace portico::os
