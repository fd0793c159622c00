#include "guard/rights.hpp"

#include "portico/os/users.hpp"

#include <linux/capability.h>

#include <algorithm>
#include <charconv>
#include <unistd.h>

namespace portico::app {
namespace {

template <class Number>
std::optional<Number> number_in(const std::string& text) {
    Number value{};
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    return wrong == std::errc{} && rest == text.data() + text.size() ? std::optional{value}
                                                                     : std::nullopt;
}

tl::expected<os::user_account, std::string> find_user(const std::string& name) {
    const auto number = number_in<uid_t>(name);
    const auto found = number ? os::getpwuid(*number) : os::getpwnam(name);
    if (!found) {
        return tl::unexpected{"user '" + name + "': " + found.error().message()};
    }
    if (!*found) {
        return tl::unexpected{"there is no user '" + name + "'"};
    }
    return **found;
}

tl::expected<gid_t, std::string> find_group(const std::string& name) {
    if (const auto number = number_in<gid_t>(name)) {
        return *number;
    }
    const auto found = os::getgrnam(name);
    if (!found) {
        return tl::unexpected{"group '" + name + "': " + found.error().message()};
    }
    if (!*found) {
        return tl::unexpected{"there is no group '" + name + "'"};
    }
    return **found;
}

// After a handover the process is who it should be already, and has no right to say so again.
bool is_already(const os::privileges& now, const os::new_identity& wanted) {
    auto groups = wanted.groups;
    auto have = now.supplementary;
    std::sort(groups.begin(), groups.end());
    std::sort(have.begin(), have.end());
    return std::all_of(now.users.begin(), now.users.end(),
                       [&](auto each) { return each == wanted.user; }) &&
           std::all_of(now.groups.begin(), now.groups.end(),
                       [&](auto each) { return each == wanted.group; }) &&
           have == groups;
}

} // namespace

os::capability_set rights_to_start(const run::program_options& program) {
    const auto& how = program.settings;
    os::capability_set all = 0;
    if (how.user) { // and then it is no process of ours that we may end
        all |= os::one_capability(CAP_SETUID) | os::one_capability(CAP_KILL);
    }
    if (how.group || how.groups) {
        all |= os::one_capability(CAP_SETGID);
    }
    if (!how.root.empty()) {
        all |= os::one_capability(CAP_SYS_CHROOT);
    }
    if (how.nice.value_or(0) < 0) {
        all |= os::one_capability(CAP_SYS_NICE);
    }
    return all;
}

os::capability_set rights_to_start(const std::vector<service_config>& services) {
    os::capability_set all = 0;
    for (const auto& each : services) {
        all |= rights_to_start(each.choice.program);
    }
    return all;
}

namespace {

constexpr auto to_bind = os::one_capability(CAP_NET_BIND_SERVICE);

// Without a user to become. Who names the one that it is already wants what becoming it would do.
tl::expected<rights_plan, std::string> plan_to_stay(rights_plan made, const os::privileges& now,
                                                    os::capability_set also, bool binder) {
    made.binder = binder && (now.permitted & to_bind) != 0;
    if (made.binder || !made.user.empty()) {
        made.keeps = now.permitted & (also | (binder ? 0 : to_bind));
    }
    return made;
}

bool is_root(const os::privileges& now) {
    return std::find(now.users.begin(), now.users.end(), uid_t{0}) != now.users.end();
}

} // namespace

tl::expected<rights_plan, std::string> plan_rights(const std::string& user,
                                                   const std::string& group,
                                                   os::capability_set also, bool binder) {
    rights_plan made;
    const auto now = os::read_privileges();
    if (!now) {
        return tl::unexpected{"what this process may do cannot be read: " + now.error().message()};
    }
    if (user.empty() && binder && is_root(*now)) {
        return tl::unexpected{std::string{
            "a binder is of no use to root, which may do all that it may: name the user that the "
            "services are to run as, user = \"...\", or start it as another user with "
            "cap_net_bind_service"}};
    }
    if (user.empty()) {
        made.stays_root = is_root(*now);
        return plan_to_stay(std::move(made), *now, also, binder);
    }
    const auto account = find_user(user);
    if (!account) {
        return tl::unexpected{account.error()};
    }
    auto primary = tl::expected<gid_t, std::string>{account->group};
    if (!group.empty()) {
        primary = find_group(group);
    }
    if (!primary) {
        return tl::unexpected{primary.error()};
    }
    os::new_identity wanted;
    wanted.user = account->user;
    wanted.group = *primary;
    wanted.groups = os::getgrouplist(account->name, *primary);
    wanted.keep = (binder ? 0 : now->permitted & to_bind) | also;
    made.user = account->name;
    if (const auto missing = also & ~now->permitted; missing != 0) {
        return tl::unexpected{"the programs of its services need " + os::capability_names(missing) +
                              ", which this process does not have; start it as root, or leave out "
                              "their user, group, groups, chroot or negative nice"};
    }
    if (is_already(*now, wanted)) {
        made.remark = "this process is user " + made.user + " already";
        return plan_to_stay(std::move(made), *now, also, binder);
    }
    const auto needed = os::one_capability(CAP_SETUID) | os::one_capability(CAP_SETGID);
    if ((now->effective & needed) != needed) {
        return tl::unexpected{"to become user '" + user +
                              "' takes root, or cap_setuid and cap_setgid; start it so, or leave "
                              "the user out"};
    }
    made.binder = binder && (now->permitted & to_bind) != 0;
    made.becomes = std::move(wanted);
    return made;
}

tl::expected<void, std::string> give_up_rights(const rights_plan& plan) {
    if (plan.becomes) {
        if (const auto done = os::drop_to(*plan.becomes); !done) {
            return tl::unexpected{os::to_text(done.error(), *plan.becomes) + ": " +
                                  done.error().why.message()};
        }
    } else if (plan.keeps) {
        if (const auto done = os::keep_capabilities(*plan.keeps); !done) {
            return tl::unexpected{"give up capabilities: " + done.error().message()};
        }
    } else {
        return {};
    }
    if (const auto done = os::set_no_new_privileges(); !done) {
        return tl::unexpected{"no new privileges: " + done.error().message()};
    }
    return {};
}

std::string to_text(const rights_plan& plan) {
    if (plan.becomes) {
        return "becomes user " + plan.user + " (" + std::to_string(plan.becomes->user) +
               "), keeps " + os::capability_names(plan.becomes->keep) +
               ", and programs get no new privileges";
    }
    const auto who = !plan.remark.empty() ? plan.remark
                     : plan.stays_root    ? std::string{"stays root, for no user is named"}
                                          : std::string{"stays who it is"};
    if (plan.keeps) {
        return who + ", keeps " + os::capability_names(*plan.keeps) +
               ", and programs get no new privileges";
    }
    const auto now = os::read_privileges();
    return now ? who + ", keeps " + os::capability_names(now->permitted) : who;
}

} // namespace portico::app
