#include "flags/socks_flags.hpp"

#include "flags/text_file.hpp"

#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace portico::app {
namespace {

or_setting_error<std::vector<admit::destination_rule>>
read_rules(const std::vector<std::string>& texts, admit::ruling what) {
    std::vector<admit::destination_rule> all;
    for (const auto& each : texts) {
        const auto rules = admit::parse_destination_rules(each, what);
        if (!rules) {
            const auto& wrong = rules.error();
            return wrong_setting(std::string{admit::to_text(what)} + "-to",
                                 "'" + each + "': " + wrong.what +
                                     (wrong.hint.empty() ? "" : "; " + wrong.hint));
        }
        all.insert(all.end(), rules->begin(), rules->end());
    }
    return all;
}

or_setting_error<admit::users> read_users(const std::string& name) {
    const auto text = read_text_file(name);
    if (!text) {
        return wrong_setting("socks-users", text.error());
    }
    auto users = admit::users::parse(*text);
    if (users) {
        return *std::move(users);
    }
    std::string lines;
    for (const auto& each : users.error()) {
        lines += (lines.empty() ? "" : "\n    ") + name + ':' + std::to_string(each.line) + ": " +
                 each.what;
    }
    return wrong_setting("socks-users", lines);
}

} // namespace

void add_socks_flags(CLI::App& verb, socks_flags& flags) {
    verb.add_flag("--socks", flags.is_asked,
                  "connect, or send datagrams, where clients say, by SOCKS 5; see --allow-to for "
                  "where they may");
    verb.add_option("--socks-users", flags.users,
                    "--socks: only for the users in this file, of lines user:password")
        ->type_name("FILE");
    verb.add_option("--allow-to", flags.allow_to,
                    "--socks: destinations that clients may reach, and no others: PREFIX:PORTS, "
                    "NAME:PORTS, *.NAME:PORTS or *:PORTS; several, with commas")
        ->type_name("DEST:PORTS");
    verb.add_option("--deny-to", flags.deny_to,
                    "--socks: destinations that they may not; the most exact one that fits counts")
        ->type_name("DEST:PORTS");
}

or_setting_error<socks_choice> read_socks_flags(const socks_flags& flags,
                                                const relay_flags& common) {
    socks_choice made;
    auto relay = read_relay_flags(common);
    if (!relay) {
        return tl::unexpected{relay.error()};
    }
    made.options.connect_timeout = relay->settings.connect_timeout;
    made.options.association_idle = common.idle_limit.value_or(made.options.association_idle);
    made.options.settings = std::move(relay->settings);
    for (const auto& [texts, what] : {std::pair{&flags.allow_to, admit::ruling::allow},
                                      std::pair{&flags.deny_to, admit::ruling::deny}}) {
        const auto some = read_rules(*texts, what);
        if (!some) {
            return tl::unexpected{some.error()};
        }
        made.options.rules.insert(made.options.rules.end(), some->begin(), some->end());
    }
    if (flags.users.empty()) {
        return made;
    }
    auto users = read_users(flags.users);
    if (!users) {
        return tl::unexpected{users.error()};
    }
    made.options.users = std::make_shared<const admit::users>(*std::move(users));
    struct stat facts {};
    if (::stat(flags.users.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0) {
        made.remarks.push_back(flags.users +
                               " has passwords, and everybody may read it: chmod o-r");
    }
    return made;
}

} // namespace portico::app
