#include "portico/ip/endpoint.hpp"

#include "ip/hashing.hpp"
#include "ip/reading.hpp"

namespace portico::ip {
namespace {

using reading::wrong;

text_result<address> read_host(const reading::host_and_port& parts) {
    if (parts.bracketed) {
        return reading::read_bracketed(parts);
    }
    if (parts.host.empty()) {
        return wrong(0, 1, "the address is missing", "write it like 192.0.2.1:80");
    }
    auto made = parse_address(parts.host);
    if (!made && reading::is_letter(parts.host.front())) {
        return wrong(0, parts.host.size(), "this is not an address",
                     "names are not looked up here; write it like 192.0.2.1:80");
    }
    return made;
}

} // namespace

text_result<endpoint> parse_endpoint(std::string_view text) {
    if (text.empty()) {
        return wrong(0, 1, "the address is empty",
                     "write it like 192.0.2.1:80 or [2001:db8::1]:80");
    }
    const auto parts = reading::split_host_and_port(text);
    if (!parts) {
        return tl::unexpected{parts.error()};
    }
    const auto host = read_host(*parts);
    if (!host) {
        return tl::unexpected{host.error()};
    }
    const auto port = reading::read_number(parts->port, 65535, "the port");
    if (!port) {
        auto why = port.error();
        if (why.hint.empty()) {
            why.hint = "write a number from 0 to 65535";
        }
        return reading::shifted(std::move(why), parts->port_at);
    }
    return endpoint{*host, static_cast<std::uint16_t>(*port)};
}

std::string to_text(const endpoint& which) {
    const auto host = to_text(which.address);
    const auto port = ':' + std::to_string(which.port);
    return which.address.is_v4() ? host + port : '[' + host + ']' + port;
}

} // namespace portico::ip

std::size_t
std::hash<portico::ip::endpoint>::operator()(const portico::ip::endpoint& which) const noexcept {
    return portico::ip::hashing{}
        .add(std::hash<portico::ip::address>{}(which.address))
        .add(which.port)
        .value();
}
