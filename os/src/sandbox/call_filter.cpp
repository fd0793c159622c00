// System call filters, by libseccomp.

#include "portico/os/sandbox.hpp"

#include "socket/call.hpp"

#include <cerrno>
#include <linux/seccomp.h>
#include <memory>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::os {
namespace {

struct context_end {
    void operator()(void* context) const noexcept { ::seccomp_release(context); }
};
using context = std::unique_ptr<void, context_end>;

std::uint32_t action_of(const call_filter& wanted) noexcept {
    return wanted.refused == call_filter::answer::kill
               ? SCMP_ACT_KILL_PROCESS
               : SCMP_ACT_ERRNO(static_cast<std::uint32_t>(wanted.number));
}

// libseccomp has negative errno values for its failures.
sys_status status_from(int returned) noexcept {
    if (returned < 0) {
        return failure(-returned);
    }
    return {};
}

sys_status configure(void* filter, std::uint32_t refuse) noexcept {
    constexpr std::uint32_t by_binary_tree = 2;
    const std::pair<scmp_filter_attr, std::uint32_t> settings[] = {
        {SCMP_FLTATR_ACT_BADARCH, refuse},
        {SCMP_FLTATR_CTL_NNP, 0}, // the caller has, or has told why not
        {SCMP_FLTATR_CTL_TSYNC, 1},
        {SCMP_FLTATR_CTL_OPTIMIZE, by_binary_tree},
        {SCMP_FLTATR_API_SYSRAWRC, 1}, // the errno of the kernel instead of ECANCELED
    };
    for (const auto& [attribute, value] : settings) {
        if (auto set = status_from(::seccomp_attr_set(filter, attribute, value)); !set) {
            return set;
        }
    }
    return {};
}

sys_status allow_families(void* filter, const std::vector<int>& families) noexcept {
    for (const int each : families) {
        const int added = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                             SCMP_A0(SCMP_CMP_EQ, static_cast<unsigned>(each)));
        if (added < 0 && added != -EEXIST) {
            return failure(-added);
        }
    }
    return {};
}

} // namespace

sys_status call_filters_available() noexcept {
    const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return status_of(
        static_cast<int>(::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)));
}

sys_result<std::vector<std::string>> install_call_filter(const call_filter& wanted) {
    const bool allows = wanted.which == call_filter::list::allow;
    if (!allows && !wanted.socket_families.empty()) {
        return failure(EINVAL);
    }
    const auto refuse = action_of(wanted);
    const context filter{::seccomp_init(allows ? refuse : SCMP_ACT_ALLOW)};
    if (!filter) {
        return failure(EINVAL);
    }
    if (auto done = configure(filter.get(), refuse); !done) {
        return tl::unexpected{done.error()};
    }
    std::vector<std::string> unknown;
    for (const auto& name : wanted.names) {
        const int number = ::seccomp_syscall_resolve_name(name.c_str());
        if (number < 0) { // unknown, or a number of libseccomp's own for another architecture's
            unknown.push_back(name);
            continue;
        }
        const int added =
            ::seccomp_rule_add(filter.get(), allows ? SCMP_ACT_ALLOW : refuse, number, 0);
        if (added < 0 && added != -EEXIST) {
            return failure(-added);
        }
    }
    if (auto done = allow_families(filter.get(), wanted.socket_families); !done) {
        return tl::unexpected{done.error()};
    }
    if (auto loaded = status_from(::seccomp_load(filter.get())); !loaded) {
        return tl::unexpected{loaded.error()};
    }
    return unknown;
}

} // namespace portico::os
