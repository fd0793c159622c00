#include "flags/wish_options.hpp"

#include <algorithm>
#include <ostream>
#include <string_view>
#include <utility>

namespace portico::app {
namespace {

void complain(std::ostream& to, std::string_view text, const ip::text_error& why) {
    const auto explained = ip::explain(text, why);
    to << explained << (explained.ends_with('\n') ? "" : "\n");
}

// One wrong address of a list hides the ones after it, so each part is looked at by itself.
void complain_about_all(std::ostream& to, std::string_view list, const ip::text_error& first) {
    bool any = false;
    for (std::string_view rest = list; !rest.empty();) {
        const auto comma = rest.find(',');
        const auto part = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        if (const auto read = ip::parse_listen_address(part); !read && !part.empty()) {
            complain(to, part, read.error());
            any = true;
        }
    }
    if (!any) {
        complain(to, list, first);
    }
}

plan::wish wish_for(const wish_flags& flags, const ip::listen_address& where, ip::transport over) {
    plan::wish made;
    made.where = where;
    made.over = over;
    made.needed = flags.both_families ? plan::need::both_families
                  : flags.required    ? plan::need::required
                                      : plan::need::optional;
    if (flags.only_v4 || flags.only_v6) {
        made.only = flags.only_v4 ? ip::family::v4 : ip::family::v6;
    }
    made.reuse_port = flags.reuse_port;
    made.freebind = flags.freebind;
    made.backlog = flags.backlog;
    if (!flags.mode.empty()) {
        made.unix_mode = static_cast<unsigned>(std::stoul(flags.mode, nullptr, 8));
    }
    if (over == ip::transport::udp) {
        made.broadcast = flags.broadcast;
        for (const auto& each : flags.join) {
            if (auto group = ip::parse_group(each)) {
                made.groups.push_back(*std::move(group));
            }
        }
    }
    return made;
}

} // namespace

std::string mode_fault(const std::string& text) {
    const bool octal = !text.empty() && text.size() <= 5 &&
                       text.find_first_not_of("01234567") == std::string::npos;
    return octal && std::stoul(text, nullptr, 8) <= 0777
               ? ""
               : "'" + text + "' is not a mode: write permission bits in octal, e.g. 0660";
}

bool has_socket_file(const std::vector<plan::wish>& wishes) noexcept {
    return std::any_of(wishes.begin(), wishes.end(), [](const plan::wish& each) {
        const auto* name = std::get_if<ip::unix_name>(&each.where.where);
        return name != nullptr && !name->is_abstract();
    });
}

std::string group_fault(const std::string& text) {
    const auto read = ip::parse_group(text);
    if (read) {
        return "";
    }
    const auto& why = read.error();
    return "'" + text + "': " + why.what + (why.hint.empty() ? "" : "; " + why.hint);
}

std::vector<plan::wish> wish_flags::wishes_for(const ip::listen_address& where) const {
    std::vector<plan::wish> made;
    if (!udp || tcp) {
        made.push_back(wish_for(*this, where, ip::transport::tcp));
    }
    if (udp) {
        made.push_back(wish_for(*this, where, ip::transport::udp));
    }
    return made;
}

wish_options::wish_options(CLI::App& verb) {
    verb.add_option("ADDR", flags_.addresses,
                    "where to listen: :80, 127.0.0.1:80, [::1]:80, localhost:http, @eth0:53, "
                    "@10.0.0.0/8:53, "
                    "unix:/path, unix:@name, fd:3, sd:name")
        ->required();
    auto* v4 = verb.add_flag("-4", flags_.only_v4, "IPv4 only");
    auto* v6 = verb.add_flag("-6", flags_.only_v6, "IPv6 only");
    v4->excludes(v6);
    auto* udp = verb.add_flag("-u,--udp", flags_.udp, "UDP instead of TCP");
    verb.add_flag("--tcp", flags_.tcp, "with --udp: TCP as well")->needs(udp);
    verb.add_flag("--broadcast", flags_.broadcast,
                  "with --udp: hear what is sent to broadcast addresses, and answer it")
        ->needs(udp);
    verb.add_option("--join", flags_.join,
                    "with --udp: join multicast groups, on every interface or on one, such as "
                    "ff02::1:2 or 239.1.2.3@eth0")
        ->type_name("GROUP[@INTERFACE],...")
        ->delimiter(',')
        ->check(CLI::Validator{group_fault, ""})
        ->needs(udp);
    auto* required = verb.add_flag("--required", flags_.required,
                                   "fail unless each ADDR has at least one socket");
    verb.add_flag("--both-families", flags_.both_families,
                  "fail unless each ADDR has an IPv4 and an IPv6 socket")
        ->excludes(v4)
        ->excludes(v6)
        ->excludes(required);
    verb.add_flag("--reuseport", flags_.reuse_port,
                  "share the port with other processes (SO_REUSEPORT)");
    verb.add_flag("--freebind", flags_.freebind, "bind to addresses that are not there yet");
    verb.add_option("--backlog", flags_.backlog,
                    "connections that may wait for accept; default: net.core.somaxconn")
        ->check(CLI::Range(1, 1 << 20));
    verb.add_option("--mode", flags_.mode, "permission bits of a socket file, e.g. 0660")
        ->type_name("OCTAL")
        ->check(CLI::Validator{mode_fault, ""});
}

std::optional<std::vector<plan::wish>> wish_options::wishes(std::ostream& complaints) const {
    std::vector<plan::wish> all;
    bool wrong = false;
    for (const auto& text : flags_.addresses) {
        auto read = ip::parse_listen_addresses(text);
        if (!read) {
            complaints << (wrong ? "" : "portico: where to listen cannot be read:\n");
            complain_about_all(complaints, text, read.error());
            wrong = true;
            continue;
        }
        for (const auto& each : *read) {
            const auto some = flags_.wishes_for(each);
            all.insert(all.end(), some.begin(), some.end());
        }
    }
    return wrong ? std::nullopt : std::optional{std::move(all)};
}

} // namespace portico::app
