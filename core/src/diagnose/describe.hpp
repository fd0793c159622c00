// Sockets and processes in words, and which addresses of sockets meet.
#pragma once

#include "portico/diagnose/diagnose.hpp"
#include "portico/diagnose/words.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace portico::diagnose {

// ---- which sockets meet ----

// The address of an IP socket, an IPv4-mapped one as IPv4; nullptr for others.
struct socket_place {
    ip::address address;
    std::uint16_t port = 0;
    bool takes_v4 = false; // an IPv6 wildcard without IPV6_V6ONLY
};
[[nodiscard]] std::optional<socket_place> place_of(const socket& which);

// Whether packets to this address that come in by this interface come to that socket; empty: by
// any.
[[nodiscard]] bool serves(const socket& which, const ip::endpoint& at, std::string_view by = {});
// Whether two sockets of these addresses are in each other's way, as bind(2) sees it.
[[nodiscard]] bool overlaps(const socket& which, const ip::endpoint& at);

// ---- words ----

// "nginx (pid 812, nginx.service)"; for one that nobody seems to have, what that means.
[[nodiscard]] std::string who_has(const socket& which, const facts& known);
// line_of() the socket, then one for each of its processes.
void add_evidence(std::vector<std::string>& to, const socket& which, const facts& known);
// How to end what has the socket, by its unit, container or process.
void add_way_to_end(std::vector<std::string>& to, const socket& which, const facts& known);

// "1 connection", "3 connections".
[[nodiscard]] std::string counted(std::size_t count, std::string_view what,
                                  std::string_view plural = "s");
// For a shell: "a\x2db.service" has a character that it would take away.
[[nodiscard]] std::string quoted(const std::string& text);
// "12.5 s", "300 ms".
[[nodiscard]] std::string time_text(std::chrono::milliseconds length);

} // namespace portico::diagnose
