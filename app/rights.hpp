// Which rights the host keeps after its start.
#pragma once

#include "portico/os/privileges.hpp"

#include <optional>
#include <string>
#include <tl/expected.hpp>

namespace portico::app {

// What becomes of this process when its sockets are open.
struct rights_plan {
    std::optional<os::new_identity> becomes{}; // nullopt: it stays who it is
    std::string user;                          // its name
    std::string remark;                        // why something cannot be as it was asked for
};

// `user` and `group` are names or numbers; with an empty user nothing is given up. The primary and
// supplementary groups are the user's, unless `group` names another primary one. Ports below 1024
// can still be opened by a reload, if that is possible now. The error is for a person.
[[nodiscard]] tl::expected<rights_plan, std::string> plan_rights(const std::string& user,
                                                                 const std::string& group);

// Does so, for good: and no program gets more rights than this process has. Before threads are
// started. The error is for a person.
[[nodiscard]] tl::expected<void, std::string> give_up_rights(const rights_plan& plan);

// "becomes user portico (990), keeps cap_net_bind_service"
[[nodiscard]] std::string to_text(const rights_plan& plan);

} // namespace portico::app
