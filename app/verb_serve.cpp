// portico serve FILE: many services in one process, each on every address.

#include "config/config.hpp"
#include "config/outer_settings.hpp"
#include "host/daemon.hpp"
#include "host/handover.hpp"
#include "host/manager_link.hpp"
#include "host/serve_check.hpp"
#include "host/serve_run.hpp"
#include "log/journal_errors.hpp"
#include "verb.hpp"

#include "portico/os/spawn.hpp"

#include <filesystem>
#include <iostream>
#include <memory>

namespace portico::app {
namespace {

struct serve_options {
    std::string file;
    std::string next; // --diff
    std::string pid_file;
    std::vector<std::string> set; // as they were given
    bool check = false;
    bool daemon = false;
    pid_t take_from = 0;
};

// Tells it a person, and the process that waits for this one to take over.
int refuse(std::string why) {
    if (!why.ends_with('\n')) {
        why += '\n';
    }
    std::cerr << "portico: serve: " << why;
    refuse_handover(why);
    return exit_code(side::caller);
}

// What is stronger comes later.
outer_variables read_outer(const serve_options& asked) {
    auto outer = read_outer_variables(os::environment());
    for (const auto& each : asked.set) {
        outer.settings.push_back(parse_outer_setting(each));
    }
    if (!asked.pid_file.empty()) {
        outer.settings.push_back({"--pid-file", "serve.pid-file", asked.pid_file});
    }
    return outer;
}

// The command line of the next process; it has our variables.
std::vector<std::string> command_line(const serve_options& asked) {
    std::vector<std::string> words{"portico", "serve", asked.file};
    for (const auto& each : asked.set) {
        words.insert(words.end(), {"--set", each});
    }
    if (!asked.pid_file.empty()) {
        words.insert(words.end(), {"--pid-file", asked.pid_file});
    }
    return words;
}

tl::expected<serve_config, int> read(const std::string& file, std::span<const outer_setting> outer,
                                     const std::string& instead_of = {}) {
    auto config = read_config(file, outer, find_account_faults, instead_of);
    if (!config) {
        return tl::unexpected{refuse("the configuration is wrong:\n" + to_text(config.error()))};
    }
    config->log.journald = stderr_is_journald();
    return *std::move(config);
}

// Where this program lies; what replaces it there is what a handover starts.
std::string own_program() {
    std::error_code wrong;
    return std::filesystem::read_symlink("/proc/self/exe", wrong).string();
}

void warn_of(const std::vector<diagnostic>& unknown, const log_settings& logging) {
    event_log log{logging};
    for (const auto& each : unknown) {
        log.write(severity::warning, "a variable that means nothing",
                  {{"variable", each.where.file}, {"detail", each.text}, {"hint", each.hint}});
    }
}

int run_serve(const serve_options& asked) {
    const journal_errors errors;
    manager_link manager; // first: what is started later must not have its variables
    auto outer = read_outer(asked);
    auto config = read(asked.file, outer.settings);
    if (!config || asked.check || !asked.next.empty()) {
        for (const auto& each : outer.unknown) { // there will be no log
            std::cerr << "portico: serve: " << to_text({each});
        }
    }
    if (!config) {
        return config.error();
    }
    if (asked.check) {
        return check_config(*config, own_program());
    }
    if (!asked.next.empty()) {
        const auto next = read(asked.next, outer.settings, asked.file);
        return next ? print_difference(*config, *next, own_program()) : next.error();
    }
    auto rights =
        plan_rights(config->user, config->group, rights_to_start(config->services), config->binder);
    if (!rights) {
        return refuse(to_text(std::vector{config->locate(rights.error())}));
    }
    daemon_start background;
    if (asked.daemon) {
        if (const auto why = find_daemon_trouble(config->log, manager.has_manager());
            !why.empty()) {
            std::cerr << "portico: serve: --daemon: " << why << '\n';
            return exit_code(side::caller);
        }
        auto begun = daemon_start::begin(config->log);
        if (!begun) {
            return begun.error();
        }
        background = *std::move(begun);
    }
    const auto logging = config->log;
    warn_of(outer.unknown, logging);
    const int code = serve_run{asked.file,
                               std::move(outer.settings),
                               *std::move(config),
                               logging,
                               {own_program(), command_line(asked), {}},
                               asked.take_from != 0 ? std::optional{asked.take_from} : std::nullopt,
                               std::move(manager),
                               host_guard{*std::move(rights), own_program()},
                               background}
                         .run();
    background.tell_failure(code);
    return code;
}

} // namespace

void add_serve(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand("serve", "many services, as a file says");
    const auto asked = std::make_shared<serve_options>();
    verb->add_option("FILE", asked->file, "what to serve, see portico.toml(5)")
        ->required()
        ->envname("PORTICO_CONFIG");
    auto* check = verb->add_flag("--check", asked->check,
                                 "say what is wrong with the file, or which sockets and services "
                                 "it makes; start nothing");
    verb->add_option("--set", asked->set,
                     "a setting, before what the file says of it: serve.user=www-data, "
                     "service.web.max-connections=10; the variables PORTICO_SERVE_USER and so on "
                     "come between, see portico.toml(5)")
        ->type_name("TABLE.KEY=VALUE")
        ->allow_extra_args(false);
    verb->add_option("--diff", asked->next,
                     "say what a reload with this file would open, keep and close; start nothing")
        ->type_name("FILE")
        ->excludes(check);
    verb->add_option("--take-from", asked->take_from,
                     "use the sockets of this process, which need not know of it, where FILE "
                     "wishes for them")
        ->type_name("PID")
        ->check(CLI::Range(1, 1 << 22).description(""));
    verb->add_flag("--daemon", asked->daemon,
                   "run in the background; this process ends when everything listens");
    verb->add_option("--pid-file", asked->pid_file,
                     "have the process number in this file, locked, so that no second one starts")
        ->type_name("FILE");
    verb->footer(
        "signals:\n"
        "  HUP    read the file again; what has not changed goes on, and an error changes\n"
        "         nothing\n"
        "  USR2   hand over to a new process of the program as it is now, which takes the\n"
        "         sockets; nobody is lost, and if it fails this one goes on\n"
        "  TERM   take no more connections, end with the last one (exit code 0)\n"
        "  INT, or TERM again   end at once, connections are reset (exit code 0)\n"
        "\n"
        "example:\n"
        "  portico serve /etc/portico.toml --check");
    verb->callback([asked, &call] { call.exit_code = run_serve(*asked); });
}

} // namespace portico::app
