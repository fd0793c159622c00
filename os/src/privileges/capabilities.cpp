// Capabilities by name and number.

#include "portico/os/privileges.hpp"

#include <algorithm>
#include <iterator>

namespace portico::os {
namespace {

// By number (linux/capability.h); the kernel has had no new one since 5.9.
constexpr std::array<std::string_view, 41> names{"chown",
                                                 "dac_override",
                                                 "dac_read_search",
                                                 "fowner",
                                                 "fsetid",
                                                 "kill",
                                                 "setgid",
                                                 "setuid",
                                                 "setpcap",
                                                 "linux_immutable",
                                                 "net_bind_service",
                                                 "net_broadcast",
                                                 "net_admin",
                                                 "net_raw",
                                                 "ipc_lock",
                                                 "ipc_owner",
                                                 "sys_module",
                                                 "sys_rawio",
                                                 "sys_chroot",
                                                 "sys_ptrace",
                                                 "sys_pacct",
                                                 "sys_admin",
                                                 "sys_boot",
                                                 "sys_nice",
                                                 "sys_resource",
                                                 "sys_time",
                                                 "sys_tty_config",
                                                 "mknod",
                                                 "lease",
                                                 "audit_write",
                                                 "audit_control",
                                                 "setfcap",
                                                 "mac_override",
                                                 "mac_admin",
                                                 "syslog",
                                                 "wake_alarm",
                                                 "block_suspend",
                                                 "audit_read",
                                                 "perfmon",
                                                 "bpf",
                                                 "checkpoint_restore"};

constexpr std::string_view prefix = "cap_";

bool same_letter(char left, char right) noexcept {
    const auto small = [](char each) {
        return each >= 'A' && each <= 'Z' ? static_cast<char>(each - 'A' + 'a') : each;
    };
    return small(left) == small(right);
}

bool same(std::string_view left, std::string_view right) noexcept {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), same_letter);
}

} // namespace

std::string capability_name(unsigned capability) {
    return std::string{prefix} + (capability < names.size() ? std::string{names[capability]}
                                                            : std::to_string(capability));
}

std::optional<unsigned> capability_number(std::string_view name) noexcept {
    if (same(name.substr(0, prefix.size()), prefix)) {
        name.remove_prefix(prefix.size());
    }
    const auto* const found = std::find_if(
        names.begin(), names.end(), [name](std::string_view each) { return same(each, name); });
    if (found == names.end()) {
        return std::nullopt;
    }
    return static_cast<unsigned>(std::distance(names.begin(), found));
}

std::string capability_names(capability_set set) {
    std::string text;
    for (unsigned each = 0; each < 64; ++each) {
        if (has_capability(set, each)) {
            text += (text.empty() ? "" : ", ") + capability_name(each);
        }
    }
    return text.empty() ? "none" : text;
}

} // namespace portico::os
