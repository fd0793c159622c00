#include "wish_options.hpp"

#include <ostream>
#include <string_view>
#include <utility>

namespace portico::app {
namespace {

// CLI11's convention: empty when the text is right, else what is wrong with it.
std::string check_mode(const std::string& text) {
    const bool octal = !text.empty() && text.size() <= 5 &&
                       text.find_first_not_of("01234567") == std::string::npos;
    return octal && std::stoul(text, nullptr, 8) <= 0777
               ? ""
               : "'" + text + "' is not a mode: write permission bits in octal, e.g. 0660";
}

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

} // namespace

wish_options::wish_options(CLI::App& verb) {
    verb.add_option("ADDR", addresses_,
                    "where to listen: :80, 127.0.0.1:80, [::1]:80, localhost:http, @eth0:53, "
                    "unix:/path, unix:@name, fd:3, sd:name")
        ->required();
    auto* v4 = verb.add_flag("-4", only_v4_, "IPv4 only");
    auto* v6 = verb.add_flag("-6", only_v6_, "IPv6 only");
    v4->excludes(v6);
    auto* udp = verb.add_flag("-u,--udp", udp_, "UDP instead of TCP");
    verb.add_flag("--tcp", tcp_, "with --udp: TCP as well")->needs(udp);
    auto* required =
        verb.add_flag("--required", required_, "fail unless each ADDR has at least one socket");
    verb.add_flag("--both-families", both_families_,
                  "fail unless each ADDR has an IPv4 and an IPv6 socket")
        ->excludes(v4)
        ->excludes(v6)
        ->excludes(required);
    verb.add_flag("--reuseport", reuse_port_, "share the port with other processes (SO_REUSEPORT)");
    verb.add_flag("--freebind", freebind_, "bind to addresses that are not there yet");
    verb.add_option("--backlog", backlog_,
                    "connections that may wait for accept; default: net.core.somaxconn")
        ->check(CLI::Range(1, 1 << 20));
    verb.add_option("--mode", mode_, "permission bits of a socket file, e.g. 0660")
        ->type_name("OCTAL")
        ->check(CLI::Validator{check_mode, ""});
}

std::optional<std::vector<plan::wish>> wish_options::wishes(std::ostream& complaints) const {
    std::vector<plan::wish> all;
    bool wrong = false;
    for (const auto& text : addresses_) {
        auto read = ip::parse_listen_addresses(text);
        if (!read) {
            complaints << (wrong ? "" : "portico: where to listen cannot be read:\n");
            complain_about_all(complaints, text, read.error());
            wrong = true;
            continue;
        }
        for (auto& each : *read) {
            if (!udp_ || tcp_) {
                all.push_back(wish_for(each, ip::transport::tcp));
            }
            if (udp_) {
                all.push_back(wish_for(std::move(each), ip::transport::udp));
            }
        }
    }
    return wrong ? std::nullopt : std::optional{std::move(all)};
}

plan::wish wish_options::wish_for(ip::listen_address where, ip::transport over) const {
    plan::wish made;
    made.where = std::move(where);
    made.over = over;
    made.needed = both_families_ ? plan::need::both_families
                  : required_    ? plan::need::required
                                 : plan::need::optional;
    if (only_v4_ || only_v6_) {
        made.only = only_v4_ ? ip::family::v4 : ip::family::v6;
    }
    made.reuse_port = reuse_port_;
    made.freebind = freebind_;
    made.backlog = backlog_;
    if (!mode_.empty()) {
        made.unix_mode = static_cast<unsigned>(std::stoul(mode_, nullptr, 8));
    }
    return made;
}

} // namespace portico::app
