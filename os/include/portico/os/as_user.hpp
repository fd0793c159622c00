// Asking what another user may do.
#pragma once

#include "portico/os/privileges.hpp"

#include <functional>

namespace portico::os {

// Runs `what` on a thread of its own that has become this user, without capabilities unless it is
// root (`keep` is not heeded); the rest of the process stays as it is. EPERM without CAP_SETGID and
// CAP_SETUID; EINVAL: the id does not exist in this user namespace.
[[nodiscard]] sys_status as_user(const new_identity& who, const std::function<void()>& what);

} // namespace portico::os
