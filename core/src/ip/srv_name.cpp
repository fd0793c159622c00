#include "portico/ip/srv_name.hpp"

#include "ip/reading.hpp"

#include <algorithm>

namespace portico::ip {
namespace {

using reading::wrong;

constexpr const char* form = "write it like _imap._tcp.example.org";
constexpr std::size_t longest_label = 63; // RFC 1035 section 2.3.4
constexpr std::size_t longest_name = 253;

struct label {
    std::string_view text;
    std::size_t at = 0;
};

label label_at(std::string_view name, std::size_t at) {
    const auto dot = std::min(name.find('.', at), name.size());
    return {name.substr(at, dot - at), at};
}

text_result<void> judge(const label& which) {
    const auto& [text, at] = which;
    if (text.empty()) {
        return wrong(at, 1, "a part of the name is empty", "one '.' stands between two parts");
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (!reading::is_letter(c) && !reading::is_digit(c) && c != '-' && c != '_') {
            const bool is_port = c == ':';
            return wrong(at + i, is_port ? text.size() - i : 1,
                         is_port ? "an SRV name has no port"
                                 : reading::name_of(c) + " cannot be in the name of a service",
                         is_port ? "leave it out: the records say which port" : form);
        }
    }
    if (text.size() > longest_label) {
        return wrong(at + longest_label, text.size() - longest_label,
                     "a part of the name is longer than 63 characters");
    }
    return {};
}

std::string lower(std::string_view text) {
    std::string made{text};
    std::transform(made.begin(), made.end(), made.begin(), reading::lower);
    return made;
}

text_result<transport> read_protocol(const label& which) {
    const auto protocol = lower(which.text);
    if (protocol != "_tcp" && protocol != "_udp") {
        return wrong(which.at, std::max<std::size_t>(which.text.size(), 1),
                     "the second part of an SRV name is _tcp or _udp", form);
    }
    return protocol == "_tcp" ? transport::tcp : transport::udp;
}

} // namespace

text_result<srv_name> parse_srv_name(std::string_view text) {
    const auto name = text.substr(0, text.size() - (text.ends_with('.') ? 1 : 0));
    const auto service = label_at(name, 0);
    if (!service.text.starts_with('_') || service.text.size() == 1) {
        return wrong(0, std::max<std::size_t>(service.text.size(), 1),
                     "an SRV name begins with '_' and the name of a service", form);
    }
    if (service.text.size() == name.size()) {
        auto good = judge(service);
        return good ? wrong(name.size(), 1, "the protocol and the domain are missing", form)
                    : tl::unexpected{std::move(good.error())};
    }
    const auto protocol = label_at(name, service.text.size() + 1);
    srv_name made{std::string{name}, transport::tcp};
    for (std::size_t at = 0; at <= name.size();) {
        const auto each = label_at(name, at);
        if (auto good = judge(each); !good) {
            return tl::unexpected{std::move(good.error())};
        }
        at += each.text.size() + 1;
    }
    const auto over = read_protocol(protocol);
    if (!over) {
        return tl::unexpected{over.error()};
    }
    made.over = *over;
    if (protocol.at + protocol.text.size() == name.size()) {
        return wrong(name.size(), 1, "the domain is missing", form);
    }
    if (name.size() > longest_name) {
        return wrong(longest_name, name.size() - longest_name,
                     "the name is longer than 253 characters");
    }
    return made;
}

} // namespace portico::ip
