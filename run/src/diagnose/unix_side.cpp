// UNIX sockets: the file, and who has it. Names say little: a server may have bound a relative one,
// or one through links, and in any network namespace.

#include "gather.hpp"

#include "portico/os/as_user.hpp"
#include "portico/os/users.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::run {
namespace {

using diagnose::act;
using diagnose::socket;
using kind = diagnose::socket_file::kind;

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

// Where a user without an entry has no group either.
os::new_identity identity_of(std::uint32_t uid) {
    constexpr gid_t nobody = 65534;
    os::new_identity who{uid, nobody};
    if (const auto account = os::getpwuid(uid); account && *account) {
        who.group = (*account)->group;
        who.groups = os::getgrouplist((*account)->name, who.group);
    }
    return who;
}

// sock_diag(7) has the lower half of the number.
bool same_inode(const diagnose::file_id& have, const os::file_identity& file) {
    return have.inode == (file.inode & 0xffff'ffffU);
}
bool is_of(const socket& which, const os::file_identity& file) {
    return which.file && which.file->device == file.device && same_inode(*which.file, file);
}
// Some file systems tell stat(2) of another device than the kernel itself has (btrfs, overlayfs).
bool may_be_of(const socket& which, const ip::unix_name& name, const os::file_identity& file) {
    return which.local == ip::any_endpoint{name} && (!which.file || same_inode(*which.file, file));
}

} // namespace

void fact_gatherer::unix_side(const ip::unix_name& name) {
    if (name.is_abstract()) {
        if (const auto diag = open_diag()) {
            add_unix_sockets(
                *diag, [&](const auto& each) { return each.local == ip::any_endpoint{name}; });
        }
        return;
    }
    const auto look = [&] { look_at_file(name); };
    if (made_.uid == ::geteuid()) {
        look();
    } else if (const auto done = os::as_user(identity_of(made_.uid), look); !done) {
        note("what user " + std::to_string(made_.uid) + " may do with the file", done.error());
        look();
    }
    if (file_ && made_.file->what == kind::socket) {
        find_file_owner(name);
    }
}

// As whoever asks may see it.
void fact_gatherer::look_at_file(const ip::unix_name& name) {
    const std::string path{name.text()};
    auto& made = made_.file.emplace();
    struct stat seen {};
    // connect(2) follows links, bind(2) does not.
    if ((asked_.what == act::bind ? ::lstat : ::stat)(path.c_str(), &seen) == 0) {
        file_ = os::file_identity{seen.st_dev, seen.st_ino};
        made.what = S_ISSOCK(seen.st_mode) ? kind::socket : kind::other;
        made.writable = ::access(path.c_str(), W_OK) == 0;
    } else if (const int missing = errno; missing == EACCES) {
        made.what = kind::hidden;
    } else if (::stat(directory_of(path).c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode)) {
        made.what = kind::no_directory;
        made.file_in_way = missing == ENOTDIR;
    } else {
        made.writable = ::access(directory_of(path).c_str(), W_OK | X_OK) == 0;
    }
}

void fact_gatherer::find_file_owner(const ip::unix_name& name) {
    const auto diag = open_diag();
    const auto its = [&](const auto& each) { return is_of(each, *file_); };
    if (diag) {
        add_unix_sockets(*diag, its);
    }
    if (made_.sockets.empty()) {
        each_namespace([&](const os::fd& there, const auto&) { add_unix_sockets(there, its); });
    }
    if (made_.sockets.empty()) {
        probe(name);
    }
    const bool refused = made_.file->probed == std::errc::connection_refused;
    if (diag && made_.sockets.empty() && !refused) {
        add_unix_sockets(*diag, [&](const auto& each) { return may_be_of(each, name, *file_); });
    }
}

// Nobody can be asked but the file itself.
void fact_gatherer::probe(const ip::unix_name& name) {
    const auto s = os::socket(name, asked_.over);
    const auto done = s ? os::connect(*s, name) : os::sys_status{tl::unexpected{s.error()}};
    made_.file->probed = done ? std::error_code{} : done.error();
}

void fact_gatherer::add_unix_sockets(const os::fd& diag,
                                     const std::function<bool(const socket&)>& wanted) {
    auto got = os::unix_sockets(diag);
    if (!got) {
        note("the UNIX sockets", got.error());
        return;
    }
    std::copy_if(got->begin(), got->end(), std::back_inserter(made_.sockets), wanted);
}

} // namespace portico::run
