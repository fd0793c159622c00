// A private network in which all users of the machine are there.
#pragma once

#include <optional>
#include <string>

namespace portico::testkit {

// Call in main() before reexecute_in_private_network(), which gives a program only one user: runs
// this program again in new network and mount namespaces, but not in a user namespace. For the root
// of the machine; else, and when it is impossible or not wanted, it just returns.
void reexecute_with_all_users(int argc, char** argv);

// Why there is only one user; nullopt when all are there, and this process may become them.
[[nodiscard]] std::optional<std::string> all_users_refusal();

} // namespace portico::testkit
