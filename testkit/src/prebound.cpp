#include "portico/testkit/prebound.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <netinet/in.h>
#include <sys/socket.h>

namespace portico::testkit {
namespace {

void must(bool done, const char* call, ip::family which) {
    if (!done) {
        throw std::runtime_error{std::string{call} + " on the loopback address of " +
                                 std::string{ip::to_text(which)} + ": " + std::strerror(errno)};
    }
}

std::uint16_t bind_v4(int s) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<sockaddr*>(&at);
    must(::bind(s, any, size) == 0, "bind", ip::family::v4);
    must(::getsockname(s, any, &size) == 0, "getsockname", ip::family::v4);
    return ntohs(at.sin_port);
}

std::uint16_t bind_v6(int s) {
    const int on = 1;
    must(::setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0, "IPV6_V6ONLY",
         ip::family::v6);
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    at.sin6_addr = in6addr_loopback;
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<sockaddr*>(&at);
    must(::bind(s, any, size) == 0, "bind", ip::family::v6);
    must(::getsockname(s, any, &size) == 0, "getsockname", ip::family::v6);
    return ntohs(at.sin6_port);
}

} // namespace

prebound_socket bind_free_port(ip::family which, ip::transport over) {
    const bool v4 = which == ip::family::v4;
    const int kind = over == ip::transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
    prebound_socket made;
    made.socket = os::fd{::socket(v4 ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC, 0)};
    must(static_cast<bool>(made.socket), "socket", which);
    made.port = v4 ? bind_v4(made.socket.raw()) : bind_v6(made.socket.raw());
    made.text = (v4 ? "127.0.0.1:" : "[::1]:") + std::to_string(made.port);
    return made;
}

prebound_socket listen_on_free_port(ip::family which) {
    auto made = bind_free_port(which);
    must(::listen(made.socket.raw(), SOMAXCONN) == 0, "listen", which);
    return made;
}

} // namespace portico::testkit
