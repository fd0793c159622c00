// A dial_request, read: what to race towards, and what to ask a proxy for.
#pragma once

#include "portico/ip/srv_name.hpp"
#include "portico/run/dial.hpp"
#include "portico/wire/proxy_client.hpp"

namespace portico::run {

// Why a request cannot be dialled, for dial_outcome.
struct bad_request {
    error why;
    std::string text;
};

struct dial_target {
    std::string title; // as dialled, for people and as the key of the memory: "example.org:80"
    std::optional<ip::unix_name> unix_socket{}; // then nothing below counts
    // Of relays only: its records say host and port.
    std::optional<ip::srv_name> service{};
    std::string host; // to resolve: the proxy's when there is one
    std::uint16_t port = 0;
    bool wants_v4 = true;
    bool wants_v6 = true;
    std::optional<wire::via> through{};
    std::optional<wire::proxy_client> proxy{}; // has the request for the real target
};

// Touches nothing but /etc/services, and that only for a service name.
[[nodiscard]] tl::expected<dial_target, bad_request> read_request(const dial_request& request);
// The same for a target of a relay, which may be "srv:_name._tcp.domain" as well.
[[nodiscard]] tl::expected<dial_target, bad_request> read_relay_target(const dial_request& request);

} // namespace portico::run
