// portico listen ADDR... (--echo | ... | --to TARGET | -- PROGRAM): one service on every address.

#include "config/keys.hpp"
#include "flags/duration.hpp"
#include "flags/wish_options.hpp"
#include "listen_run.hpp"
#include "log/journal_errors.hpp"
#include "log/log_environment.hpp"
#include "service/service_request.hpp"
#include "verb.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace portico::app {
namespace {

// ---- what is asked for ----

struct builtin_flag {
    serve::builtin which;
    const char* name;
    const char* description;
};
constexpr std::array<builtin_flag, 6> builtin_flags{{
    {serve::builtin::echo, "--echo", "send back what comes (RFC 862)"},
    {serve::builtin::discard, "--discard", "read and drop what comes (RFC 863)"},
    {serve::builtin::daytime, "--daytime", "tell the date and time as text (RFC 867)"},
    {serve::builtin::time, "--time",
     "tell the seconds since 1900 in 4 bytes, until 2036 (RFC 868)"},
    {serve::builtin::chargen, "--chargen", "send characters, as many as --chargen-limit (RFC 864)"},
    {serve::builtin::hello, "--hello", "tell the client both addresses, in one line"},
}};

struct listen_options {
    explicit listen_options(CLI::App& verb) : where{verb} {}
    wish_options where;
    std::array<bool, builtin_flags.size()> chosen{};
    service_request service;
    std::optional<duration> timeout;
    bool quiet = false;
    bool verbose = false;
    std::string log_format{};
    bool names = false;

    // The error is for a person.
    [[nodiscard]] tl::expected<log_settings, std::string> logging() const;
};

tl::expected<log_settings, std::string> listen_options::logging() const {
    return read_log_environment().map([this](const log_environment& said) {
        log_settings made;
        made.format =
            parse_log_format(log_format).value_or(said.format.value_or(app::log_format::logfmt));
        made.least = quiet     ? severity::error
                     : verbose ? severity::debug
                               : said.least.value_or(severity::info);
        made.journald = stderr_is_journald();
        made.names = names || said.names.value_or(false);
        return made;
    });
}

std::vector<std::string> services_asked(const listen_options& asked) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        if (asked.chosen[i]) {
            all.emplace_back(builtin_flags[i].name);
        }
    }
    if (!asked.service.relay.to.empty()) {
        all.emplace_back("--to");
    }
    if (asked.service.socks.is_asked) {
        all.emplace_back("--socks");
    }
    if (!asked.service.program.empty()) {
        all.emplace_back("-- PROGRAM");
    }
    return all;
}

void list_services(std::ostream& to) {
    to << "    choose one of these:\n";
    for (const auto& each : builtin_flags) {
        to << "      " << each.name << std::string(18 - std::string_view{each.name}.size(), ' ')
           << each.description << '\n';
    }
    to << "      --to HOST:PORT    relay each connection, or UDP client, to another service,\n"
          "                        which may be unix:/path\n"
          "      --socks           connect each client to where it says, by SOCKS 5\n"
          "      -- PROGRAM ARG... run a program for each connection, or UDP query\n";
}

// Whether there is exactly one service; explains it when not.
bool one_service(const listen_options& asked) {
    const auto all = services_asked(asked);
    if (all.size() == 1) {
        return true;
    }
    if (all.empty()) {
        std::cerr << "portico: listen: what is to answer the connections is missing\n";
    } else {
        std::cerr << "portico: listen: one service at a time, and there are " << all.size() << ':';
        for (const auto& each : all) {
            std::cerr << ' ' << each;
        }
        std::cerr << '\n';
    }
    list_services(std::cerr);
    return false;
}

kind_set kind_of(const listen_options& asked) {
    return !asked.service.program.empty()   ? kind::program
           : asked.service.relay.is_asked() ? kind::relay
           : asked.service.socks.is_asked   ? kind::socks
           : asked.service.builtin == serve::builtin::chargen
               ? kind_set{kind::builtin | kind::chargen}
               : kind::builtin;
}

// Why an option would do nothing, and what to do; empty: it does something.
std::string why_useless(const key& which, const listen_options& asked,
                        const std::vector<plan::wish>& wishes) {
    if ((which.kinds & kind_of(asked)) == 0) {
        std::string meant;
        for (const auto& kind : all_kinds()) {
            if ((which.kinds & kind.bit) != 0) {
                meant += (meant.empty() ? "" : " or ") + std::string{kind.what};
            }
        }
        return "it is for " + (meant.empty() ? "--chargen" : meant) +
               ", and would do nothing here; leave it out";
    }
    const bool udp_alone = std::all_of(wishes.begin(), wishes.end(), [](const auto& each) {
        return each.over == ip::transport::udp;
    });
    if (which.over == carries::tcp && udp_alone) {
        return "it is about connections, and UDP has none; leave it out, or --udp";
    }
    return which.name == "mode" && !has_socket_file(wishes)
               ? "it is about the file of a UNIX socket, and there is none; leave it out"
               : "";
}

// Whether the service heeds all flags that were given, by the table that the keys of a file are
// held against; explains it when not.
bool heeds_all(const CLI::App& verb, const listen_options& asked,
               const std::vector<plan::wish>& wishes) {
    for (const auto& each : all_keys()) {
        const auto* option = verb.get_option_no_throw("--" + std::string{each.name});
        if (each.in != table::service || option == nullptr || option->count() == 0) {
            continue;
        }
        if (const auto why = why_useless(each, asked, wishes); !why.empty()) {
            std::cerr << "portico: listen: --" << each.name << ": " << why << '\n';
            return false;
        }
    }
    return true;
}

int run_listen(const CLI::App& verb, listen_options& asked) {
    const journal_errors errors;
    if (!one_service(asked)) {
        return exit_code(side::caller);
    }
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        if (asked.chosen[i]) {
            asked.service.builtin = builtin_flags[i].which;
        }
    }
    auto wishes = asked.where.wishes(std::cerr);
    if (!wishes || !heeds_all(verb, asked, *wishes)) {
        return exit_code(side::caller);
    }
    auto choice = read_service(asked.service, *wishes);
    if (!choice) {
        std::cerr << "portico: listen: " << choice.error().as_option() << '\n';
        return exit_code(side::caller);
    }
    const auto logging = asked.logging();
    if (!logging) {
        std::cerr << "portico: listen: " << logging.error() << '\n';
        return exit_code(side::caller);
    }
    listen_run now{*std::move(choice), *logging, asked.timeout.value_or(std::chrono::seconds{10})};
    return now.run(*std::move(wishes));
}

} // namespace

void add_listen(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand("listen", "answer connections on every address");
    const auto asked = std::make_shared<listen_options>(*verb);
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        verb->add_flag(builtin_flags[i].name, asked->chosen[i], builtin_flags[i].description);
    }
    add_relay_flags(*verb, asked->service.relay);
    add_socks_flags(*verb, asked->service.socks);
    add_program_flags(*verb, asked->service.programs);
    add_admission_flags(*verb, asked->service.door);
    verb->add_option("--chargen-limit", asked->service.chargen_limit,
                     "bytes of one connection of --chargen; default 1048576")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 50));
    add_duration(*verb, "-w,--timeout", asked->timeout,
                 "how long names of ADDR may take to resolve; default 10s");
    add_duration(*verb, "--dead-after", asked->service.dead_after,
                 "give up a client or target that does not answer for so long");
    verb->add_flag("--nagle", asked->service.nagle, "let small writes wait (no TCP_NODELAY)");
    auto* quiet = verb->add_flag("-q,--quiet", asked->quiet, "log errors only");
    verb->add_flag("-v,--verbose", asked->verbose, "log more: also the start of connections")
        ->excludes(quiet);
    verb->add_option("--log-format", asked->log_format, "logfmt or json; default logfmt")
        ->check(CLI::IsMember({"logfmt", "json"}));
    verb->add_flag("--log-names", asked->names,
                   "log what clients are called, if their names have their addresses; nobody waits "
                   "for it");
    verb->footer("signals:\n"
                 "  TERM   take no more connections, end with the last one (exit code 0)\n"
                 "  INT, or TERM again   end at once, connections are reset (exit code 0)\n"
                 "\n"
                 "examples:\n"
                 "  portico listen :7 --echo            both families\n"
                 "  portico listen localhost:0 --hello  both loopbacks, any one port\n"
                 "  portico listen [::]:13 --daytime --udp\n"
                 "  portico listen :8080 --to example.org:80\n"
                 "  portico listen unix:/tmp/s -- cat\n"
                 "  portico listen :79 --user nobody --time-limit 30s -- fingerd");
    verb->callback([verb, asked, &call] {
        asked->service.program = call.program;
        call.exit_code = run_listen(*verb, *asked);
    });
}

} // namespace portico::app
