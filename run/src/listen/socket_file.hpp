// Binding a UNIX socket to a path: stale files, modes and races.
#pragma once

#include "portico/ip/unix_name.hpp"
#include "portico/os/listening.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace portico::run {

inline constexpr std::chrono::milliseconds file_lock_limit{200};

// How a socket got its file.
struct made_file {
    std::error_code why; // of bind, or of `then`
    operation op = operation::bind;
    bool is_no_socket = false; // a file that is there and is none: it would have to be removed
    std::optional<os::file_identity> which;
    std::vector<std::string> remarks;
};

// Binds `s` to `name`, a path, and calls `then` (which listens) before anybody else may take the
// file for a stale one.
//
// Mode: fchmod(2) before bind(2) makes the kernel create the file with that mode less the umask, so
// that it never has a wider one; what the umask took away is given back afterwards.
//
// Stale files: when bind says EADDRINUSE, the file is removed and bind tried once more only if it
// is a socket, connecting to it says ECONNREFUSED (nobody has it), and it is still the same file
// afterwards. Between bind and listen a live socket refuses too; so all of this, listening
// included, happens under a lock on the directory, which other portico processes respect. Without
// the lock (a directory that cannot be read, or another holder for more than file_lock_limit)
// nothing is ever removed.
[[nodiscard]] made_file bind_file(const os::fd& s, const ip::unix_name& name, ip::transport over,
                                  std::optional<unsigned> mode,
                                  const std::function<std::error_code()>& then);

// Removes the file if it is still the one that was made. Never fails: a file that is gone already
// is as good.
void remove_file(const ip::unix_name& name, const os::file_identity& which) noexcept;

} // namespace portico::run
