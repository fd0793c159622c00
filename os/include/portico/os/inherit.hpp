// Sockets handed over by the process that started us (sd_listen_fds(3)), spoken without libsystemd.
#pragma once

#include "portico/base/error.hpp"
#include "portico/plan/plan.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// The first inherited descriptor (SD_LISTEN_FDS_START).
constexpr int first_inherited = 3;

// The three variables as they stand in the environment.
struct listen_environment {
    std::optional<std::string> fds;   // LISTEN_FDS: how many, from descriptor 3 on
    std::optional<std::string> pid;   // LISTEN_PID: for which process
    std::optional<std::string> names; // LISTEN_FDNAMES: names, separated by ':'
};

// Reads the real environment and leaves it as it is. Threads: not while another thread changes it.
[[nodiscard]] listen_environment read_listen_environment();

// Why the sockets cannot be taken over, for a person: what is wrong, and what to do.
struct inherit_error {
    error why;
    std::string what; // "LISTEN_FDS=many: it is not a number"
    std::string hint; // "it is how many sockets the manager passes, from descriptor 3 on"
};

// The sockets meant for process `self`, in order, each made close-on-exec. None when LISTEN_FDS is
// unset, or LISTEN_PID names another process (both are usual: the variables reach children, too).
// A malformed value, a descriptor that is not open or not a socket, and names that are not as many
// as the sockets are errors (side::caller). Without LISTEN_FDNAMES the sockets have no names.
[[nodiscard]] tl::expected<std::vector<plan::inherited_socket>, inherit_error>
inherited_sockets(const listen_environment& given, pid_t self);

// What descriptor `number` is, for a wish such as "fd:3"; makes it close-on-exec. EBADF when it is
// not open, ENOTSOCK when it is not a socket.
[[nodiscard]] result<plan::inherited_socket> inspect_socket(int number);

// The interface that a socket bound to `at` takes packets from alone (SO_BINDTODEVICE); empty: all.
// At a link-local address the kernel binds it to the zone by itself: that is empty, too.
[[nodiscard]] std::string bound_device(int number, const ip::any_endpoint& at);

} // namespace portico::os
