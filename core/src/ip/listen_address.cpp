#include "portico/ip/listen_address.hpp"

#include "ip/reading.hpp"

#include <algorithm>
#include <limits>

namespace portico::ip {
namespace {

using reading::shifted;
using reading::wrong;

using place = decltype(listen_address::where);

constexpr std::string_view forms = "write it like :80, 192.0.2.1:80, [2001:db8::1]:80, "
                                   "example.org:80, @eth0:80, unix:/path, fd:3 or sd:name";

constexpr std::string_view name_letters = "a host name has letters, digits, '-' and '.'";
constexpr std::string_view ascii_form = "write an international name in its ASCII form (xn--...)";

bool is_ascii(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x80;
}

bool is_number_label(std::string_view label) {
    const bool hex = label.starts_with("0x") || label.starts_with("0X");
    const auto digits = label.substr(hex ? 2 : 0);
    return std::all_of(digits.begin(), digits.end(), [hex](char c) {
        return hex ? reading::hex_digit(c).has_value() : reading::is_digit(c);
    });
}

// RFC 1123 section 2.1; `at` is where the label begins.
std::optional<tl::unexpected<text_error>> judge_label(std::string_view label, std::size_t at) {
    if (label.empty()) {
        return wrong(at, 1, "a part of the host name is empty", "one '.' stands between two parts");
    }
    for (std::size_t i = 0; i < label.size(); ++i) {
        const char c = label[i];
        if (!reading::is_letter(c) && !reading::is_digit(c) && c != '-' && c != '_') {
            return wrong(at + i, 1, reading::name_of(c) + " cannot be in a host name",
                         std::string{is_ascii(c) ? name_letters : ascii_form});
        }
    }
    if (label.size() > 63) {
        return wrong(at + 63, label.size() - 63,
                     "a part of the host name is longer than 63 characters");
    }
    if (label.front() == '-' || label.back() == '-') {
        return wrong(label.front() == '-' ? at : at + label.size() - 1, 1,
                     "a part of a host name neither begins nor ends with '-'");
    }
    return std::nullopt;
}

text_result<host_name> read_host_name(std::string_view text) {
    const auto name = text.substr(0, text.size() - (text.ends_with('.') ? 1 : 0));
    std::string_view label;
    std::size_t at = 0;
    for (bool more = true; more; at += label.size() + 1) {
        const auto dot = std::min(name.find('.', at), name.size());
        label = name.substr(at, dot - at);
        if (auto bad = judge_label(label, at)) {
            return std::move(*bad);
        }
        more = dot < name.size();
    }
    if (name.size() > 253) {
        return wrong(253, name.size() - 253, "the host name is longer than 253 characters");
    }
    // getaddrinfo() would take it for an IPv4 address in one of inet_aton(3)'s forms.
    if (is_number_label(label)) {
        return wrong(name.size() - label.size(), label.size(),
                     "the last part of a host name is not a number",
                     "an IPv4 address is four numbers like 192.0.2.1");
    }
    return host_name{std::string{text}};
}

bool looks_like_v4(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return reading::is_digit(c) || c == '.'; });
}

text_result<place> read_host(const reading::host_and_port& parts) {
    if (!parts.bracketed && (parts.host.empty() || parts.host == "*")) {
        return place{every_address{}};
    }
    if (!parts.bracketed && !looks_like_v4(parts.host)) {
        return read_host_name(parts.host).map([](host_name name) {
            return place{std::move(name)};
        });
    }
    auto which = parts.bracketed ? reading::read_bracketed(parts) : parse_address(parts.host);
    if (!which) {
        return tl::unexpected{std::move(which.error())};
    }
    if (which->needs_zone() && which->zone().empty()) {
        return wrong(parts.host_at, parts.host.size(),
                     which->is_multicast() ? "a multicast address of this scope needs a zone"
                                           : "a link-local address needs a zone",
                     "name the interface, e.g. [" + std::string{parts.host} +
                         "%eth0]:" + std::string{parts.port});
    }
    return place{*which};
}

// "fd:3", "fd://3"; `number` is what follows, at `at`.
text_result<place> read_fd(std::string_view number, std::size_t at) {
    if (number.starts_with("//")) {
        number.remove_prefix(2);
        at += 2;
    }
    auto value =
        reading::read_number(number, std::numeric_limits<int>::max(), "the descriptor number");
    if (!value) {
        if (value.error().hint.empty()) {
            value.error().hint = "write it like fd:3; a host called fd is fd.:80";
        }
        return shifted(std::move(value.error()), at);
    }
    return place{inherited_fd{static_cast<int>(*value)}};
}

// "sd:name"; what systemd.socket(5) allows in FileDescriptorName=, without spaces and commas.
text_result<place> read_inherited_name(std::string_view name, std::size_t at) {
    if (name.empty()) {
        return wrong(at, 1, "the name of the inherited sockets is missing",
                     "write it like sd:web, as FileDescriptorName= has it");
    }
    if (const auto colon = name.find(':'); colon != std::string_view::npos) {
        return wrong(at + colon, 1, "':' cannot be in the name of an inherited socket",
                     "write it like sd:web; a host called sd is sd.:80");
    }
    constexpr std::size_t longest = 255;
    if (name.size() > longest) {
        return wrong(at + longest, name.size() - longest,
                     "the name of an inherited socket has at most 255 characters");
    }
    return place{inherited_name{std::string{name}}};
}

text_result<place> read_interface(std::string_view name) {
    if (name.empty()) {
        return wrong(0, 1, "the name of the interface after '@' is empty",
                     "write it like @eth0:80; portico addrs lists the interfaces");
    }
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (!zone::from_text(name.substr(i, 1))) {
            return wrong(i, 1, reading::name_of(name[i]) + " cannot be in the name of an interface",
                         "write it like @eth0:80");
        }
    }
    if (name.size() > zone::max_size) {
        return wrong(zone::max_size, name.size() - zone::max_size,
                     "no interface name is longer than 15 bytes",
                     "portico addrs lists the interfaces");
    }
    return place{interface_name{std::string{name}}};
}

// A block of one address would be that address, and is then written as such.
text_result<place> read_own(const std::string_view block, std::size_t at) {
    if (block.find('/') == std::string_view::npos) {
        return wrong(at, block.size(), "after '@' comes an interface, or a block of addresses",
                     "write a block like @10.0.0.0/8:80 or @[2001:db8::/32]:80, and an address "
                     "without '@'");
    }
    auto read = parse_prefix(block);
    if (!read) {
        return shifted(std::move(read.error()), at);
    }
    return place{own_addresses{*read}};
}

// What follows '@'.
text_result<place> read_selector(const reading::host_and_port& parts) {
    if (parts.bracketed) {
        return read_own(parts.host, parts.host_at);
    }
    const auto slash = parts.host.find('/');
    const bool is_block =
        slash != std::string_view::npos && looks_like_v4(parts.host.substr(0, slash));
    return is_block ? read_own(parts.host, parts.host_at) : read_interface(parts.host);
}

// Anything in front of a port that is more than a host: the readers below take it from here.
text_result<listen_address> read_with_port(std::string_view text) {
    const std::size_t first = text.starts_with('@') ? 1 : 0; // a selector is what follows
    auto parts = reading::split_host_and_port(text.substr(first));
    if (!parts) {
        return shifted(std::move(parts.error()), first);
    }
    auto where = first == 1 ? read_selector(*parts) : read_host(*parts);
    if (!where) {
        return shifted(std::move(where.error()), first);
    }
    auto port = reading::read_port(parts->port, parts->port_at);
    if (!port) {
        return shifted(std::move(port.error()), first);
    }
    return listen_address{std::move(*where), std::move(*port), {}};
}

text_result<listen_address> without_port(text_result<place> where) {
    if (!where) {
        return tl::unexpected{std::move(where.error())};
    }
    return listen_address{std::move(*where), {}, {}};
}

text_result<listen_address> read_unix(std::string_view text, std::size_t at) {
    auto name = parse_unix_name(text.substr(at));
    if (!name) {
        return shifted(std::move(name.error()), at);
    }
    return listen_address{*name, {}, {}};
}

// What stands before the first ':' when that cannot be a host: "tcp://...", "vsock:3:80".
std::optional<tl::unexpected<text_error>> unknown_scheme(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || !reading::is_letter(text.front())) {
        return std::nullopt;
    }
    const auto scheme = text.substr(0, colon);
    const auto rest = text.substr(colon + 1);
    const bool is_word = std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return reading::is_letter(c) || reading::is_digit(c) || c == '+' || c == '-';
    });
    const bool is_group = std::all_of(scheme.begin(), scheme.end(),
                                      [](char c) { return reading::hex_digit(c).has_value(); });
    const bool more =
        rest.starts_with("//") || (!is_group && rest.find(':') != std::string_view::npos);
    if (!is_word || !more) {
        return std::nullopt;
    }
    return wrong(0, colon + 1, "there is no kind of address called " + std::string{scheme} + ":",
                 std::string{forms});
}

// Spaces, control characters and bytes outside ASCII have no place outside UNIX names, and a comma
// only between addresses.
std::optional<tl::unexpected<text_error>> bad_character(std::string_view text) {
    const auto bad = std::find_if(text.begin(), text.end(),
                                  [](char c) { return c <= ' ' || c >= '\x7f' || c == ','; });
    if (bad == text.end()) {
        return std::nullopt;
    }
    const auto at = static_cast<std::size_t>(bad - text.begin());
    if (*bad == ',') {
        return wrong(at, 1, "here is only one address expected, and ',' separates several");
    }
    return wrong(at, 1, reading::name_of(*bad) + " cannot be in an address",
                 std::string{is_ascii(*bad) ? "write the address without spaces" : ascii_form});
}

text_result<listen_address> read_one(std::string_view text) {
    if (text.empty()) {
        return wrong(0, 1, "the address is empty", std::string{forms});
    }
    if (text.starts_with('/')) {
        return read_unix(text, 0);
    }
    if (text.starts_with("unix:")) {
        return read_unix(text, 5);
    }
    if (text.starts_with('@') && text.find(':') == std::string_view::npos) {
        return read_unix(text, 0);
    }
    if (auto bad = bad_character(text)) {
        return std::move(*bad);
    }
    if (text.starts_with("fd:")) {
        return without_port(read_fd(text.substr(3), 3));
    }
    if (text.starts_with("sd:")) {
        return without_port(read_inherited_name(text.substr(3), 3));
    }
    if (text.starts_with("systemd:")) {
        return without_port(read_inherited_name(text.substr(8), 8));
    }
    if (auto unknown = unknown_scheme(text)) {
        return std::move(*unknown);
    }
    return read_with_port(text);
}

struct writer {
    const port_name& port;

    [[nodiscard]] std::string with_port(const std::string& text) const {
        if (const auto* number = std::get_if<std::uint16_t>(&port.value)) {
            return text + ':' + std::to_string(*number);
        }
        return text + ':' + std::get<std::string>(port.value);
    }
    std::string operator()(const every_address& /*all*/) const { return with_port({}); }
    std::string operator()(const address& which) const {
        return with_port(which.is_v4() ? to_text(which) : '[' + to_text(which) + ']');
    }
    std::string operator()(const host_name& host) const { return with_port(host.name); }
    std::string operator()(const interface_name& each) const { return with_port('@' + each.name); }
    std::string operator()(const own_addresses& which) const {
        const auto block = to_text(which.block);
        return with_port('@' + (which.block.base().is_v4() ? block : '[' + block + ']'));
    }
    std::string operator()(const unix_name& name) const { return to_text(name); }
    std::string operator()(const inherited_fd& fd) const {
        return "fd:" + std::to_string(fd.number);
    }
    std::string operator()(const inherited_name& each) const { return "sd:" + each.name; }
};

} // namespace

text_result<listen_address> parse_listen_address(std::string_view text) {
    auto made = read_one(text);
    if (made) {
        made->text = std::string{text};
    }
    return made;
}

text_result<std::vector<listen_address>> parse_listen_addresses(std::string_view text) {
    std::vector<listen_address> all;
    for (std::size_t at = 0; at <= text.size();) {
        const auto comma = std::min(text.find(',', at), text.size());
        if (comma == at && !text.empty()) {
            return wrong(at == text.size() ? at - 1 : at, 1,
                         "there is no address on one side of ','", "write it like :80,[::1]:81");
        }
        auto one = parse_listen_address(text.substr(at, comma - at));
        if (!one) {
            return shifted(std::move(one.error()), at);
        }
        all.push_back(std::move(*one));
        at = comma + 1;
    }
    return all;
}

text_result<host_name> parse_host_name(std::string_view text) {
    return read_host_name(text);
}

std::string to_text(const listen_address& which) {
    return std::visit(writer{which.port}, which.where);
}

} // namespace portico::ip
