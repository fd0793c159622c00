// Users and groups by their names, from wherever this host keeps them (nsswitch.conf(5)).
//
// They read files and may ask servers: for a start, not for each connection. Threads: safe.
#pragma once

#include "portico/os/socket.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// One user (passwd(5)).
struct user_account {
    std::string name;
    uid_t user = 0;
    gid_t group = 0; // the primary one
    std::string home;
    std::string shell;
};

// nullopt: there is no such user. An error: it could not be found out.
[[nodiscard]] sys_result<std::optional<user_account>> getpwnam(std::string_view name);
[[nodiscard]] sys_result<std::optional<user_account>> getpwuid(uid_t user);

// The number of a group; nullopt when there is none of that name.
[[nodiscard]] sys_result<std::optional<gid_t>> getgrnam(std::string_view name);

// All the groups that login(1) would give this user, `group` among them.
[[nodiscard]] std::vector<gid_t> getgrouplist(const std::string& user, gid_t group);

} // namespace portico::os
