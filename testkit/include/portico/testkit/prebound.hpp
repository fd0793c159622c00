// Sockets that are bound before the test starts, so that no test guesses a free port.
#pragma once

#include "portico/ip/address.hpp"
#include "portico/ip/service.hpp"
#include "portico/os/fd.hpp"

#include <cstdint>
#include <string>

namespace portico::testkit {

// A socket on a loopback address, with a port that the kernel chose and that stays taken.
struct prebound_socket {
    os::fd socket; // blocking, close-on-exec: process_options::inherit passes it on
    std::uint16_t port = 0;
    std::string text; // "127.0.0.1:40001" or "[::1]:40001"
};

// Bound; a TCP socket does not listen yet, so that connecting to its port is refused. An IPv6 one
// has IPV6_V6ONLY set. Throws std::runtime_error with the call that failed.
[[nodiscard]] prebound_socket bind_free_port(ip::family which,
                                             ip::transport over = ip::transport::tcp);
// The same, listening.
[[nodiscard]] prebound_socket listen_on_free_port(ip::family which);

} // namespace portico::testkit
