#include "guard/rights.hpp"

#include "flags/account.hpp"

#include <linux/capability.h>

#include <algorithm>
#include <unistd.h>

namespace portico::app {
namespace {

tl::expected<os::user_account, std::string> account_of(const std::string& user) {
    auto found = find_user(user);
    if (!found) {
        return tl::unexpected{found.error()};
    }
    if (!*found) {
        return tl::unexpected{"user " + user +
                              " has no name on this host, and so no groups; give "
                              "one that has"};
    }
    return **std::move(found);
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
or_setting_error<rights_plan> plan_to_stay(rights_plan made, const os::privileges& now,
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

std::vector<setting_error> find_account_faults(const std::string& user, const std::string& group) {
    std::vector<setting_error> all;
    if (!user.empty()) {
        if (const auto found = account_of(user); !found) {
            all.push_back({"user", found.error()});
        }
    }
    if (!group.empty()) {
        if (const auto found = find_group(group); !found) {
            all.push_back({"group", found.error()});
        }
    }
    return all;
}

or_setting_error<rights_plan> plan_rights(const std::string& user, const std::string& group,
                                          os::capability_set also, bool binder) {
    rights_plan made;
    const auto now = os::read_privileges();
    if (!now) {
        return wrong_setting({},
                             "what this process may do cannot be read: " + now.error().message());
    }
    if (user.empty() && binder && is_root(*now)) {
        return wrong_setting("binder",
                             "a binder is of no use to root, which may do all that it may: name "
                             "the user that the services are to run as, user = \"...\", or start "
                             "it as another user with cap_net_bind_service");
    }
    if (user.empty()) {
        made.stays_root = is_root(*now);
        return plan_to_stay(std::move(made), *now, also, binder);
    }
    const auto account = account_of(user);
    if (!account) {
        return wrong_setting("user", account.error());
    }
    auto primary = tl::expected<gid_t, std::string>{account->group};
    if (!group.empty()) {
        primary = find_group(group);
    }
    if (!primary) {
        return wrong_setting("group", primary.error());
    }
    os::new_identity wanted;
    wanted.user = account->user;
    wanted.group = *primary;
    wanted.groups = os::getgrouplist(account->name, *primary);
    wanted.keep = (binder ? 0 : now->permitted & to_bind) | also;
    made.user = account->name;
    if (const auto missing = also & ~now->permitted; missing != 0) {
        return wrong_setting("user", "the programs of its services need " +
                                         os::capability_names(missing) +
                                         ", which this process does not have; start it as root, or "
                                         "leave out their user, group, groups, chroot or negative "
                                         "nice");
    }
    if (is_already(*now, wanted)) {
        made.remark = "this process is user " + made.user + " already";
        return plan_to_stay(std::move(made), *now, also, binder);
    }
    const auto needed = os::one_capability(CAP_SETUID) | os::one_capability(CAP_SETGID);
    if ((now->effective & needed) != needed) {
        return wrong_setting("user", "to become user '" + user +
                                         "' takes root, or cap_setuid and cap_setgid; start it so, "
                                         "or leave the user out");
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
