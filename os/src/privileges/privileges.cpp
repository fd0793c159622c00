#include "portico/os/privileges.hpp"

#include "socket/call.hpp"

#include <algorithm>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::os {
namespace {

// The kernel takes a set in two halves.
struct capability_halves {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
};

constexpr capability_set joined(std::uint32_t low, std::uint32_t high) noexcept {
    return capability_set{high} << 32 | low;
}

sys_result<capability_halves> capget() noexcept {
    capability_halves now;
    if (::syscall(SYS_capget, &now.head, now.data.data()) != 0) {
        return failure(errno);
    }
    return now;
}

// What is not inheritable any more is not ambient either.
sys_status capset(capability_set keep, capability_set inheritable) noexcept {
    capability_halves wanted;
    for (auto& half : wanted.data) {
        half.permitted = half.effective = static_cast<std::uint32_t>(keep);
        half.inheritable = static_cast<std::uint32_t>(inheritable);
        keep >>= 32;
        inheritable >>= 32;
    }
    return status_of(static_cast<int>(::syscall(SYS_capset, &wanted.head, wanted.data.data())));
}

// Zero for one that this kernel does not know.
capability_set ambient_set() noexcept {
    capability_set set = 0;
    for (unsigned each = 0; each < 64; ++each) {
        if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, each, 0, 0) == 1) {
            set |= one_capability(each);
        }
    }
    return set;
}

sys_result<std::vector<gid_t>> supplementary_groups() {
    for (;;) {
        const int count = ::getgroups(0, nullptr);
        if (count < 0) {
            return failure(errno);
        }
        std::vector<gid_t> all(static_cast<std::size_t>(count));
        const int got = ::getgroups(count, all.data());
        if (got >= 0) {
            all.resize(static_cast<std::size_t>(got));
            return all;
        }
        if (errno != EINVAL) { // EINVAL: another thread has just got more
            return failure(errno);
        }
    }
}

template <class Id>
bool all_are(const std::array<Id, 3>& ids, Id one) noexcept {
    return std::all_of(ids.begin(), ids.end(), [one](Id each) { return each == one; });
}

bool is_as_wanted(const new_identity& wanted) {
    const auto now = read_privileges();
    auto groups = wanted.groups;
    std::sort(groups.begin(), groups.end()); // the kernel sorts them
    return now && all_are(now->users, wanted.user) && all_are(now->groups, wanted.group) &&
           std::is_permutation(now->supplementary.begin(), now->supplementary.end(), groups.begin(),
                               groups.end()) &&
           now->permitted == wanted.keep && now->effective == wanted.keep && now->ambient == 0;
}

std::string listed(const std::vector<gid_t>& groups) {
    std::string text;
    for (const auto each : groups) {
        text += (text.empty() ? "" : ", ") + std::to_string(each);
    }
    return text.empty() ? "none" : text;
}

} // namespace

sys_result<privileges> read_privileges() {
    privileges now;
    auto& [real_user, user, saved_user] = now.users;
    auto& [real_group, group, saved_group] = now.groups;
    const auto sets = capget();
    if (!sets) {
        return tl::unexpected{sets.error()};
    }
    if (::getresuid(&real_user, &user, &saved_user) != 0 ||
        ::getresgid(&real_group, &group, &saved_group) != 0) {
        return failure(errno);
    }
    auto supplementary = supplementary_groups();
    if (!supplementary) {
        return tl::unexpected{supplementary.error()};
    }
    now.supplementary = std::move(*supplementary);
    const auto& [low, high] = sets->data;
    now.effective = joined(low.effective, high.effective);
    now.permitted = joined(low.permitted, high.permitted);
    now.inheritable = joined(low.inheritable, high.inheritable);
    now.ambient = ambient_set();
    now.no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    return now;
}

tl::expected<void, drop_failure> drop_to(const new_identity& wanted) {
    const auto stopped_at = [](drop_step step, int number) {
        return tl::unexpected{drop_failure{step, {number, std::system_category()}}};
    };
    const bool keeps = wanted.keep != 0;
    if (keeps && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
        return stopped_at(drop_step::keep_capabilities, errno);
    }
    if (::setgroups(wanted.groups.size(), wanted.groups.data()) != 0) {
        return stopped_at(drop_step::groups, errno);
    }
    if (::setresgid(wanted.group, wanted.group, wanted.group) != 0) {
        return stopped_at(drop_step::group, errno);
    }
    if (::setresuid(wanted.user, wanted.user, wanted.user) != 0) {
        return stopped_at(drop_step::user, errno);
    }
    if (keeps && ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
        return stopped_at(drop_step::keep_capabilities, errno);
    }
    if (const auto set = capset(wanted.keep, 0); !set) {
        return stopped_at(drop_step::capabilities, set.error().value());
    }
    if (!is_as_wanted(wanted)) {
        return stopped_at(drop_step::check, EPERM);
    }
    return {};
}

std::string to_text(const drop_failure& failed, const new_identity& wanted) {
    switch (failed.step) {
    case drop_step::keep_capabilities:
        return "keep capabilities for another user";
    case drop_step::groups:
        return "set the supplementary groups " + listed(wanted.groups);
    case drop_step::group:
        return "become group " + std::to_string(wanted.group);
    case drop_step::user:
        return "become user " + std::to_string(wanted.user);
    case drop_step::capabilities:
        return "keep the capabilities " + capability_names(wanted.keep) + " and no others";
    case drop_step::check:
        return "find itself as user " + std::to_string(wanted.user) + ", group " +
               std::to_string(wanted.group) + ", with the capabilities " +
               capability_names(wanted.keep);
    }
    return {};
}

sys_status keep_capabilities(capability_set keep) noexcept {
    const auto now = capget();
    if (!now) {
        return tl::unexpected{now.error()};
    }
    const auto& [low, high] = now->data;
    const auto inheritable = joined(low.inheritable, high.inheritable);
    // A system call filter that came with the last time may refuse capset(2).
    const bool is_done = joined(low.permitted, high.permitted) == keep &&
                         joined(low.effective, high.effective) == keep &&
                         (inheritable & ~keep) == 0;
    return is_done ? sys_status{} : capset(keep, keep & inheritable);
}

sys_status set_no_new_privileges() noexcept {
    return status_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

} // namespace portico::os
