// Links and addresses of this network namespace as the kernel tells them over rtnetlink(7), with
// all that getifaddrs(3) hides: tentative, deprecated, lifetimes; and their changes.
//
//   take_snapshot() ----> snapshot
//   monitor: open(), then take_snapshot(), then read_changes() each time its descriptor is readable
//       changes, in order            --> snapshot::apply() each
//       "events were lost" (ENOBUFS) --> take_snapshot() again, difference(before, after)
//
// Opening the monitor before the first snapshot leaves no gap; a change that the snapshot already
// has is applied to no effect.
#pragma once

#include "portico/ip/address.hpp"
#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace portico::os {

// A network interface.
struct link {
    std::uint32_t index = 0;
    std::string name;
    bool up = false;      // IFF_UP: switched on
    bool running = false; // IFF_RUNNING: and able to carry packets
    bool loopback = false;
    std::vector<std::uint8_t> mac; // link-layer address; empty when there is none
    std::uint32_t mtu = 0;
    std::string kind;       // IFLA_INFO_KIND: "veth", "bridge", "tun"; empty for hardware and lo
    bool multicast = false; // IFF_MULTICAST: it takes multicast packets

    friend bool operator==(const link&, const link&) = default;
};

// How far an address reaches (rtm_scope of rtnetlink(7)).
enum class address_scope : std::uint8_t { global, site, link, host, other };
[[nodiscard]] std::string_view to_text(address_scope which) noexcept;

// One address of an interface.
struct link_address {
    std::uint32_t link = 0; // the interface's number
    // With a zone when the address means nothing without one: in a snapshot the interface's name,
    // or its number when the name is unknown; in a change its number.
    ip::address address;
    std::uint8_t prefix_length = 0;
    address_scope scope = address_scope::global;
    std::optional<ip::address> broadcast{};
    std::optional<ip::address> peer{}; // the other end of a point-to-point link
    std::string label;                 // IFA_LABEL, IPv4 only: "eth0:1"

    bool tentative = false;  // duplicate address detection is not done (RFC 4862 section 5.4)
    bool optimistic = false; // usable meanwhile (RFC 4429)
    bool dad_failed = false; // somebody else has it
    bool deprecated = false; // not for new connections (RFC 4862 section 5.5.4)
    bool temporary = false;  // a privacy address (RFC 8981). Linux gives this bit to any further
                             // IPv4 address of a prefix ("secondary"), which is not told here
    bool secondary = false;  // that one
    bool permanent = false;  // not leased: no lifetime ends it
    bool nodad = false;      // no duplicate address detection

    // Time left; nullopt is for ever. Taken when the kernel spoke: it does not run down here.
    std::optional<std::chrono::seconds> preferred{};
    std::optional<std::chrono::seconds> valid{};

    friend bool operator==(const link_address&, const link_address&) = default;
};

// Whether two are the same address of the same interface, whatever its flags, lifetimes and zone:
// interface, address and prefix length are equal, and of IPv4 the peer, too.
[[nodiscard]] bool same_place(const link_address& left, const link_address& right) noexcept;

struct link_set { // it is new, or has changed
    os::link link;
    friend bool operator==(const link_set&, const link_set&) = default;
};
struct link_removed {
    std::uint32_t index = 0;
    std::string name;
    friend bool operator==(const link_removed&, const link_removed&) = default;
};
struct address_set { // it is new, or has changed
    link_address address;
    friend bool operator==(const address_set&, const address_set&) = default;
};
struct address_removed {
    link_address address;
    friend bool operator==(const address_removed&, const address_removed&) = default;
};
using change = std::variant<link_set, link_removed, address_set, address_removed>;

struct snapshot {
    std::vector<link> links;             // by number
    std::vector<link_address> addresses; // by interface, then by value

    friend bool operator==(const snapshot&, const snapshot&) = default;
    [[nodiscard]] const link* find_link(std::uint32_t index) const noexcept;
    // Applies one change. False when it had no effect: what is set is so already, or what is
    // removed is not there. Removing a link takes its addresses along. Pure. Time: linear.
    bool apply(const change& what);
};

// The changes that make `after` out of `before`, removals before additions, and addresses of a
// removed link before the link. Lifetimes that have only run down are no change: a lifetime counts
// as changed when it begins, ends, or is longer than before. Pure. Time: n log n.
[[nodiscard]] std::vector<change> difference(const snapshot& before, const snapshot& after);

// ---- bytes ----

// What one buffer of netlink messages says.
struct netlink_reply {
    std::vector<change> changes; // in order
    bool done = false;           // NLMSG_DONE: the dump is complete
    bool interrupted = false;    // NLM_F_DUMP_INTR: things changed during the dump, do it again
    bool malformed = false;      // a length pointed out of the buffer; what came before is kept
    int error = 0;               // errno of an NLMSG_ERROR or of NLMSG_DONE, 0 for none
};

// Reads messages of rtnetlink(7), bounds checked: any bytes are safe. Messages for another
// `sequence` are passed over unless it is 0. A zone is the interface's number: only a snapshot
// knows names, and snapshot::apply() writes them. Pure. Time: linear.
[[nodiscard]] netlink_reply parse_netlink(std::span<const std::byte> bytes,
                                          std::uint32_t sequence = 0);

// ---- the kernel ----

// Asks for all links and addresses and waits for the answer, which the kernel gives at once. A dump
// during which something changed (NLM_F_DUMP_INTR) is repeated, at most 100 times; EAGAIN then.
// EPROTO when the answer cannot be read. Threads: safe.
[[nodiscard]] sys_result<snapshot> take_snapshot();

// Hears of changes. Move-only. Threads: distinct objects safe.
class monitor {
public:
    // Joins the groups for links and addresses. `receive_buffer`: bytes for SO_RCVBUF, 0 for the
    // system's default; a small one loses events early.
    [[nodiscard]] static sys_result<monitor> open(int receive_buffer = 0);

    // Readable when there are changes to read. Non-blocking.
    [[nodiscard]] int raw() const noexcept { return socket_.raw(); }

    struct news {
        std::vector<change> changes; // in order, oldest first
        // Events are missing: the queue ran over (ENOBUFS), or a message was cut. `changes` is
        // empty, and so is the queue: take a snapshot now and the difference() to it.
        bool lost = false;
    };
    // All that has come up to now, at most 1000 buffers at a time; empty when nothing has.
    [[nodiscard]] sys_result<news> read_changes();

private:
    explicit monitor(fd socket) noexcept : socket_{std::move(socket)} {}

    fd socket_;
    std::vector<std::byte> room_;
    bool draining_ = false; // events were lost, and older ones may still be in the queue
};

} // namespace portico::os
