// portico listen ADDR... (--echo | ... | --to TARGET | -- PROGRAM): one service on every address.

#include "duration.hpp"
#include "listen_run.hpp"
#include "verb.hpp"

#include "portico/os/spawn.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

namespace portico::app {
namespace {

// ---- what is asked for ----

std::vector<std::string> services_asked(const listen_options& asked) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        if (asked.chosen[i]) {
            all.emplace_back(builtin_flags[i].name);
        }
    }
    if (!asked.relay.to.empty()) {
        all.emplace_back("--to");
    }
    if (asked.socks.is_asked) {
        all.emplace_back("--socks");
    }
    if (!asked.program.empty()) {
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
          "      -- PROGRAM ARG... run a program for each connection\n";
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

bool is_udp(const plan::wish& wish) {
    return wish.over == ip::transport::udp;
}

// A relay tells clients apart by their address and port, which those of UNIX sockets do not have.
bool relay_fits_udp(const listen_options& asked, const std::vector<plan::wish>& wishes) {
    const bool has_tcp = !std::all_of(wishes.begin(), wishes.end(), is_udp);
    if (const auto flag = connection_flag(asked.relay, has_tcp); !flag.empty()) {
        std::cerr << "portico: listen: " << flag
                  << " is about connections, and UDP has none; leave it out, or --udp\n";
        return false;
    }
    for (const auto& each : wishes) {
        if (is_udp(each) && std::holds_alternative<ip::unix_name>(each.where.where)) {
            std::cerr << "portico: listen: " << each.where.text
                      << ": datagrams of UNIX sockets are not relayed; listen on an IP address, or "
                         "without --udp\n";
            return false;
        }
    }
    // With --tcp they are read for both.
    if (const auto read = read_relay_flags(asked.relay, ip::transport::udp); !read) {
        std::cerr << "portico: listen: " << read.error()
                  << (read.error().ends_with('\n') ? "" : "\n");
        return false;
    }
    return true;
}

// UDP has no connections, so there is nothing to give to a program.
bool fits_transport(const listen_options& asked, const std::vector<plan::wish>& wishes) {
    if (std::none_of(wishes.begin(), wishes.end(), is_udp) || asked.builtin_service()) {
        return true;
    }
    if (asked.relay.is_asked()) {
        return relay_fits_udp(asked, wishes);
    }
    std::cerr << "portico: listen: " << services_asked(asked).front()
              << " works on connections, and UDP has none; use TCP (without --udp), a relay "
                 "(--to), or one of the built-in services\n";
    return false;
}

// What os::set_dead_after() takes.
bool dead_after_fits(const listen_options& asked) {
    const auto given = asked.dead_after.value_or(std::chrono::seconds{1});
    if (given >= std::chrono::seconds{1} && given <= std::chrono::hours{24 * 24}) {
        return true;
    }
    std::cerr << "portico: listen: --dead-after: from 1s to 24d\n";
    return false;
}

// ---- the service ----

tl::expected<service_choice, std::string> read_relay(const listen_options& asked,
                                                     ip::transport over) {
    auto relay = read_relay_flags(asked.relay, over);
    if (!relay) {
        return tl::unexpected{relay.error()};
    }
    service_choice made;
    if (!asked.relay.status.empty()) {
        const auto name = parse_status_name(asked.relay.status);
        if (!name) {
            return tl::unexpected{"--status: " + name.error()};
        }
        made.status = *name;
    }
    made.relay = *std::move(relay);
    made.associations = read_association_flags(asked.relay);
    if (asked.dead_after) {
        made.relay->settings.dead_after =
            std::chrono::ceil<std::chrono::seconds>(*asked.dead_after);
    }
    made.relay->settings.no_delay = !asked.nagle;
    return made;
}

tl::expected<service_choice, std::string> read_socks(const listen_options& asked) {
    auto socks = read_socks_flags(asked.socks, asked.relay);
    if (!socks) {
        return tl::unexpected{socks.error()};
    }
    service_choice made;
    made.socks = *std::move(socks);
    auto& settings = made.socks->options.settings;
    if (asked.dead_after) {
        settings.dead_after = std::chrono::ceil<std::chrono::seconds>(*asked.dead_after);
    }
    settings.no_delay = !asked.nagle;
    return made;
}

tl::expected<service_choice, std::string> read_program(const listen_options& asked) {
    const auto& name = asked.program.front();
    const char* path = std::getenv("PATH");
    const auto found = os::find_program(name, path == nullptr ? "/usr/bin:/bin" : path);
    if (!found) {
        return tl::unexpected{"the program " + name + ": " + found.error().message() +
                              (name.find('/') == std::string::npos
                                   ? "; it was looked for in the directories of PATH"
                                   : "")};
    }
    service_choice made;
    made.program.path = *found;
    made.program.arguments = asked.program;
    made.program.environment = os::environment();
    return made;
}

// The error is for a person.
tl::expected<service_choice, std::string> read_service(const listen_options& asked,
                                                       ip::transport over) {
    if (asked.socks.is_asked) {
        return read_socks(asked);
    }
    if (const auto flag = asked.socks.given(); !flag.empty()) {
        return tl::unexpected{
            std::string{flag} +
            " tells about a SOCKS server, and there is none: it goes with --socks"};
    }
    if (!asked.relay.to.empty()) {
        return read_relay(asked, over);
    }
    if (!asked.relay.status.empty()) {
        return tl::unexpected{
            std::string{"--status tells about a relay, and there is none: it goes with --to"}};
    }
    if (!asked.program.empty()) {
        return read_program(asked);
    }
    service_choice made;
    made.which = asked.builtin_service();
    return made;
}

int run_listen(const listen_options& asked) {
    if (!one_service(asked)) {
        return exit_code(side::caller);
    }
    auto wishes = asked.where.wishes(std::cerr);
    if (!wishes || !fits_transport(asked, *wishes) || !dead_after_fits(asked)) {
        return exit_code(side::caller);
    }
    const auto over = std::all_of(wishes->begin(), wishes->end(), is_udp) ? ip::transport::udp
                                                                          : ip::transport::tcp;
    auto choice = read_service(asked, over).and_then([&](service_choice made) {
        return read_admission_flags(asked.door).map([&](run::admission_settings door) {
            made.door = std::move(door);
            return std::move(made);
        });
    });
    if (!choice) {
        std::cerr << "portico: listen: " << choice.error()
                  << (choice.error().ends_with('\n') ? "" : "\n");
        return exit_code(side::caller);
    }
    return listen_run{asked, *std::move(choice)}.run(*std::move(wishes));
}

} // namespace

void add_listen(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand("listen", "answer connections on every address");
    const auto asked = std::make_shared<listen_options>(*verb);
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        verb->add_flag(builtin_flags[i].name, asked->chosen[i], builtin_flags[i].description);
    }
    add_relay_flags(*verb, asked->relay);
    add_socks_flags(*verb, asked->socks);
    add_admission_flags(*verb, asked->door);
    verb->add_option("--chargen-limit", asked->chargen_limit,
                     "bytes of one connection of --chargen; default 1048576")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 50));
    add_duration(*verb, "-w,--timeout", asked->timeout,
                 "how long names of ADDR may take to resolve; default 10s");
    add_duration(*verb, "--dead-after", asked->dead_after,
                 "give up a client or target that does not answer for so long");
    verb->add_flag("--nagle", asked->nagle, "let small writes wait (no TCP_NODELAY)");
    auto* quiet = verb->add_flag("-q,--quiet", asked->quiet, "log errors only");
    verb->add_flag("-v,--verbose", asked->verbose, "log more: also the start of connections")
        ->excludes(quiet);
    verb->add_option("--log-format", asked->log_format, "logfmt or json; default logfmt")
        ->check(CLI::IsMember({"logfmt", "json"}));
    verb->footer("signals:\n"
                 "  TERM   take no more connections, end with the last one (exit code 0)\n"
                 "  INT, or TERM again   end at once, connections are reset (exit code 0)\n"
                 "\n"
                 "examples:\n"
                 "  portico listen :7 --echo            both families\n"
                 "  portico listen localhost:0 --hello  both loopbacks, any one port\n"
                 "  portico listen [::]:13 --daytime --udp\n"
                 "  portico listen :8080 --to example.org:80\n"
                 "  portico listen unix:/tmp/s -- cat");
    verb->callback([asked, &call] {
        asked->program = call.program;
        call.exit_code = run_listen(*asked);
    });
}

} // namespace portico::app
