// What this process may do, and giving it up (credentials(7), capabilities(7)).
#pragma once

#include "portico/os/socket.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// ---- capabilities ----

// A set of them; bit n is the capability with the number n (CAP_NET_BIND_SERVICE ...), below 64.
using capability_set = std::uint64_t;

[[nodiscard]] constexpr capability_set one_capability(unsigned capability) noexcept {
    return capability_set{1} << capability;
}
[[nodiscard]] constexpr bool has_capability(capability_set set, unsigned capability) noexcept {
    return (set >> capability & 1U) != 0;
}
// "cap_net_bind_service"; "cap_63" for one that has no name here.
[[nodiscard]] std::string capability_name(unsigned capability);
// The number of a name, with "cap_" in front or without, in small or capital letters; nullopt for
// one that is unknown.
[[nodiscard]] std::optional<unsigned> capability_number(std::string_view name) noexcept;
// Their names with ", " between them; "none" for the empty set.
[[nodiscard]] std::string capability_names(capability_set set);

// ---- what is there ----

struct privileges {
    std::array<uid_t, 3> users{};  // real, effective, saved
    std::array<gid_t, 3> groups{}; // the same
    std::vector<gid_t> supplementary;
    capability_set effective = 0; // what may be done now
    capability_set permitted = 0; // what may be made effective
    capability_set inheritable = 0;
    capability_set ambient = 0; // what a program that is executed has, too
    bool no_new_privileges = false;
};
// Of this thread. The errno of capget(2) or getgroups(2), which a system call filter may refuse.
[[nodiscard]] sys_result<privileges> read_privileges();

// ---- giving up ----

// Who this process is going to be.
struct new_identity {
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups{}; // the supplementary ones, and no others
    capability_set keep = 0;     // permitted and effective afterwards, and nothing else
};

// The steps, in order.
enum class drop_step : std::uint8_t {
    keep_capabilities, // PR_SET_KEEPCAPS of prctl(2)
    groups,            // setgroups(2)
    group,             // setresgid(2)
    user,              // setresuid(2)
    capabilities,      // capset(2)
    check,             // it is not as it was asked for after all; EPERM
};
struct drop_failure {
    drop_step step = drop_step::groups;
    std::error_code why;
};
// What the step did, for a person: "become user 33".
[[nodiscard]] std::string to_text(const drop_failure& failed, const new_identity& wanted);

// Becomes this user, for good: real, effective and saved ids. Programs that are started inherit no
// capability. After a failure the process may be half of each: end it.
//
// Needs CAP_SETGID and CAP_SETUID, also when nothing but the supplementary groups changes. EINVAL:
// the id does not exist in this user namespace; EPERM of `capabilities`: one that is to be kept is
// not permitted now. A process that has changed its user is not dumpable any more: it leaves no
// core file, and others of its user may not take descriptors from it (see pidfd.hpp).
//
// Threads: call it before others are started. The C library changes the ids of all threads, but
// capabilities are a thread's own: the others lose all of them.
[[nodiscard]] tl::expected<void, drop_failure> drop_to(const new_identity& wanted);

// Gives up all capabilities but these, of this thread and of the threads and programs that it
// starts; the user stays. Of these, programs have those that were ambient already. EPERM: one of
// them is not permitted now.
[[nodiscard]] sys_status keep_capabilities(capability_set keep) noexcept;

// From now on no program that this thread, or one that it starts, executes can have more rights
// than it has: set-user-ID files and capabilities of files have no effect (PR_SET_NO_NEW_PRIVS of
// prctl(2)). For good. Landlock and system call filters need it.
[[nodiscard]] sys_status set_no_new_privileges() noexcept;

} // namespace portico::os
