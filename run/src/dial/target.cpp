#include "dial/target.hpp"

#include "portico/os/facts.hpp"

#include <charconv>

namespace portico::run {
namespace {

// What os::set_dead_after() takes.
constexpr std::chrono::seconds shortest_dead_after{1};
constexpr std::chrono::seconds longest_dead_after{2'147'483};

tl::unexpected<bad_request> refuse(std::string text) {
    return tl::unexpected{bad_request{
        error{
            std::make_error_code(std::errc::invalid_argument), operation::parse, side::caller, {}},
        std::move(text)}};
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

tl::expected<std::uint16_t, bad_request> read_port(const std::string& text, ip::transport over) {
    if (is_number(text)) {
        unsigned value = 0;
        const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (wrong != std::errc{} || value == 0 || value > 65535) {
            return refuse("port " + text + ": a port to dial is a number from 1 to 65535");
        }
        return static_cast<std::uint16_t>(value);
    }
    if (text.empty()) {
        return refuse("a port is missing: give a number or a service name after the host");
    }
    if (const auto known = os::read_services().port(text, over)) {
        return *known;
    }
    return refuse("port " + text + ": no service of that name over " +
                  std::string{ip::to_text(over)} + " is known; give its number");
}

// "host:port" as it is written: an IPv6 address stands in brackets.
std::string title_of(const dial_request& request) {
    const bool bare_v6 = request.host.find(':') != std::string::npos;
    return (bare_v6 ? "[" + request.host + "]" : request.host) + ":" + request.port;
}

tl::expected<void, bad_request> choose_families(const dial_request& request, dial_target& target) {
    const auto only = request.from ? std::optional{request.from->address.family()} : request.only;
    if (request.from && request.only && *request.only != *only) {
        return refuse("the local address " + ip::to_text(request.from->address) +
                      " is not of the only family that may be used");
    }
    target.wants_v4 = !only || *only == ip::family::v4;
    target.wants_v6 = !only || *only == ip::family::v6;
    return {};
}

// The resolver takes international names as well (RFC 5890 section 2.3.2.3): here each of their
// letters stands for itself, whatever it is.
std::string with_letters_of_ascii(std::string_view name) {
    std::string made;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 || byte >= 0xc0) { // else it belongs to the letter before
            made += byte < 0x80 ? c : 'x';
        }
    }
    return made;
}

// What is no address is a name, unless it looks like an address that is wrong: getaddrinfo() would
// ask name servers for 256.1.1.1.
tl::expected<void, bad_request> read_name(const std::string& host,
                                          const ip::text_error& no_address) {
    const auto refuse_for = [&host](const ip::text_error& why) {
        return refuse("host '" + host + "': " + why.what +
                      (why.hint.empty() ? "" : "; " + why.hint));
    };
    if (host.find_first_of(":[]") != std::string::npos) {
        return refuse("host '" + host + "': " + no_address.what +
                      "; an address stands here without brackets");
    }
    if (host.empty() || host.find_first_not_of("0123456789.") == std::string::npos) {
        return refuse_for(no_address);
    }
    if (const auto name = ip::parse_host_name(with_letters_of_ascii(host)); !name) {
        return refuse_for(name.error());
    }
    return {};
}

// A literal address is of one family, and may need a zone.
tl::expected<void, bad_request> read_host(const dial_request& request, dial_target& target) {
    auto literal = ip::parse_address(target.host);
    if (!literal) {
        return read_name(target.host, literal.error());
    }
    if (literal->needs_zone() && literal->zone().empty()) {
        const auto zone = ip::zone::from_text(request.interface);
        if (!zone || zone->empty()) {
            return refuse(target.host + ": a link-local address needs a zone, e.g. " + target.host +
                          "%eth0");
        }
        literal = literal->with_zone(*zone);
    }
    target.host = ip::to_text(*literal);
    target.wants_v4 = target.wants_v4 && literal->is_v4();
    target.wants_v6 = target.wants_v6 && literal->is_v6();
    if (!target.wants_v4 && !target.wants_v6) {
        return refuse(target.host + ": an " + std::string{ip::to_text(literal->family())} +
                      " address, but only the other family may be used");
    }
    return {};
}

tl::expected<void, bad_request> read_proxy(const dial_request& request, dial_target& target) {
    auto through = wire::parse_via(request.via);
    if (!through) {
        // Not the text itself: it may have a password in it.
        return refuse("the proxy: " + through.error().what +
                      (through.error().hint.empty() ? "" : "; " + through.error().hint));
    }
    if (request.over == ip::transport::udp) {
        return refuse("a proxy carries TCP only, not UDP");
    }
    auto client = wire::proxy_target::make(request.host, target.port)
                      .and_then([&](const wire::proxy_target& beyond) {
                          return wire::proxy_client::make(*through, beyond);
                      });
    if (!client) {
        return tl::unexpected{bad_request{client.error().why, client.error().text}};
    }
    target.proxy = std::move(*client);
    target.title += " via " + wire::to_text(*through);
    target.host = through->host;
    target.port = through->port;
    target.through = std::move(*through);
    return {};
}

} // namespace

tl::expected<dial_target, bad_request> read_request(const dial_request& request) {
    dial_target target;
    if (request.host.starts_with("unix:") || request.host.starts_with('/')) {
        target.title = request.host;
        const bool marked = request.host.starts_with("unix:");
        const auto name =
            ip::parse_unix_name(std::string_view{request.host}.substr(marked ? 5 : 0));
        if (!name) {
            return refuse(request.host + ": " + name.error().what +
                          (name.error().hint.empty() ? "" : "; " + name.error().hint));
        }
        target.unix_socket = *name;
        return target;
    }
    if (request.dead_after &&
        (*request.dead_after < shortest_dead_after || *request.dead_after > longest_dead_after)) {
        return refuse("dead-after " + std::to_string(request.dead_after->count()) +
                      "s: the limit is from 1 to 2147483 seconds");
    }
    const auto port = read_port(request.port, request.over);
    if (!port) {
        return tl::unexpected{port.error()};
    }
    target.title = title_of(request);
    target.host = request.host;
    target.port = *port;
    if (auto done = choose_families(request, target); !done) {
        return tl::unexpected{done.error()};
    }
    if (!request.via.empty()) {
        if (auto done = read_proxy(request, target); !done) {
            return tl::unexpected{done.error()};
        }
    }
    if (auto done = read_host(request, target); !done) {
        return tl::unexpected{done.error()};
    }
    return target;
}

tl::expected<dial_target, bad_request> read_relay_target(const dial_request& request) {
    constexpr std::string_view mark = "srv:";
    if (!request.host.starts_with(mark)) {
        return read_request(request);
    }
    const auto name = ip::parse_srv_name(std::string_view{request.host}.substr(mark.size()));
    if (!name) {
        return refuse(request.host + ": " + name.error().what +
                      (name.error().hint.empty() ? "" : "; " + name.error().hint));
    }
    if (name->over != request.over) {
        return refuse(request.host + ": these targets are reached over " +
                      std::string{ip::to_text(name->over)} + ", and this relay carries " +
                      std::string{ip::to_text(request.over)});
    }
    if (!request.via.empty()) {
        return refuse(request.host + ": several targets cannot go through a proxy");
    }
    dial_target target;
    target.title = std::string{mark} + name->text;
    target.service = *name;
    if (auto done = choose_families(request, target); !done) {
        return tl::unexpected{done.error()};
    }
    return target;
}

} // namespace portico::run
