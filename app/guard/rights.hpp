// Which rights the host keeps after its start.
#pragma once

#include "config/config.hpp"

#include "portico/os/privileges.hpp"
#include "portico/run/program.hpp"

#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// What becomes of this process when its sockets are open.
struct rights_plan {
    std::optional<os::new_identity> becomes{}; // nullopt: it stays who it is
    std::string user;                          // its name
    std::string remark;                        // why something cannot be as it was asked for
    // With the same user, these capabilities alone are kept; nullopt: all, for no user is named.
    std::optional<os::capability_set> keeps{};
    bool stays_root = false; // because no user is named
    bool binder = false;     // it has the right to ports below 1024, and gives it to a binder
};

// `user` and `group` are names or numbers; with an empty user nothing is given up. The primary and
// supplementary groups are the user's, unless `group` names another primary one. Ports below 1024
// can still be opened by a reload, if that is possible now. `also`: what the programs of the
// services need, see rights_to_start(); it is an error when it is not there. `binder`: a binder is
// asked for, and this process keeps no right to such ports. The error names the key of [serve].
[[nodiscard]] or_setting_error<rights_plan> plan_rights(const std::string& user,
                                                        const std::string& group,
                                                        os::capability_set also,
                                                        bool binder = false);

// Which of both are not there, empty ones aside.
[[nodiscard]] std::vector<setting_error> find_account_faults(const std::string& user,
                                                             const std::string& group);

// The capabilities that it takes to start such a program, and to end it; those of all programs.
[[nodiscard]] os::capability_set rights_to_start(const run::program_options& program);
[[nodiscard]] os::capability_set rights_to_start(const std::vector<service_config>& services);

// Does so, for good: and no program gets more rights than this process has. Before threads are
// started. The error is for a person.
[[nodiscard]] tl::expected<void, std::string> give_up_rights(const rights_plan& plan);

// "becomes user portico (990), keeps cap_net_bind_service"
[[nodiscard]] std::string to_text(const rights_plan& plan);

} // namespace portico::app
