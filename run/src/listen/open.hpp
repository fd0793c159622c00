// From a plan to open sockets.
#pragma once

#include "portico/run/listen.hpp"

#include <vector>

namespace portico::run {

struct opened_plan {
    std::vector<bound_socket> sockets;   // in the order of the plan
    std::vector<open_attempt> attempts;  // one for each planned socket, in the same order
    std::vector<bool> bound;             // for plan::judge(); a covered socket counts
    std::vector<std::size_t> taken_over; // indices of `sockets` that were held
};

// Opens all that can be opened, or takes it from `held`; what cannot be has its error in
// `attempts`. Blocks for no longer than the system calls take; for a UNIX socket file perhaps as
// long as another process needs to replace a stale one in the same directory, at most
// file_lock_limit.
[[nodiscard]] opened_plan open_plan(const plan::plan& made, const std::vector<plan::wish>& wishes,
                                    std::vector<held_socket> held, const bind_call& bind = {});

// Whose doing a failed socket call is: an address that is taken may be free later, a forbidden
// port will not be allowed later.
[[nodiscard]] side blame(std::error_code why) noexcept;

} // namespace portico::run
