// Why a bind, an accept or a connect fails or misbehaves: a pure function from what is known of the
// host to causes, with the evidence for each and what to do about it.
//
//   question --+
//              +--> diagnose() --> findings, the one to look at first in front; what was excluded
//   facts   ---+
#pragma once

#include "portico/diagnose/facts.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace portico::diagnose {

enum class act : std::uint8_t { bind, accept, connect };
[[nodiscard]] std::string_view to_text(act what) noexcept; // "bind"

// What to explain.
struct question {
    act what = act::bind;
    ip::transport over = ip::transport::tcp;
    std::string text; // as the user wrote it
    std::string name; // the host name in it; empty: none
    // What would be bound, or reached, in order.
    std::vector<ip::any_endpoint> places;
    bool reuse_port = false; // the program that binds sets SO_REUSEPORT
    bool freebind = false;   // and IP_FREEBIND
};

// Its number is the exit code of `portico why`, and never changes.
enum class cause : std::uint8_t {
    none = 0, // nothing stands in the way
    // bind
    in_use = 10,                // somebody listens there, or has bound it
    v6_wildcard_takes_v4 = 11,  // an IPv6 wildcard without IPV6_V6ONLY has the IPv4 port, too
    time_wait = 12,             // connections that have ended keep it
    bound_not_listening = 13,   // a socket is bound there, and does not listen
    ephemeral_source_port = 14, // a connection to somewhere else has it as its source port
    connections_left = 15,      // connections of a server that does not listen any more
    reuse_port_other_user = 16, // SO_REUSEPORT: the sockets are of different users
    reuse_port_missing = 17,    // SO_REUSEPORT: one socket lacks it
    privileged_port = 18,       // it is below ip_unprivileged_port_start
    address_not_here = 19,      // no interface has the address
    address_tentative = 20,     // duplicate address detection is not done
    address_duplicate = 21,     // and has failed
    zone_missing = 22,          // link-local without an interface
    family_missing = 23,        // this host has no IPv6, or no IPv4
    stale_socket_file = 24,     // a file of a UNIX socket that nobody has
    not_a_socket = 25,          // another file is in its place
    no_directory = 26,          // the directory of a UNIX socket is not there
    no_permission = 27,         // the file, or its directory, may not be written
    // accept and connect
    nobody_listens = 40,
    other_family = 41,           // somebody listens, but on the other family
    localhost_other_family = 42, // the same, and "localhost" leads there first
    listens_elsewhere = 43,      // somebody listens, but at another address of this host
    other_namespace = 44,        // somebody listens, but in another network namespace
    nat_rule = 45,               // NAT takes the packets away
    accept_queue_full = 46,      // the program does not accept
    half_open_queue_full = 47,   // SYN cookies, or dropped requests
    requests_dropped = 48,       // it was full before, and is not now
    reverse_path = 49,           // rp_filter drops the packets
    no_route = 50,
    first_address_unreachable = 51,
    ephemeral_ports_used_up = 52,
    refused_there = 53, // the other host refuses
    no_answer = 54,     // and this one does not answer
    filter_rule = 55,   // a firewall rule of this host drops or rejects the packets
};
// For programs: "in_use".
[[nodiscard]] std::string_view name_of(cause which) noexcept;
// All of them, in order of their numbers.
[[nodiscard]] std::span<const cause> all_causes() noexcept;
[[nodiscard]] int exit_code(cause which) noexcept;
// Whether a bind or connect that fails by it fails with this errno. TCP and UNIX sockets alike.
[[nodiscard]] bool explains(cause which, const std::error_code& failed) noexcept;

enum class sureness : std::uint8_t { certain, likely, possible };
[[nodiscard]] std::string_view to_text(sureness how) noexcept;

struct finding {
    cause what = cause::none;
    sureness sure = sureness::certain;
    std::string sentence;              // the cause
    std::vector<std::string> evidence; // what shows it, a line each
    std::vector<std::string> fixes;    // commands, or what to change, a line each
};

// A cause that it is not.
struct exclusion {
    cause what = cause::none;
    std::string why;
};

struct diagnosis {
    question asked;
    std::vector<finding> findings; // the answer first; empty: nothing stands in the way
    std::vector<exclusion> excluded;
    std::vector<std::string> unseen;
    [[nodiscard]] cause answer() const noexcept {
        return findings.empty() ? cause::none : findings.front().what;
    }
};

// The same question with its places as the kernel takes them: to reach an IPv4-mapped address is to
// reach the IPv4 one, and to connect to an unspecified address is to connect to the loopback one.
[[nodiscard]] question settled(question asked);

// Settles the question first; whoever gathers the facts has to do so, too. Never fails. Time:
// linear in the facts, times the places.
[[nodiscard]] diagnosis diagnose(const question& asked, const facts& known);

// Whether it is an address of this host: of an interface, a loopback one, unspecified, or one that
// its routes take (facts::routes).
[[nodiscard]] bool is_own(const facts& known, const ip::address& which);

} // namespace portico::diagnose
