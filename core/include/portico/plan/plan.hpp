// From what a user wishes to listen on, and what the kernel offers, to the exact list of sockets to
// open. Pure: it can be printed without opening a socket, and tested without a kernel.
//
//   wishes ---+
//             +--> make_plan() --> planned sockets, in order, each with its options and reasons -->
//             run::async_listen
//   facts  ---+
//
// Two sockets per wildcard, each IPv6 one with IPV6_V6ONLY set before bind, never one mapped
// socket: the address of a peer then always has the family it really used, and the sysctl
// net.ipv6.bindv6only makes no difference.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/group.hpp"
#include "portico/ip/listen_address.hpp"
#include "portico/ip/service.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portico::plan {

// How much of a wish must be bound for a start to be a success.
enum class need : std::uint8_t {
    optional,      // nothing: the wish may fail if another one succeeds
    later,         // nothing: its addresses may all come later, and the wish waits for them
    required,      // at least one socket of the wish
    both_families, // at least one IPv4 and one IPv6 socket of the wish
};

// One thing to listen on.
struct wish {
    ip::listen_address where;
    ip::transport over = ip::transport::tcp;
    need needed = need::optional;
    std::optional<ip::family> only{}; // -4 or -6
    // Of an interface or a block: no socket at an address that is deprecated.
    bool leave_deprecated = false;
    bool reuse_port = false; // SO_REUSEPORT
    bool freebind = false;   // bind to addresses that are not there yet
    int backlog = 0;         // 0: the kernel's maximum (net.core.somaxconn)
    std::optional<unsigned>
        unix_mode{}; // permission bits of a UNIX socket file; unset: left to the umask
    // UDP: what is sent to broadcast addresses is heard as well, and answered.
    bool broadcast = false;
    // UDP: the same for these groups, which are joined.
    std::vector<ip::group> groups{};
};

// A wish for each of them: for TCP, and with nothing asked for.
[[nodiscard]] std::vector<wish> make_wishes(const std::vector<ip::listen_address>& where);

// An address that an interface has.
struct interface_address {
    std::string interface;
    std::uint32_t index = 0;
    ip::address address;
    // Duplicate address detection is not done (RFC 4862), and it may not be used meanwhile.
    bool tentative = false;
    bool dad_failed = false;
    bool deprecated = false;
    std::optional<ip::address> broadcast{};
    bool can_multicast = true; // its interface (IFF_MULTICAST)
    std::uint8_t prefix_length = 0;
};

// A socket handed to the process at its start (sd_listen_fds(3)).
struct inherited_socket {
    int number = -1;
    std::string name;                    // from LISTEN_FDNAMES, or empty
    ip::any_endpoint bound{};            // what getsockname says
    std::optional<ip::transport> over{}; // unset: not a stream or datagram socket
    bool listening = false;
};

// What the kernel and the environment offer; os gathers it, tests make it up.
struct facts {
    bool has_v4 = true;       // socket(AF_INET) works
    bool has_v6 = true;       // socket(AF_INET6) works
    bool v6_disabled = false; // net.ipv6.conf.all.disable_ipv6
    int max_backlog = 4096;   // net.core.somaxconn
    std::uint16_t first_unprivileged_port = 1024;
    bool privileged = false; // CAP_NET_BIND_SERVICE
    std::vector<std::string> interfaces;
    std::vector<std::string> down; // those that are switched off (no IFF_UP)
    std::vector<interface_address> addresses;
    std::map<std::string, std::vector<ip::address>, std::less<>>
        resolved;                                               // host names, with AI_PASSIVE
    std::map<std::string, std::string, std::less<>> unresolved; // host name -> why not
    std::vector<inherited_socket> inherited;
    ip::service_table services;
};

// One socket option that will be set, and why.
struct option_setting {
    std::string name;  // "IPV6_V6ONLY"
    std::string value; // "1", "eth0"
    std::string reason;
};

// One socket to open, or to take over.
struct planned_socket {
    std::size_t wish = 0; // index of the wish it serves
    // Other wishes that it serves as well: they name the same endpoint, or one that this wildcard
    // covers.
    std::vector<std::size_t> also_for{};
    ip::any_endpoint at;
    ip::transport over = ip::transport::tcp;
    std::optional<int> inherited{}; // descriptor number; unset: open a new one
    // Sockets of one group get one port: the first is bound to port 0, the others to the port it
    // got. Set for every socket of a wish for port 0 that has several.
    std::optional<std::size_t> port_group{};
    bool v6only = false;
    bool reuse_address = false;
    bool reuse_port = false;
    bool freebind = false;
    bool packet_info = false; // UDP: replies leave from the address that was asked
    std::string interface {}; // SO_BINDTODEVICE: only what comes in there; empty: all
    // UDP: the groups that it joins, on every interface or on that of each or its own; see
    // memberships().
    std::vector<ip::group> groups{};
    // It hears for a socket of the same wish what that one cannot hear, being bound to one address;
    // alone it is no start.
    bool besides = false;
    int backlog = 0; // 0: not to call listen(2): datagrams, or it listens already
    std::optional<unsigned> unix_mode{};
    std::string reason; // why this socket exists, in one sentence
    // The options in the order in which they are set before bind, and at last the memberships,
    // which come and go while it is open.
    [[nodiscard]] std::vector<option_setting> options() const;
};

// Something the plan wants the user to know.
struct remark {
    enum class weight : std::uint8_t {
        note,    // a family was left out, a name was unresolved while another wish stands
        warning, // it will probably fail: a privileged port, an address on no interface
        fault,   // it cannot work as written: unknown interface, service name, descriptor
    };
    weight how = weight::note;
    std::size_t wish = 0;
    std::string text;
    std::string hint;
    bool low_port = false; // it says that a port below 1024 will be refused
};

struct plan {
    std::vector<planned_socket> sockets; // in the order in which they are opened
    std::vector<remark> remarks;
};

// Time: linear in wishes times addresses. Never fails: what cannot work is a remark of weight
// `fault`.
[[nodiscard]] plan make_plan(const std::vector<wish>& wishes, const facts& known);

// The host names among the wishes that os has to resolve before make_plan(); "localhost" is never
// among them.
[[nodiscard]] std::vector<std::string> names_to_resolve(const std::vector<wish>& wishes);

// Whether a start counts as a success. `bound[i]` says whether sockets[i] of the plan is open.
// nullopt: yes; otherwise errc::nothing_bound or errc::required_not_bound and the wish that is
// missing.
struct shortfall {
    std::error_code code;
    std::size_t wish = 0;
    std::string text; // "no IPv6 socket for ':80', and both families are required"
};
[[nodiscard]] std::optional<shortfall> judge(const std::vector<wish>& wishes, const plan& made,
                                             const std::vector<bool>& bound);
// A wish all of whose sockets are open needs no warning that its port will be refused: the sockets
// were there before.
void forget_refuted(plan& made, const std::vector<bool>& bound);

// The plan for a person: a numbered entry for each socket with its options and their reasons, then
// the remarks. Lines end in '\n'. Time: linear.
[[nodiscard]] std::string to_text(const plan& made, const std::vector<wish>& wishes);
[[nodiscard]] std::string_view to_text(remark::weight how) noexcept; // "note"

} // namespace portico::plan
