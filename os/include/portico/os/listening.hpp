// What listening needs beyond the socket calls: the files of UNIX sockets, and a spare descriptor.
#pragma once

#include "portico/os/socket.hpp"

#include <cstdint>
#include <string>

namespace portico::os {

// IPV6_V6ONLY as it is now.
[[nodiscard]] sys_result<bool> v6only(int s) noexcept;

// Makes an inherited descriptor non-blocking and close-on-exec.
[[nodiscard]] sys_status make_ours(const fd& inherited) noexcept;

// A second descriptor of the same open file, close-on-exec and beyond the standard ones.
[[nodiscard]] sys_result<fd> dup(const fd& of) noexcept;

// On a listening TCP socket: whoever asks for a connection from now on is not answered, and asks
// again a second later, when somebody else is listening, or nobody. Who is half-way in is let in.
// It is a socket filter (SO_ATTACH_FILTER), and holds for all descriptors of the socket.
[[nodiscard]] sys_status ignore_new_connections(const fd& listening) noexcept;

// Takes that filter, or any other one, away again. A socket without one is as good.
void answer_new_connections(const fd& listening) noexcept;

// A descriptor of no use but to be closed when one is needed. Unlike a dup(2) it is an open file of
// its own, so that closing it helps against ENFILE as well as EMFILE.
[[nodiscard]] sys_result<fd> spare_descriptor() noexcept;

// Which file a path led to, whatever it is called later.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const file_identity&, const file_identity&) = default;
};
struct file_facts {
    file_identity which;
    bool is_socket = false;
    unsigned mode = 0; // permission bits
};
[[nodiscard]] sys_result<file_facts> lstat(const std::string& path) noexcept;
[[nodiscard]] sys_status unlink(const std::string& path) noexcept;
[[nodiscard]] sys_status chmod(const std::string& path, unsigned mode) noexcept;
// On a UNIX socket before bind(2): the mode that bind(2) gives the file, less the umask.
[[nodiscard]] sys_status fchmod(const fd& s, unsigned mode) noexcept;

// An exclusive flock(2) on the directory that `path` lies in, held until the descriptor is closed.
// EWOULDBLOCK when another process holds it.
[[nodiscard]] sys_result<fd> lock_directory_of(const std::string& path) noexcept;

} // namespace portico::os
