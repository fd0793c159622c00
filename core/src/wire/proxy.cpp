#include "portico/wire/proxy.hpp"

#include "portico/ip/endpoint.hpp"
#include "wire/names.hpp"

#include <algorithm>

namespace portico::wire {

std::optional<std::size_t> find_bad_name_byte(std::string_view name) noexcept {
    constexpr std::string_view forbidden = "/\\?#@:[]%<>\"'";
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool printable = name[i] > ' ' && name[i] < '\x7f';
        if (!printable || forbidden.find(name[i]) != std::string_view::npos) {
            return i;
        }
    }
    return std::nullopt;
}

std::string sanitised(std::string_view text, std::size_t most) {
    std::string shown{text.substr(0, most)};
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < ' ' || c >= '\x7f'; }, '?');
    return text.size() > most ? shown + "..." : shown;
}

bool has_control(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
}

tl::unexpected<proxy_failure> refuse(std::string text) {
    return tl::unexpected{proxy_failure{
        {std::make_error_code(std::errc::invalid_argument), operation::proxy, side::caller, {}},
        std::move(text)}};
}

proxy_failure failed(errc code, side who, std::string text) {
    return {{code, operation::proxy, who, {}}, std::move(text)};
}

proxy_result<proxy_target> proxy_target::make(std::string_view host, std::uint16_t port) {
    proxy_target made;
    made.port_ = port;
    if (const auto literal = ip::parse_address(host)) {
        if (!literal->zone().empty()) {
            return refuse("the zone of " + ip::to_text(*literal) +
                          " means nothing to a proxy: dial it directly, or leave the zone out");
        }
        made.host_ = *literal;
        return made;
    }
    if (host.empty()) {
        return refuse("the host to reach through the proxy is empty");
    }
    if (host.size() > max_name) {
        return refuse("the host name is longer than 255 characters, which no proxy protocol takes");
    }
    if (const auto bad = find_bad_name_byte(host)) {
        const bool ascii = static_cast<unsigned char>(host[*bad]) < 0x80;
        return refuse("'" + sanitised(host, max_name) + "' is not a host name" +
                      (ascii ? "" : ": write it in its ASCII form, xn--..."));
    }
    made.host_ = std::string{host};
    return made;
}

proxy_target proxy_target::make(const ip::endpoint& which) noexcept {
    proxy_target made;
    made.port_ = which.port;
    made.host_ = which.address.is_v4() ? which.address : ip::address::v6(which.address.to_v6());
    return made;
}

std::string proxy_target::text() const {
    if (const auto* literal = std::get_if<ip::address>(&host_)) {
        return ip::to_text(ip::endpoint{*literal, port_});
    }
    return std::get<std::string>(host_) + ':' + std::to_string(port_);
}

} // namespace portico::wire
