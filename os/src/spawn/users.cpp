#include "portico/os/users.hpp"
#include "socket/call.hpp"

#include <cerrno>
#include <cstddef>
#include <grp.h>
#include <pwd.h>

namespace portico::os {
namespace {

// A group with many members is large; this is 4 million of them.
constexpr std::size_t largest_entry = std::size_t{1} << 25;

// Calls one of the *_r functions with more room until it has enough.
template <class Entry, class Call>
sys_result<Entry*> look_up(Entry& entry, std::vector<char>& room, Call call) {
    Entry* found = nullptr;
    room.resize(1024);
    for (;;) {
        const int wrong = call(&entry, room.data(), room.size(), &found);
        if (wrong == ERANGE && room.size() < largest_entry) {
            room.resize(room.size() * 4);
            continue;
        }
        if (wrong == EINTR) {
            continue;
        }
        // Some databases say so, instead of nothing found (getpwnam_r(3)).
        const bool is_none = wrong == ENOENT || wrong == ESRCH || wrong == EBADF || wrong == EPERM;
        if (wrong != 0 && !is_none) {
            return failure(wrong);
        }
        return is_none ? nullptr : found;
    }
}

template <class Call>
sys_result<std::optional<user_account>> look_up_user(Call call) {
    passwd entry{};
    std::vector<char> room;
    return look_up(entry, room, call).map([](const passwd* found) {
        return found == nullptr
                   ? std::nullopt
                   : std::optional{user_account{found->pw_name, found->pw_uid, found->pw_gid,
                                                found->pw_dir, found->pw_shell}};
    });
}

} // namespace

sys_result<std::optional<user_account>> getpwnam(std::string_view name) {
    const std::string text{name};
    return look_up_user([&text](passwd* entry, char* room, std::size_t size, passwd** found) {
        return ::getpwnam_r(text.c_str(), entry, room, size, found);
    });
}

sys_result<std::optional<user_account>> getpwuid(uid_t user) {
    return look_up_user([user](passwd* entry, char* room, std::size_t size, passwd** found) {
        return ::getpwuid_r(user, entry, room, size, found);
    });
}

sys_result<std::optional<gid_t>> getgrnam(std::string_view name) {
    const std::string text{name};
    group entry{};
    std::vector<char> room;
    return look_up(entry, room,
                   [&text](group* into, char* bytes, std::size_t size, group** found) {
                       return ::getgrnam_r(text.c_str(), into, bytes, size, found);
                   })
        .map([](const group* found) {
            return found == nullptr ? std::nullopt : std::optional{found->gr_gid};
        });
}

std::vector<gid_t> getgrouplist(const std::string& user, gid_t group) {
    // A first number that is right for almost all; else the C library says how many there are.
    std::vector<gid_t> all(32);
    for (;;) {
        int count = static_cast<int>(all.size());
        const bool fits = ::getgrouplist(user.c_str(), group, all.data(), &count) >= 0;
        all.resize(static_cast<std::size_t>(count));
        if (fits) {
            return all;
        }
    }
}

} // namespace portico::os
