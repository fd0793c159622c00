// What the host gives up when its sockets are open: its user, its capabilities, system calls and
// files; and what it keeps besides to open further sockets, here and in the next process.
#pragma once

#include "config/config.hpp"
#include "guard/binder.hpp"
#include "guard/rights.hpp"
#include "guard/sandbox.hpp"
#include "host/handover.hpp"
#include "log/log.hpp"

#include "portico/run/listen.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// The ports that a binder is for: those of [serve] binder-ports, else those below 1024 that the
// services listen at.
[[nodiscard]] std::vector<port_range> binder_ports(const serve_config& config);

// Threads: one.
class host_guard {
public:
    // `own_program`: what a handover starts.
    host_guard(rights_plan rights, std::string own_program)
        : rights_{std::move(rights)}, own_program_{std::move(own_program)} {}

    // From the process before us, and for the next one. The error is for a person.
    [[nodiscard]] tl::expected<void, std::string> take(std::vector<carried_thing>& from);
    [[nodiscard]] std::vector<carried_thing> carried() const;

    // All of it, for good, before threads are started. What could not be done and may be left is
    // logged; the error is for a person, with the setting in [serve] that it is about.
    [[nodiscard]] or_setting_error<void> enter(const serve_config& config, event_log& log);
    // Why a configuration needs more than is left; empty: it does not.
    [[nodiscard]] std::string find_shortage(const serve_config& next) const;
    // How sockets are bound; empty: as this process can. Valid as long as this object.
    [[nodiscard]] run::bind_call bind_call();
    // The binder's process if it is ours, to be reaped.
    [[nodiscard]] os::child take_child() { return binder_ ? binder_->take_child() : os::child{}; }

private:
    [[nodiscard]] os::sys_status bind(const os::fd& socket, const ip::endpoint& at);
    [[nodiscard]] or_setting_error<void> start_binder(const serve_config& config, event_log& log);

    rights_plan rights_;
    std::string own_program_;
    sandbox_plan in_force_; // already
    std::optional<binder> binder_;
};

} // namespace portico::app
