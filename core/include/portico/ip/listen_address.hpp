// What a user may write to say where to listen, and what it means.
#pragma once

#include "portico/ip/endpoint.hpp"
#include "portico/ip/prefix.hpp"
#include "portico/ip/unix_name.hpp"

#include <variant>
#include <vector>

namespace portico::ip {

// A port as written: a number from 0 to 65535, or a service name that a service_table turns into
// one. A name begins with a letter (RFC 6335 section 5.1 also has names such as 3com-tsmux; what
// begins with a digit is a number here, so that a slip like "80a" is found at once).
struct port_name {
    std::variant<std::uint16_t, std::string> value = std::uint16_t{0};
    friend bool operator==(const port_name&, const port_name&) = default;
};

// ":80" and "*:80": all addresses of both families.
struct every_address {
    friend bool operator==(const every_address&, const every_address&) = default;
};
// "example.org:80": all its addresses. "localhost:80" is one of these too.
struct host_name {
    std::string name;
    friend bool operator==(const host_name&, const host_name&) = default;
};
// "@eth0:80": the addresses of an interface.
struct interface_name {
    std::string name;
    friend bool operator==(const interface_name&, const interface_name&) = default;
};
// "@10.0.0.0/8:80", "@[2001:db8::/32]:80": the addresses of this host in a block.
struct own_addresses {
    prefix block;
    friend bool operator==(const own_addresses&, const own_addresses&) = default;
};
// "fd:3", "fd://3": an inherited descriptor.
struct inherited_fd {
    int number = -1;
    friend bool operator==(const inherited_fd&, const inherited_fd&) = default;
};
// "sd:name", "systemd:name": the sockets of that name in LISTEN_FDNAMES.
struct inherited_name {
    std::string name;
    friend bool operator==(const inherited_name&, const inherited_name&) = default;
};

// One listen wish as written. `0.0.0.0:80` is IPv4 only and `[::]:80` IPv6 only: they are plain
// addresses here.
struct listen_address {
    std::variant<every_address, address, host_name, interface_name, own_addresses, unix_name,
                 inherited_fd, inherited_name>
        where;
    port_name port;   // unused for unix_name, inherited_fd and inherited_name
    std::string text; // as written, for messages

    // Two ways to write one wish are equal: `text` is not compared.
    friend bool operator==(const listen_address& a, const listen_address& b) {
        return a.where == b.where && a.port == b.port;
    }
};

// Reads one of
//   :80  *:80  1.2.3.4:80  [2001:db8::1]:80  [fe80::1%eth0]:80  [fe80::1%25eth0]:80
//   [fe80::1]:80%eth0  name:80  localhost:http  @eth0:80  @10.0.0.0/8:80  @[2001:db8::/32]:80
//   unix:/path  unix:///path  /path  unix:@abstract  @abstract  fd:3  fd://3  sd:name  systemd:name
// "@x" without a port is an abstract UNIX name, "@x:port" an interface. A link-local address
// without a zone, an IPv6 address without brackets, a missing port and the like are errors with a
// hint. So is a comma: see parse_listen_addresses(). Host names are those of RFC 1123 section 2.1,
// and '_' as container networks have it; a name that getaddrinfo() would read as a number
// ("0x7f.1") is an error. A host called "fd" or "sd" is written with its last dot: "fd.:80".
[[nodiscard]] text_result<listen_address> parse_listen_address(std::string_view text);

// The same, several separated by commas; positions in the error count from the start of the whole
// text.
[[nodiscard]] text_result<std::vector<listen_address>>
parse_listen_addresses(std::string_view text);

// A host name alone, by the same rules; what looks like an IPv4 address is none.
[[nodiscard]] text_result<host_name> parse_host_name(std::string_view text);

// The canonical text of the wish: to_text(parse_listen_address(x)) reads back as an equal wish.
// `text` is not looked at.
[[nodiscard]] std::string to_text(const listen_address& which);

} // namespace portico::ip
