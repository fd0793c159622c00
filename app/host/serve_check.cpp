#include "host/serve_check.hpp"

#include "host/fixed_settings.hpp"
#include "host/host_guard.hpp"

#include "portico/os/clock.hpp"
#include "portico/plan/difference.hpp"
#include "portico/run/listen_facts.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string_view>

namespace portico::app {
namespace {

std::vector<plan::wish> wishes_of(const serve_config& config) {
    std::vector<plan::wish> all;
    for (const auto& each : config.services) {
        all.insert(all.end(), each.wishes.begin(), each.wishes.end());
    }
    return all;
}

// The name of the service that each wish is of.
std::vector<std::string_view> owners(const serve_config& config) {
    std::vector<std::string_view> all;
    for (const auto& each : config.services) {
        all.insert(all.end(), each.wishes.size(), each.name);
    }
    return all;
}

// nullopt: it has said why not.
std::optional<plan::facts> gather(const serve_config& config,
                                  const std::vector<plan::wish>& wishes) {
    run::listen_facts facts;
    boost::asio::io_context context;
    const auto limit = config.timeout.value_or(std::chrono::seconds{10});
    run::async_listen_facts(context.get_executor(), wishes, deadline::after(os::now(), limit),
                            [&facts](run::listen_facts got) { facts = std::move(got); });
    context.run();
    if (facts.why) {
        std::cerr << "portico: serve: " << facts.what << '\n';
        if (!facts.hint.empty()) {
            std::cerr << "    " << facts.hint << '\n';
        }
        return std::nullopt;
    }
    for (const auto& each : facts.unknown) {
        std::cerr << "portico: serve: " << each << '\n';
    }
    return std::move(facts.known);
}

std::string kind_of(const service_config& which) {
    const auto& asked = which.request;
    if (which.part) {
        return *which.part == own_part::status    ? "how this process is doing"
               : *which.part == own_part::control ? "what this process is to do"
                                                  : "metrics for Prometheus";
    }
    if (asked.builtin) {
        return std::string{serve::to_text(*asked.builtin)};
    }
    const auto listed = [](std::string text, const std::vector<std::string>& all) {
        for (const auto& each : all) {
            text += ' ' + each;
        }
        return text;
    };
    return asked.socks.is_asked     ? "SOCKS"
           : asked.relay.is_asked() ? listed("relay to", asked.relay.to)
                                    : listed("program", asked.program);
}

std::string about_binder(const serve_config& config, bool is_possible) {
    if (!config.binder) {
        return "none";
    }
    const auto ports = binder_ports(config);
    return ports.empty()  ? "none, because no service listens at a port below 1024"
           : !is_possible ? "none, because this process has no cap_net_bind_service to give to it"
                          : "a process that binds to " + to_text(ports) + " and nothing else";
}

// Sockets that two services wish for.
std::string conflicts(const plan::plan& made, const std::vector<plan::wish>& wishes,
                      const std::vector<std::string_view>& of) {
    std::string lines;
    for (const auto& each : made.sockets) {
        for (const auto other : each.also_for) {
            if (of[each.wish] != of[other]) {
                lines += "service " + std::string{of[other]} + ": " + wishes[other].where.text +
                         ": service " + std::string{of[each.wish]} + " listens at " +
                         ip::to_text(each.at) + " already\n";
            }
        }
    }
    return lines;
}

std::optional<std::string> missing_directory(const std::string& file) {
    std::error_code wrong;
    const auto path = std::filesystem::absolute(file, wrong).lexically_normal().parent_path();
    return std::filesystem::is_directory(path, wrong) ? std::nullopt : std::optional{path.string()};
}

// Files that would have to be made where no directory is. Below /run a manager makes it when it
// starts the service (RuntimeDirectory=), and that is a remark alone.
struct missing_places {
    std::string faults{};
    std::string remarks{};

    void look_at(const std::string& file, const auto& config, std::string setting) {
        const auto directory = missing_directory(file);
        if (!directory) {
            return;
        }
        auto& into = *directory == "/run" || directory->starts_with("/run/") ? remarks : faults;
        into += to_text(std::vector{config.locate(
            setting_error{std::move(setting), file + ": there is no directory " + *directory +
                                                  "\nmake it, or name another place"})});
    }
};

// Optional sockets may be missing, as long as a service has one.
bool is_needed(const service_config& of, const plan::wish& which) {
    return which.needed != plan::need::optional || of.wishes.size() == 1;
}

missing_places find_missing_places(const serve_config& config) {
    missing_places found;
    for (const auto& each : config.services) {
        for (const auto& wish : each.wishes) {
            const auto* name = std::get_if<ip::unix_name>(&wish.where.where);
            if (name != nullptr && !name->is_abstract() && is_needed(each, wish)) {
                found.look_at(std::string{name->text()}, each, each.part ? "" : "listen");
            }
        }
    }
    if (!config.pid_file.empty()) {
        found.look_at(config.pid_file, config, "pid-file");
    }
    return found;
}

} // namespace

int check_config(const serve_config& config, const std::string& own_program) {
    const auto wishes = wishes_of(config);
    const auto of = owners(config);
    const auto known = gather(config, wishes);
    if (!known) {
        return exit_code(side::caller);
    }
    const auto made = plan::make_plan(wishes, *known);
    for (const auto& each : config.services) {
        std::cout << "service " << each.name << ": " << kind_of(each) << '\n';
    }
    const auto rights =
        plan_rights(config.user, config.group, rights_to_start(config.services), config.binder);
    std::cout << "rights: " << (rights ? to_text(*rights) : rights.error().text) << '\n'
              << "binder: " << about_binder(config, rights && rights->binder) << '\n'
              << explain_sandbox(plan_sandbox(config, own_program)) << '\n'
              << plan::to_text(made, wishes);
    const auto missing = plan::judge(wishes, made, std::vector<bool>(made.sockets.size(), true));
    const auto twice = conflicts(made, wishes, of);
    const bool has_fault =
        std::any_of(made.remarks.begin(), made.remarks.end(),
                    [](const auto& each) { return each.how == plan::remark::weight::fault; });
    if (missing) {
        std::cerr << "portico: serve: this cannot start: " << missing->text << '\n';
    }
    if (!twice.empty()) {
        std::cerr << "portico: serve: this cannot start:\n" << twice;
    }
    if (!rights) {
        std::cerr << "portico: serve: this cannot start:\n"
                  << to_text(std::vector{config.locate(rights.error())});
    }
    const auto places = find_missing_places(config);
    if (!places.faults.empty()) {
        std::cerr << "portico: serve: this cannot start:\n" << places.faults;
    }
    if (!places.remarks.empty()) {
        std::cerr << "portico: serve: this cannot start, unless a manager makes the directory:\n"
                  << places.remarks;
    }
    return missing || !places.faults.empty() || has_fault || !twice.empty() || !rights
               ? exit_code(side::caller)
               : 0;
}

int print_difference(const serve_config& now, const serve_config& next,
                     const std::string& own_program) {
    const auto before = wishes_of(now);
    const auto after = wishes_of(next);
    const auto known_before = gather(now, before);
    const auto known_after = gather(next, after);
    if (!known_before || !known_after) {
        return exit_code(side::caller);
    }
    std::vector<plan::held_socket> held;
    for (const auto& each : plan::make_plan(before, *known_before).sockets) {
        held.push_back({each.at, each.over, each.v6only, each.inherited, before[each.wish].where,
                        each.interface});
    }
    const auto made = plan::make_plan(after, *known_after);
    const auto which = plan::compare(made, after, held);
    std::cout << plan::to_text(which, made, after, held);
    for (const auto& each : next.services) {
        const auto old = std::find_if(now.services.begin(), now.services.end(),
                                      [&](const auto& one) { return one.name == each.name; });
        std::cout << (old == now.services.end() ? "start  "
                      : old->text == each.text  ? "go on  "
                                                : "change ")
                  << "service " << each.name << '\n';
    }
    for (const auto& each : now.services) {
        if (std::none_of(next.services.begin(), next.services.end(),
                         [&](const auto& one) { return one.name == each.name; })) {
            std::cout << "stop   service " << each.name << '\n';
        }
    }
    if (const auto fixed = find_fixed_changes(now, next); !fixed.empty()) {
        std::cout << "needs a restart: " << fixed << '\n';
    }
    if (const auto why = find_shortage(plan_sandbox(now, own_program), next, own_program);
        !why.empty()) {
        std::cout << "not by a reload: " << why << '\n';
        return exit_code(side::caller);
    }
    return 0;
}

} // namespace portico::app
