// Read first: RFC 3986 section 3.2 (authority), of which this is the strict part that proxies need.
#include "portico/wire/proxy_client.hpp"

#include "ip/reading.hpp"
#include "wire/names.hpp"

#include <algorithm>

namespace portico::wire {
namespace {

using ip::text_result;
using ip::reading::wrong;

constexpr auto shape_hint = "write it like socks5://host:1080 or http://user:password@host:3128";

// A part of the text, and where it begins.
struct part {
    std::string_view text;
    std::size_t at = 0;

    [[nodiscard]] part first(std::size_t count) const { return {text.substr(0, count), at}; }
    [[nodiscard]] part from(std::size_t begin) const { return {text.substr(begin), at + begin}; }
};

text_result<proxy_protocol> read_scheme(std::string_view text, std::size_t end) {
    if (end == std::string_view::npos) {
        return wrong(0, 1, "a proxy begins with its protocol", shape_hint);
    }
    std::string scheme{text.substr(0, end)};
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), ip::reading::lower);
    if (scheme == "socks5" || scheme == "socks5h") {
        return proxy_protocol::socks5;
    }
    if (scheme == "http") {
        return proxy_protocol::http;
    }
    return wrong(0, std::max<std::size_t>(end, 1), "this proxy protocol is not supported",
                 "socks5://, socks5h:// and http:// are");
}

// RFC 3986 section 2.1.
text_result<std::string> percent_decoded(part in) {
    std::string made;
    for (std::size_t i = 0; i < in.text.size(); ++i) {
        char c = in.text[i];
        std::size_t length = 1;
        if (c == '%') {
            const auto high =
                i + 1 < in.text.size() ? ip::reading::hex_digit(in.text[i + 1]) : std::nullopt;
            const auto low =
                i + 2 < in.text.size() ? ip::reading::hex_digit(in.text[i + 2]) : std::nullopt;
            if (!high || !low) {
                return wrong(in.at + i, 1, "two hexadecimal digits have to follow '%'",
                             "write a '%' itself as %25");
            }
            c = static_cast<char>(*high * 16 + *low);
            length = 3;
        }
        if (has_control({&c, 1})) {
            return wrong(in.at + i, length,
                         "control characters are not allowed in user name and password");
        }
        made += c;
        i += length - 1;
    }
    return made;
}

text_result<credentials> read_credentials(part in) {
    if (const auto extra = in.text.find('@'); extra != std::string_view::npos) {
        return wrong(in.at + extra, 1, "there is more than one '@'",
                     "write an '@' in user name or password as %40");
    }
    const auto colon = in.text.find(':');
    auto user = percent_decoded(in.first(colon));
    if (!user) {
        return tl::unexpected{user.error()};
    }
    if (user->empty()) {
        return wrong(in.at, 1, "the user name is empty",
                     "write user:password@ or leave out the '@'");
    }
    if (colon == std::string_view::npos) {
        return credentials{std::move(*user), {}};
    }
    auto password = percent_decoded(in.from(colon + 1));
    if (!password) {
        return tl::unexpected{password.error()};
    }
    return credentials{std::move(*user), std::move(*password)};
}

text_result<std::uint16_t> read_port(part in) {
    const auto number = ip::reading::read_number(in.text, 65535, "the port");
    if (!number) {
        return ip::reading::shifted(number.error(), in.at);
    }
    if (*number == 0) {
        return wrong(in.at, in.text.size(), "port 0 cannot be connected to");
    }
    return static_cast<std::uint16_t>(*number);
}

text_result<std::string> read_name(part in) {
    if (in.text.empty()) {
        return wrong(in.at, 1, "the host is missing", shape_hint);
    }
    if (in.text.size() > max_name) {
        return wrong(in.at + max_name, in.text.size() - max_name,
                     "a host name has at most 255 characters");
    }
    if (const auto bad = find_bad_name_byte(in.text)) {
        return wrong(in.at + *bad, 1,
                     ip::reading::name_of(in.text[*bad]) + " is not allowed in a host name",
                     in.text[*bad] == ':' ? "an IPv6 address stands in brackets, [::1]" : "");
    }
    return std::string{in.text};
}

// What stands between the brackets.
text_result<std::string> read_v6(part in) {
    const auto literal = ip::parse_address(in.text);
    if (!literal) {
        return ip::reading::shifted(literal.error(), in.at);
    }
    if (!literal->is_v6()) {
        return wrong(in.at, in.text.size(), "only IPv6 addresses stand in brackets");
    }
    if (literal->needs_zone() && literal->zone().empty()) {
        return wrong(in.at + in.text.size(), 1, "a link-local address needs a zone",
                     "write it like [fe80::1%eth0]");
    }
    return ip::to_text(*literal);
}

text_result<via> read_host_and_port(part in, via made) {
    const bool bracketed = in.text.starts_with('[');
    const auto close = in.text.find(']');
    if (bracketed && close == std::string_view::npos) {
        return wrong(in.at + in.text.size(), 1, "the closing ']' is missing");
    }
    const auto end = bracketed ? close + 1 : std::min(in.text.rfind(':'), in.text.size());
    auto host = bracketed ? read_v6(in.first(close).from(1)) : read_name(in.first(end));
    if (!host) {
        return tl::unexpected{host.error()};
    }
    made.host = std::move(*host);
    const auto rest = in.from(end);
    if (rest.text.empty()) {
        return made;
    }
    if (rest.text.front() != ':') {
        return wrong(rest.at, rest.text.size(), "after ']' comes ':' and a port, or nothing");
    }
    const auto port = read_port(rest.from(1));
    if (!port) {
        return tl::unexpected{port.error()};
    }
    made.port = *port;
    return made;
}

} // namespace

text_result<via> parse_via(std::string_view text) {
    constexpr std::string_view separator = "://";
    const auto scheme_end = text.find(separator);
    const auto protocol = read_scheme(text, scheme_end);
    if (!protocol) {
        return tl::unexpected{protocol.error()};
    }
    via made{.protocol = *protocol, .host = {}};
    const auto after = part{text}.from(scheme_end + separator.size());
    const auto slash = std::min(after.text.find_first_of("/?#"), after.text.size());
    if (after.text.find('@', slash) != std::string_view::npos) {
        return wrong(after.at + slash, 1, "this character ends the host",
                     "in user name or password write '/' as %2F, '?' as %3F and '#' as %23");
    }
    if (after.from(slash).text.size() > 1 || after.from(slash).text.find_first_of("?#") == 0) {
        return wrong(after.at + slash, after.text.size() - slash, "a proxy has no path",
                     shape_hint);
    }
    auto place = after.first(slash);
    if (const auto at_sign = place.text.rfind('@'); at_sign != std::string_view::npos) {
        auto who = read_credentials(place.first(at_sign));
        if (!who) {
            return tl::unexpected{who.error()};
        }
        made.who = std::move(*who);
        place = place.from(at_sign + 1);
    }
    return read_host_and_port(place, std::move(made));
}

std::string_view to_text(proxy_protocol which) noexcept {
    return which == proxy_protocol::socks5 ? "socks5" : "http";
}

std::string to_text(const via& which) {
    const bool v6 = which.host.find(':') != std::string::npos;
    return std::string{to_text(which.protocol)} + "://" +
           (v6 ? "[" + which.host + "]" : which.host) + ':' + std::to_string(which.port);
}

} // namespace portico::wire
