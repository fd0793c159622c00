#include "flags/dial_target.hpp"

#include "portico/ip/listen_address.hpp"
#include "portico/ip/srv_name.hpp"
#include "portico/os/facts.hpp"

namespace portico::app {
namespace {

constexpr std::string_view srv_mark = "srv:";

// Of the ways to write an address some only say where to listen.
std::string explain_target(std::string_view text, ip::text_error why) {
    if (why.hint.find("sd:name") != std::string::npos) {
        why.hint = "write it like example.org:80, 192.0.2.1:80, [2001:db8::1]:80 or unix:/path";
    }
    return ip::explain(text, why);
}

} // namespace

tl::expected<run::dial_request, std::string> parse_dial_target(std::string_view text,
                                                               ip::transport over) {
    if (text.starts_with(srv_mark)) {
        return tl::unexpected{std::string{text} +
                              ": SRV records name several targets, which a relay takes (portico "
                              "listen --to); give HOST:PORT or unix:/path"};
    }
    const auto read = ip::parse_listen_address(text);
    if (!read) {
        return tl::unexpected{"the target is HOST:PORT or unix:/path\n" +
                              explain_target(text, read.error())};
    }
    run::dial_request made;
    if (const auto* file = std::get_if<ip::unix_name>(&read->where)) {
        made.host = ip::to_text(*file);
        return made;
    }
    if (const auto* literal = std::get_if<ip::address>(&read->where)) {
        made.host = ip::to_text(*literal);
    } else if (const auto* name = std::get_if<ip::host_name>(&read->where)) {
        made.host = name->name;
    } else {
        return tl::unexpected{std::string{text} +
                              ": that says where to listen, not whom to reach; give HOST:PORT or "
                              "unix:/path"};
    }
    const auto* number = std::get_if<std::uint16_t>(&read->port.value);
    if (number != nullptr && *number == 0) {
        return tl::unexpected{std::string{text} +
                              ": port 0 cannot be reached; give the port of the service"};
    }
    const auto* service = std::get_if<std::string>(&read->port.value);
    if (service != nullptr && !os::read_services().port(*service, over)) {
        return tl::unexpected{std::string{text} + ": there is no service called " + *service +
                              " over " + std::string{ip::to_text(over)} +
                              "; give the number of its port"};
    }
    made.port = service != nullptr ? *service : std::to_string(*number);
    return made;
}

tl::expected<run::dial_request, std::string> parse_relay_target(std::string_view text,
                                                                ip::transport over) {
    if (!text.starts_with(srv_mark)) {
        return parse_dial_target(text, over);
    }
    const auto name = ip::parse_srv_name(text.substr(srv_mark.size()));
    if (!name) {
        auto why = name.error();
        why.at += srv_mark.size();
        return tl::unexpected{"the name of SRV records cannot be read\n" + ip::explain(text, why)};
    }
    if (name->over != over) {
        return tl::unexpected{std::string{text} + ": these targets are reached over " +
                              std::string{ip::to_text(name->over)} + ", and this relay carries " +
                              std::string{ip::to_text(over)} + "; the name has to say _" +
                              std::string{ip::to_text(over)}};
    }
    run::dial_request made;
    made.host = text;
    return made;
}

} // namespace portico::app
