// Destination rules as text.

#include "portico/admit/destinations.hpp"

#include "admit/bits.hpp"
#include "admit/host_name.hpp"
#include "admit/listing.hpp"
#include "ip/reading.hpp"
#include "portico/ip/service.hpp"

#include <algorithm>

namespace portico::admit {
namespace {

using ip::text_result;
using ip::reading::shifted;
using ip::reading::wrong;

constexpr std::string_view example =
    "write it like *.example.org:443, 10.0.0.0/8:* or [2001:db8::/32]:8000-8099";

text_result<std::uint16_t> read_port_number(std::string_view text, std::size_t at) {
    auto number = ip::reading::read_number(text, 65535, "the port");
    if (!number) {
        return shifted(std::move(number.error()), at);
    }
    return static_cast<std::uint16_t>(*number);
}

text_result<port_range> read_range(std::string_view text, std::size_t dash, std::size_t at) {
    const auto first = read_port_number(text.substr(0, dash), at);
    if (!first) {
        return tl::unexpected{first.error()};
    }
    const auto last = read_port_number(text.substr(dash + 1), at + dash + 1);
    if (!last) {
        return tl::unexpected{last.error()};
    }
    if (*last < *first) {
        return wrong(at, text.size(), "the range of ports ends before it begins",
                     "write " + std::to_string(*last) + '-' + std::to_string(*first));
    }
    return port_range{*first, *last};
}

text_result<port_range> read_ports(std::string_view text, std::size_t at) {
    if (text == "*") {
        return port_range{};
    }
    const auto dash = text.find('-'); // in service names, too: http-alt
    if (dash != std::string_view::npos && ip::reading::is_digit(text.front())) {
        return read_range(text, dash, at);
    }
    auto port = ip::reading::read_port(text, at);
    if (!port) {
        auto why = std::move(port.error());
        why.hint = "write a number, a range as in 8000-8099, a service name, or * for all";
        return tl::unexpected{std::move(why)};
    }
    if (const auto* name = std::get_if<std::string>(&port->value)) {
        const auto number = ip::service_table{}.port(*name, ip::transport::tcp);
        if (!number) {
            return wrong(at, text.size(), "there is no service of this name",
                         "write the port as a number");
        }
        return port_range{*number, *number};
    }
    const auto number = std::get<std::uint16_t>(port->value);
    return port_range{number, number};
}

text_result<destination_pattern> read_block(std::string_view text, std::size_t at) {
    const auto block = ip::parse_prefix(text);
    if (!block) {
        return shifted(block.error(), at);
    }
    return destination_pattern{canonical_block(*block)};
}

text_result<destination_pattern> read_name(std::string_view text, std::size_t at) {
    name_pattern pattern;
    if (text.starts_with("*.")) {
        pattern.below = true;
        text.remove_prefix(2);
        at += 2;
    }
    const auto name = without_last_dot(text);
    if (const auto fault = find_name_fault(name)) {
        if (*fault == name.size() || name[*fault] == '.') {
            return wrong(at + *fault, 1, "a part of the name is missing", std::string{example});
        }
        if (name[*fault] == '*') {
            return wrong(at + *fault, 1, "a '*' stands for a whole name or for what is in front",
                         "write *:443 or *.example.org:443");
        }
        const auto c = static_cast<unsigned char>(name[*fault]);
        if (ip::reading::is_letter(name[*fault]) || ip::reading::is_digit(name[*fault]) ||
            c == '-' || c == '_') {
            return wrong(at + *fault, name.size() - *fault, "no host name is this long",
                         "a name has 253 bytes at most, and 63 between two dots");
        }
        return wrong(at + *fault, 1,
                     ip::reading::name_of(name[*fault]) + " cannot be in a host name",
                     c >= 0x80 ? "write the name in its xn-- form" : std::string{example});
    }
    pattern.name.resize(name.size());
    std::transform(name.begin(), name.end(), pattern.name.begin(), ip::reading::lower);
    return destination_pattern{std::move(pattern)};
}

text_result<destination_pattern> read_where(std::string_view text, std::size_t at) {
    if (text.empty()) {
        return wrong(at, 1, "the destination is missing in front of ':'",
                     "*:443 is every destination at port 443");
    }
    if (text == "*") {
        return destination_pattern{};
    }
    const bool is_block = std::all_of(text.begin(), text.end(), [](char c) {
        return ip::reading::is_digit(c) || c == '.' || c == '/';
    });
    return is_block || text.find('/') != std::string_view::npos ? read_block(text, at)
                                                                : read_name(text, at);
}

struct two_parts {
    text_result<destination_pattern> where;
    std::string_view ports;
    std::size_t ports_at = 0;
};

text_result<two_parts> read_bracketed(std::string_view text) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
        return wrong(0, 1, "the '[' is not closed", "write it like [2001:db8::/32]:443");
    }
    const auto inside = text.substr(1, close - 1);
    if (inside.find(':') == std::string_view::npos) {
        return wrong(0, close + 1, "brackets are for IPv6 addresses",
                     "write it like [2001:db8::/32]:443");
    }
    if (close + 1 == text.size() || text[close + 1] != ':') {
        return wrong(close + 1, 1, "after ']' comes ':' and the port",
                     "the length of a block stands inside: [2001:db8::/32]:443");
    }
    return two_parts{read_block(inside, 1), text.substr(close + 2), close + 2};
}

text_result<two_parts> read_parts(std::string_view text) {
    if (text.empty()) {
        return wrong(0, 1, "a destination is missing", std::string{example});
    }
    if (text.starts_with('[')) {
        return read_bracketed(text);
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) {
        return wrong(text.size(), 1, "the port is missing",
                     "write " + std::string{text} + ":* for all ports");
    }
    if (text.find(':', colon + 1) != std::string_view::npos) {
        return wrong(0, text.size(), "an IPv6 address with a port needs brackets",
                     "write it like [2001:db8::/32]:443 or [2001:db8::1]:*");
    }
    return two_parts{read_where(text.substr(0, colon), 0), text.substr(colon + 1), colon + 1};
}

text_result<destination_rule> read_rule(std::string_view text, ruling what) {
    auto parts = read_parts(text);
    if (!parts) {
        return tl::unexpected{std::move(parts.error())};
    }
    if (!parts->where) {
        return tl::unexpected{std::move(parts->where.error())};
    }
    const auto ports = read_ports(parts->ports, parts->ports_at);
    if (!ports) {
        return tl::unexpected{ports.error()};
    }
    return destination_rule{std::move(*parts->where), *ports, what};
}

std::string text_of(const destination_pattern& where) {
    if (const auto* block = std::get_if<ip::prefix>(&where)) {
        const auto text = ip::to_text(*block);
        return block->base().is_v4() ? text : '[' + text + ']';
    }
    if (const auto* pattern = std::get_if<name_pattern>(&where)) {
        return (pattern->below ? "*." : "") + pattern->name;
    }
    return "*";
}

} // namespace

std::string to_text(const destination_rule& which) {
    auto text = text_of(which.where) + ':';
    if (which.ports == port_range{}) {
        return text + '*';
    }
    text += std::to_string(which.ports.first);
    return which.ports.width() == 0 ? text : text + '-' + std::to_string(which.ports.last);
}

text_result<std::vector<destination_rule>> parse_destination_rules(std::string_view text,
                                                                   ruling what) {
    std::vector<destination_rule> rules;
    for (listing items{text}; const auto item = items.next();) {
        auto rule = read_rule(item->text, what);
        if (!rule) {
            return shifted(std::move(rule.error()), item->at);
        }
        rules.push_back(std::move(*rule));
    }
    return rules;
}

} // namespace portico::admit
