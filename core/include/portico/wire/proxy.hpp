// What the clients of all proxy protocols have in common: where to go, who asks, and how it fails.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace portico::wire {

// Why a proxy did not open the tunnel. `text` is one sentence for a person, printable ASCII.
struct proxy_failure {
    error why; // errc::proxy_refused, errc::proxy_protocol, or std::errc::invalid_argument
    std::string text;
};
template <class T>
using proxy_result = tl::expected<T, proxy_failure>;

// User name and password for the proxy; the user name is not empty.
struct credentials {
    std::string user;
    std::string password;

    friend bool operator==(const credentials&, const credentials&) = default;
};

// Where the proxy is asked to connect to: an address, or a name that the proxy resolves.
class proxy_target {
public:
    // A literal address becomes an address, anything else is a name: 1 to 255 printable ASCII
    // characters without spaces and without any of "/\?#@:[]%<>\"'" that could mean something else
    // to a proxy. An address with a zone is refused: a zone means nothing on another host. Errors:
    // std::errc::invalid_argument, side::caller.
    [[nodiscard]] static proxy_result<proxy_target> make(std::string_view host, std::uint16_t port);
    // A zone is left out.
    [[nodiscard]] static proxy_target make(const ip::endpoint& which) noexcept;

    [[nodiscard]] const std::variant<std::string, ip::address>& host() const noexcept {
        return host_;
    }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    // "example.org:80", "[2001:db8::1]:80"
    [[nodiscard]] std::string text() const;

    friend bool operator==(const proxy_target&, const proxy_target&) = default;

private:
    proxy_target() = default;

    std::variant<std::string, ip::address> host_;
    std::uint16_t port_ = 0;
};

} // namespace portico::wire
