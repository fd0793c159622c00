#include "listen/socket_file.hpp"

#include <cerrno>
#include <thread>

namespace portico::run {
namespace {

bool is(std::error_code why, int number) noexcept {
    return why.value() == number && why.category() == std::system_category();
}

std::error_code code_of(const os::sys_status& done) noexcept {
    return done ? std::error_code{} : done.error();
}

// The holder needs microseconds, so waiting for it is a few naps of the thread at the start of the
// program, and bounded.
os::sys_result<os::fd> lock_for(const std::string& path) {
    constexpr std::chrono::milliseconds nap{2};
    auto lock = os::lock_directory_of(path);
    for (auto waited = nap; !lock && is(lock.error(), EWOULDBLOCK) && waited < file_lock_limit;
         waited += nap) {
        std::this_thread::sleep_for(nap);
        lock = os::lock_directory_of(path);
    }
    return lock;
}

// Nobody has the socket of this file: connecting is refused. A live one accepts, has a full queue
// (EAGAIN), or is of another type (EPROTOTYPE).
bool nobody_has(const ip::unix_name& name, ip::transport over) {
    const auto probe = os::socket(name, over);
    if (!probe) {
        return false;
    }
    const auto done = os::connect(*probe, name);
    return !done && is(done.error(), ECONNREFUSED);
}

// Removes the file of `name` if it is a socket that nobody has; says in `remarks` what it did.
bool remove_stale(const ip::unix_name& name, ip::transport over, made_file& told) {
    const std::string path{name.text()};
    const auto before = os::lstat(path);
    if (!before) {
        return is(before.error(), ENOENT); // gone in the meantime
    }
    if (!before->is_socket) {
        told.is_no_socket = true;
        told.remarks.push_back("the file " + path +
                               " is not a socket, and is left alone: choose another path");
        return false;
    }
    if (!nobody_has(name, over)) {
        told.remarks.push_back("another process has the socket " + path);
        return false;
    }
    const auto after = os::lstat(path);
    if (!after || after->which != before->which) {
        told.remarks.push_back("another process has just replaced " + path);
        return false;
    }
    if (const auto gone = os::unlink(path); !gone) {
        told.remarks.push_back("the stale socket file " + path +
                               " could not be removed: " + gone.error().message());
        return false;
    }
    told.remarks.push_back("removed the stale socket file " + path + ", which nobody had");
    return true;
}

// Gives back what the umask took away. Widening after bind is no danger, narrowing would be: but a
// kernel that ignored fchmod() must not leave a socket open to all.
std::error_code settle_mode(const std::string& path, unsigned mode, made_file& told) {
    const auto made = os::lstat(path);
    if (!made) {
        return made.error();
    }
    if (made->mode == mode) {
        return {};
    }
    if ((made->mode & ~mode) != 0) {
        told.remarks.push_back("the mode of " + path + " was wider for a moment");
    }
    return code_of(os::chmod(path, mode));
}

} // namespace

made_file bind_file(const os::fd& s, const ip::unix_name& name, ip::transport over,
                    std::optional<unsigned> mode, const std::function<std::error_code()>& then) {
    made_file told;
    const std::string path{name.text()};
    if (mode) {
        if (const auto done = os::fchmod(s, *mode); !done) {
            told.why = done.error();
            told.op = operation::set_option;
            return told;
        }
    }
    const auto lock = lock_for(path);
    auto done = os::bind(s, name);
    if (!done && is(done.error(), EADDRINUSE)) {
        if (!lock) {
            told.remarks.push_back("whether " + path +
                                   " is stale was not looked at: its directory could not be "
                                   "locked: " +
                                   lock.error().message());
        } else if (remove_stale(name, over, told)) {
            done = os::bind(s, name); // once: a file that is there now is not a stale one
        }
    }
    if (!done) {
        told.why = done.error();
        return told;
    }
    if (const auto found = os::lstat(path)) {
        told.which = found->which;
    }
    if (mode) {
        told.why = settle_mode(path, *mode, told);
        told.op = operation::set_option;
    }
    if (!told.why) {
        told.why = then();
        told.op = operation::listen;
    }
    if (told.why && told.which) {
        remove_file(name, *told.which);
        told.which.reset();
    }
    return told;
}

void remove_file(const ip::unix_name& name, const os::file_identity& which) noexcept {
    const std::string path{name.text()};
    const auto lock = os::lock_directory_of(path);
    const auto found = os::lstat(path);
    if (found && found->is_socket && found->which == which) {
        // Nothing can be done about a failure, and the next start takes a stale file away.
        static_cast<void>(os::unlink(path));
    }
}

} // namespace portico::run
