#include "ip/reading.hpp"

#include <algorithm>

namespace portico::ip::reading {
namespace {

constexpr std::string_view zone_example = "write it like fe80::1%eth0 or fe80::1%2";

// "[2001:db8::1]", and the zone that an address needs to be taken.
std::string bracketed(const address& which, std::string_view text) {
    const bool needs_zone = which.needs_zone() && which.zone().empty();
    return "[" + std::string{text} + (needs_zone ? "%eth0]" : "]");
}

// The spelling that the writer of an IPv6 address without brackets probably meant.
std::string with_brackets(std::string_view text) {
    const auto last = text.rfind(':');
    const auto tail = text.substr(last + 1);
    const auto head = text.substr(0, last);
    if (const auto which = parse_address(head); which && all_digits(tail)) {
        return "write " + bracketed(*which, head) + ":" + std::string{tail};
    }
    if (const auto which = parse_address(text)) {
        return "write " + bracketed(*which, text) + ":80 with your port";
    }
    return "write it like [2001:db8::1]:80";
}

text_result<host_and_port> split_bracketed(std::string_view text) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
        return wrong(0, 1, "the '[' is not closed", "write it like [2001:db8::1]:80");
    }
    if (close + 1 == text.size()) {
        return wrong(text.size(), 1, "the port is missing",
                     "write " + std::string{text} + ":80 with your port");
    }
    if (text[close + 1] != ':') {
        return wrong(close + 1, 1, "after ']' comes ':' and the port",
                     "write it like [2001:db8::1]:80");
    }
    host_and_port parts;
    parts.bracketed = true;
    parts.host = text.substr(1, close - 1);
    parts.host_at = 1;
    parts.port = text.substr(close + 2);
    parts.port_at = close + 2;
    if (const auto percent = parts.port.find('%'); percent != std::string_view::npos) {
        parts.late_zone = parts.port.substr(percent + 1);
        parts.late_zone_at = parts.port_at + percent + 1;
        parts.port = parts.port.substr(0, percent);
    }
    return parts;
}

std::string missing_port_hint(std::string_view text) {
    const auto slash = text.find('/');
    if (slash != std::string_view::npos && text.find('@') == std::string_view::npos &&
        !parse_address(text.substr(0, slash))) {
        return "write unix:" + std::string{text} + " for the path of a socket";
    }
    return all_digits(text) ? "for a port on all addresses write :" + std::string{text}
                            : "write " + std::string{text} + ":80 with your port";
}

// What is wrong with a name for a port, if anything.
std::optional<std::size_t> bad_service_character(std::string_view name) {
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if (!is_letter(c) && !is_digit(c) &&
            std::string_view{"-_.+"}.find(c) == std::string_view::npos) {
            return i;
        }
    }
    return std::nullopt;
}

} // namespace

tl::unexpected<text_error> wrong(std::size_t at, std::size_t length, std::string what,
                                 std::string hint) {
    return tl::unexpected<text_error>{
        text_error{at, std::max<std::size_t>(length, 1), std::move(what), std::move(hint)}};
}

tl::unexpected<text_error> shifted(text_error why, std::size_t by) {
    why.at += by;
    return tl::unexpected<text_error>{std::move(why)};
}

std::string name_of(char which) {
    if (which == ' ') {
        return "a space";
    }
    if (which == '\t') {
        return "a tab";
    }
    const auto byte = static_cast<unsigned char>(which);
    if (byte >= 0x80) {
        return "a byte outside ASCII";
    }
    return byte < 0x20 || byte == 0x7f ? "a control character" : std::string{'\'', which, '\''};
}

bool all_digits(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::optional<unsigned> hex_digit(char c) noexcept {
    if (is_digit(c)) {
        return static_cast<unsigned>(c - '0');
    }
    const char small = lower(c);
    return small >= 'a' && small <= 'f' ? std::optional{static_cast<unsigned>(small - 'a') + 10}
                                        : std::nullopt;
}

text_result<std::uint32_t> read_number(std::string_view text, std::uint32_t most,
                                       std::string_view what) {
    const std::string subject{what};
    if (text.empty()) {
        return wrong(0, 1, subject + " is missing");
    }
    const auto stop = std::find_if_not(text.begin(), text.end(), is_digit);
    if (stop != text.end()) {
        return wrong(static_cast<std::size_t>(stop - text.begin()), 1,
                     subject + " is a number, and " + name_of(*stop) + " is not a digit");
    }
    if (text.size() > 1 && text.front() == '0') {
        return wrong(0, 1, subject + " begins with a zero",
                     "some programs read such a number as octal; write it without");
    }
    std::uint64_t value = 0;
    for (const char c : text) {
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
        if (value > most) {
            return wrong(0, text.size(), subject + " is over " + std::to_string(most));
        }
    }
    return static_cast<std::uint32_t>(value);
}

text_result<zone> read_zone(std::string_view text, std::size_t at) {
    // RFC 6874 section 2: in a URI the '%' itself is written %25. Only digits are an interface
    // number as RFC 4007 section 11.2 has it, whatever they begin with.
    if (text.starts_with("25") && !all_digits(text)) {
        text.remove_prefix(2);
        at += 2;
    }
    if (text.empty()) {
        return wrong(at - 1, 1, "the zone after '%' is empty", std::string{zone_example});
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!zone::from_text(text.substr(i, 1))) {
            return wrong(at + i, 1, name_of(text[i]) + " cannot be in the name of an interface",
                         std::string{zone_example});
        }
    }
    const auto made = zone::from_text(text);
    if (!made) {
        return wrong(at + zone::max_size, text.size() - zone::max_size,
                     "the zone is longer than 15 bytes, as no interface name is",
                     "portico addrs lists the interfaces");
    }
    if (made->index() == 0U) {
        return wrong(at, text.size(), "zone 0 stands for no zone",
                     "interface numbers begin with 1; or leave the zone out");
    }
    return *made;
}

text_result<host_and_port> split_host_and_port(std::string_view text) {
    if (text.starts_with('[')) {
        return split_bracketed(text);
    }
    if (const auto bracket = text.find_first_of("[]"); bracket != std::string_view::npos) {
        return text[bracket] == ']'
                   ? wrong(bracket, 1, "no '[' opens this", "write it like [2001:db8::1]:80")
                   : wrong(bracket, 1, "a '[' stands only at the start of an address",
                           "write it like [2001:db8::1]:80");
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) {
        return wrong(text.size(), 1, "the port is missing", missing_port_hint(text));
    }
    if (const auto second = text.find(':', colon + 1); second != std::string_view::npos) {
        const auto group = text.substr(0, colon);
        if (std::any_of(group.begin(), group.end(), [](char c) { return !hex_digit(c); })) {
            return wrong(second, text.size() - second, "a second ':'",
                         "only an IPv6 address has several, and it stands in brackets");
        }
        return wrong(0, text.size(), "an IPv6 address with a port needs brackets",
                     with_brackets(text));
    }
    host_and_port parts;
    parts.host = text.substr(0, colon);
    parts.port = text.substr(colon + 1);
    parts.port_at = colon + 1;
    return parts;
}

text_result<address> read_bracketed(const host_and_port& parts) {
    if (parts.host.empty()) {
        return wrong(0, 2, "there is nothing in the brackets",
                     "[::]:80 is all IPv6 addresses, :80 those of both families");
    }
    if (parts.host.find(':') == std::string_view::npos) {
        return wrong(0, parts.host.size() + 2, "brackets are for IPv6 addresses",
                     "write " + std::string{parts.host} + " without them");
    }
    auto inside = parse_address(parts.host);
    if (!inside) {
        return shifted(std::move(inside.error()), parts.host_at);
    }
    if (!parts.late_zone) {
        return inside;
    }
    auto late = read_zone(*parts.late_zone, parts.late_zone_at);
    if (!late) {
        return tl::unexpected{std::move(late.error())};
    }
    if (!inside->zone().empty()) {
        return wrong(parts.late_zone_at - 1, parts.late_zone->size() + 1, "this is a second zone",
                     "write the zone once, as in [fe80::1%eth0]:80");
    }
    return inside->with_zone(*late);
}

text_result<port_name> read_port(std::string_view text, std::size_t at) {
    if (text.empty()) {
        return wrong(at, 1, "the port is missing",
                     "after ':' comes a number from 0 to 65535 or a service name such as http");
    }
    if (!is_letter(text.front())) {
        auto number = read_number(text, 65535, "the port");
        if (!number) {
            if (number.error().hint.empty()) {
                number.error().hint = "write a number from 0 to 65535 or a service name: http";
            }
            return shifted(std::move(number.error()), at);
        }
        return port_name{static_cast<std::uint16_t>(*number)};
    }
    if (const auto bad = bad_service_character(text)) {
        return wrong(at + *bad, 1, name_of(text[*bad]) + " cannot be in a service name",
                     "write a number from 0 to 65535 or a service name such as http");
    }
    constexpr std::size_t longest = 31; // RFC 6335 section 5.1 has 15; older names are longer
    if (text.size() > longest) {
        return wrong(at + longest, text.size() - longest, "no service name is this long",
                     "write a number from 0 to 65535 or a service name such as http");
    }
    return port_name{std::string{text}};
}

} // namespace portico::ip::reading
