#include "host/host_guard.hpp"

#include "portico/ip/service.hpp"
#include "portico/os/listening.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace portico::app {
namespace {

constexpr std::uint16_t first_free_port = 1024;
constexpr std::string_view carried_binder = "binder";
constexpr std::string_view carried_sandbox = "sandbox";

ip::service_table services() {
    std::ifstream from{"/etc/services"};
    return ip::service_table::from_text(
        std::string{std::istreambuf_iterator<char>{from}, std::istreambuf_iterator<char>{}});
}

} // namespace

std::vector<port_range> binder_ports(const serve_config& config) {
    std::vector<port_range> all;
    for (const auto& each : config.binder_ports) {
        all.push_back(parse_port_range(each).value());
    }
    if (!all.empty()) {
        return all;
    }
    const auto known = services();
    std::set<std::uint16_t> low;
    for (const auto& service : config.services) {
        for (const auto& wish : service.wishes) {
            const auto* number = std::get_if<std::uint16_t>(&wish.where.port.value);
            const auto* name = std::get_if<std::string>(&wish.where.port.value);
            const auto port =
                number != nullptr ? *number : known.port(*name, wish.over).value_or(0);
            if (port != 0 && port < first_free_port) {
                low.insert(port);
            }
        }
    }
    for (const auto each : low) {
        all.push_back({each, each});
    }
    return all;
}

tl::expected<void, std::string> host_guard::take(std::vector<carried_thing>& from) {
    for (auto& each : from) {
        if (each.name == carried_binder && each.descriptor) {
            binder_ = binder::by(std::move(each.descriptor));
        } else if (each.name == carried_sandbox) {
            auto read = parse_sandbox(each.text);
            if (!read) {
                return tl::unexpected{read.error()};
            }
            in_force_ = *std::move(read);
        }
    }
    return {};
}

std::vector<carried_thing> host_guard::carried() const {
    std::vector<carried_thing> all;
    all.push_back({std::string{carried_sandbox}, to_json(in_force_)});
    if (binder_) {
        if (auto copy = os::dup(binder_->channel())) {
            all.push_back({std::string{carried_binder}, {}, *std::move(copy)});
        }
    }
    return all;
}

or_setting_error<void> host_guard::start_binder(const serve_config& config, event_log& log) {
    if (!config.binder || binder_) {
        return {};
    }
    const auto ports = binder_ports(config);
    if (!rights_.binder || ports.empty()) {
        log.write(severity::info, "there is no binder",
                  {{"detail",
                    std::string{rights_.binder ? "no service listens at a port below 1024, and no "
                                                 "binder-ports are given"
                                               : "this process has no cap_net_bind_service to give "
                                                 "to one"}}});
        return {};
    }
    auto made = binder::start(ports, rights_.becomes);
    if (!made) {
        return wrong_setting("binder", "it cannot be started: " + made.error());
    }
    binder_ = *std::move(made);
    return {};
}

or_setting_error<void> host_guard::enter(const serve_config& config, event_log& log) {
    if (auto done = start_binder(config, log); !done) {
        return done;
    }
    if (const auto done = give_up_rights(rights_); !done) {
        return wrong_setting("user", done.error());
    }
    if (rights_.stays_root) {
        log.write(
            severity::warning, "this process stays root",
            {{"hint", std::string{"name the user that it is to become as user in [serve]; or "
                                  "root, which keeps the capabilities alone that it needs"}}});
    }
    const auto plan = plan_sandbox(config, own_program_);
    const auto weight = config.sandbox == "on" ? severity::warning : severity::info;
    auto entered = enter_sandbox(plan, in_force_);
    for (const auto& each : entered.cannot) {
        log.write(weight, "not all of the sandbox is there", {{"detail", each}});
    }
    in_force_ = std::move(entered.in_force);
    return {};
}

std::string host_guard::find_shortage(const serve_config& next) const {
    return app::find_shortage(in_force_, next, own_program_);
}

run::bind_call host_guard::bind_call() {
    if (!binder_) {
        return {};
    }
    return [this](const os::fd& socket, const ip::endpoint& at) { return bind(socket, at); };
}

// What this process may do itself it does.
os::sys_status host_guard::bind(const os::fd& socket, const ip::endpoint& at) {
    auto done = os::bind(socket, at);
    if (done || done.error().value() != EACCES || at.port >= first_free_port) {
        return done;
    }
    return binder_->bind(socket, at);
}

} // namespace portico::app
