#include "flags/program_flags.hpp"

#include "flags/account.hpp"
#include "flags/duration.hpp"
#include "flags/environment_flags.hpp"
#include "flags/resource_limit.hpp"

#include "portico/os/spawn.hpp"
#include "portico/serve/environment.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

std::optional<std::uint32_t> read_number(std::string_view text, int base = 10) {
    std::uint32_t value = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, value, base);
    return wrong == std::errc{} && rest == end ? std::optional{value} : std::nullopt;
}

// ---- who it is ----

or_setting_error<os::user_account> read_user(const program_flags& flags) {
    auto found = find_user(flags.user);
    if (!found) {
        return wrong_setting("user", found.error());
    }
    if (*found) {
        return **std::move(found);
    }
    if (flags.group.empty()) {
        return wrong_setting("user", "user " + flags.user +
                                         " has no name on this host, so its group is not known; "
                                         "give --group as well");
    }
    return os::user_account{{}, read_number(flags.user).value(), {}, {}, {}};
}

or_setting_error<gid_t> read_group(const char* setting, const std::string& text) {
    auto found = find_group(text);
    return found ? or_setting_error<gid_t>{*found} : wrong_setting(setting, found.error());
}

bool is_our_own(const os::user_account& who) {
    return ::geteuid() != 0 && who.user == ::getuid() && who.user == ::geteuid() &&
           who.group == ::getgid() && who.group == ::getegid();
}

// HOME and so on are of the user that it becomes. Who has no name has none of them, and not ours.
void set_account_variables(const os::user_account& who, std::vector<std::string>& environment) {
    std::erase_if(environment, [](const std::string& each) {
        return each.starts_with("USER=") || each.starts_with("LOGNAME=") ||
               each.starts_with("HOME=") || each.starts_with("SHELL=");
    });
    if (who.name.empty()) {
        return;
    }
    environment.insert(environment.end(), {"USER=" + who.name, "LOGNAME=" + who.name,
                                           "HOME=" + who.home, "SHELL=" + who.shell});
}

or_setting_error<void> read_ids(const program_flags& flags, run::program_options& into) {
    auto& how = into.settings;
    if (!flags.group.empty()) {
        const auto group = read_group("group", flags.group);
        if (!group) {
            return tl::unexpected{group.error()};
        }
        how.group = *group;
    }
    if (flags.user.empty() && !flags.host_user.empty()) {
        if (const auto who = find_user(flags.host_user); who && *who) { // else it cannot be become
            set_account_variables(**who, into.environment);
        }
    }
    if (!flags.user.empty()) {
        auto who = read_user(flags);
        if (!who) {
            return tl::unexpected{who.error()};
        }
        set_account_variables(*who, into.environment);
        who->group = how.group.value_or(who->group);
        // Nobody needs to be root to stay who he is.
        const bool stays = is_our_own(*who) && flags.groups.empty();
        how.user = stays ? std::nullopt : std::optional{who->user};
        how.group = stays ? std::nullopt : std::optional{who->group};
        if (!stays) { // those that we have are ours
            how.groups = who->name.empty() ? std::vector{who->group}
                                           : os::getgrouplist(who->name, who->group);
        }
    }
    if (!flags.groups.empty()) {
        how.groups.emplace();
    }
    for (const auto& each : flags.groups) {
        const auto group = read_group("groups", each);
        if (!group) {
            return tl::unexpected{group.error()};
        }
        how.groups->push_back(*group);
    }
    return {};
}

// ---- where it is ----

std::string absolute(const std::string& path) {
    std::error_code wrong;
    const auto made = std::filesystem::absolute(path, wrong);
    return wrong ? path : made.string();
}

or_setting_error<void> read_place(const program_flags& flags, run::program_options& into) {
    auto& how = into.settings;
    if (!flags.chroot.empty()) {
        how.root = absolute(flags.chroot);
        if (std::error_code wrong; !std::filesystem::is_directory(how.root, wrong)) {
            return wrong_setting("chroot",
                                 how.root + (wrong ? ": " + wrong.message() : " is no directory"));
        }
    }
    if (flags.cwd.empty()) {
        return {};
    }
    if (!how.root.empty() && !flags.cwd.starts_with('/')) {
        return wrong_setting("cwd", "'" + flags.cwd +
                                        "' does not begin with '/'; with --chroot it is a "
                                        "directory as the program will see it");
    }
    how.directory = how.root.empty() ? absolute(flags.cwd) : flags.cwd;
    if (std::error_code wrong;
        how.root.empty() && !std::filesystem::is_directory(how.directory, wrong)) {
        return wrong_setting("cwd",
                             how.directory + (wrong ? ": " + wrong.message() : " is no directory"));
    }
    return {};
}

// As the program will find others: by the PATH that it gets.
std::string path_in(const std::vector<std::string>& environment) {
    for (const auto& each : environment) {
        if (each.starts_with("PATH=")) {
            return each.substr(5);
        }
    }
    return "/usr/bin:/bin";
}

// What the program is instead, where only "Permission denied" is known of it.
std::string why_not(const std::string& name, const std::string& root, std::error_code why) {
    if (why != std::errc::permission_denied || !root.empty() ||
        name.find('/') == std::string::npos) {
        return why.message();
    }
    std::error_code unknown;
    const auto is = std::filesystem::status(name, unknown);
    if (std::filesystem::is_directory(is)) {
        return "it is a directory";
    }
    const auto all = std::filesystem::perms::owner_exec | std::filesystem::perms::group_exec |
                     std::filesystem::perms::others_exec;
    const bool nobody = std::filesystem::is_regular_file(is) &&
                        (is.permissions() & all) == std::filesystem::perms::none;
    return why.message() + (nobody ? "; it is not executable (chmod +x makes it so)" : "");
}

or_setting_error<void> find_it(const program_flags& flags, run::program_options& into) {
    const auto& name = into.arguments.front();
    const auto& root = into.settings.root;
    auto found = os::find_program(name, path_in(into.environment), root);
    if (!found) {
        return wrong_setting({}, "the program " + name + ": " + why_not(name, root, found.error()) +
                                     (name.find('/') == std::string::npos
                                          ? "; it was looked for in the directories of PATH"
                                          : "") +
                                     (root.empty() ? "" : ", in " + root));
    }
    // It is executed in another directory than it was found from.
    into.path = flags.cwd.empty() || !root.empty() ? *std::move(found) : absolute(*found);
    return {};
}

// ---- the rest ----

or_setting_error<void> read_small(const program_flags& flags, run::program_options& into) {
    if (!flags.umask.empty()) {
        const auto mask = read_number(flags.umask, 8);
        if (!mask || *mask > 0777) {
            return wrong_setting("umask", "'" + flags.umask +
                                              "' is no umask: write it in octal digits, such as "
                                              "022, at most 777");
        }
        into.settings.mask = *mask;
    }
    for (const auto& each : flags.rlimit) {
        const auto limit = parse_resource_limit(each);
        if (!limit) {
            return wrong_setting("rlimit", "'" + each + "': " + limit.error());
        }
        into.settings.limits.push_back(*limit);
    }
    into.settings.nice = flags.nice;
    into.time_limit = flags.time_limit;
    if (into.time_limit && *into.time_limit <= duration::zero()) {
        return wrong_setting("time-limit", "it has to be longer than nothing");
    }
    into.errors = flags.errors == "log"          ? run::error_output::log
                  : flags.errors == "connection" ? run::error_output::connection
                                                 : run::error_output::inherit;
    if (flags.wait && into.errors == run::error_output::connection) {
        return wrong_setting("stderr", "with --wait there is no connection that the program's "
                                       "stderr could go to; use log or inherit");
    }
    return {};
}

} // namespace

void add_program_flags(CLI::App& verb, program_flags& flags) {
    verb.add_flag("--wait", flags.wait,
                  "one program takes the connections, or datagrams, from the socket by itself, and "
                  "is started again when it has ended and somebody waits");
    verb.add_option("--user", flags.user,
                    "the program becomes this user, with its groups; a name or a number")
        ->type_name("USER");
    verb.add_option("--group", flags.group, "instead of the user's own group")->type_name("GROUP");
    verb.add_option("--groups", flags.groups, "instead of the user's supplementary groups")
        ->type_name("GROUP,...")
        ->delimiter(',');
    verb.add_option("--chroot", flags.chroot, "the program sees this directory as /")
        ->type_name("DIR");
    verb.add_option("--cwd", flags.cwd, "its working directory")->type_name("DIR");
    verb.add_option("--umask", flags.umask, "in octal, such as 022")->type_name("MASK");
    verb.add_option("--rlimit", flags.rlimit,
                    "a limit of its resources, such as nofile=100, as=1G or cpu=30s:60s")
        ->type_name("NAME=SOFT[:HARD]")
        ->delimiter(',');
    verb.add_option("--nice", flags.nice, "its nice value")->check(CLI::Range(-20, 19));
    verb.add_option("--env", flags.env, "a variable of its environment")->type_name("NAME=VALUE");
    verb.add_option("--env-file", flags.env_file, "a file with such lines")->type_name("FILE");
    add_duration(verb, "--time-limit", flags.time_limit,
                 "end a program that runs for longer, with all of its processes");
    verb.add_option("--stderr", flags.errors,
                    "where a program's stderr goes: to ours (inherit, the default), to the log, "
                    "line by line, or to the client (connection)")
        ->check(CLI::IsMember({"inherit", "log", "connection"}));
}

or_setting_error<run::program_options> read_program_flags(const program_flags& flags,
                                                          const std::vector<std::string>& command) {
    run::program_options made;
    made.arguments = command;
    made.environment = serve::inheritable(os::environment());
    or_setting_error<void> done;
    for (const auto read : {read_ids, read_place, read_small, read_variables, find_it}) {
        done = done ? read(flags, made) : done;
    }
    if (!done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

} // namespace portico::app
