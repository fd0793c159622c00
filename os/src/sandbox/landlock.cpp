// Landlock by its three system calls; there is no library for them in Debian 12, and its header is
// of ABI 2, so the later numbers stand here (linux/landlock.h of Linux 6.12).

#include "portico/os/sandbox.hpp"

#include "socket/call.hpp"

#include <algorithm>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::os {
namespace {

using rights = std::uint64_t;

struct ruleset_attributes {
    rights files = 0;
    rights ports = 0;
    rights scopes = 0;
};

struct port_attributes {
    rights allowed = 0;
    std::uint64_t port = 0;
};
constexpr int port_rule = 2; // LANDLOCK_RULE_NET_PORT

constexpr rights truncating = 1U << 14;
constexpr rights device_control = 1U << 15;
constexpr rights binding = 1U << 0;
constexpr rights connecting = 1U << 1;
constexpr rights abstract_sockets = 1U << 0;
constexpr rights signals = 1U << 1;

constexpr rights reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr rights making = LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                          LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                          LANDLOCK_ACCESS_FS_MAKE_SYM;
constexpr rights removing = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE;
constexpr rights writing = LANDLOCK_ACCESS_FS_WRITE_FILE | making | removing |
                           LANDLOCK_ACCESS_FS_REFER | truncating | device_control;
// Nobody is given these two.
constexpr rights making_devices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr rights all_of_files = LANDLOCK_ACCESS_FS_EXECUTE | reading | writing | making_devices;
// A rule for what is no directory may not have the others.
constexpr rights of_one_file = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                               LANDLOCK_ACCESS_FS_WRITE_FILE | truncating | device_control;

constexpr int first_with_refer = 2;
constexpr int first_with_truncating = 3;
constexpr int first_with_ports = 4;
constexpr int first_with_device_control = 5;
constexpr int first_with_scopes = 6;

rights known_to(int abi) noexcept {
    rights all = all_of_files;
    if (abi < first_with_refer) {
        all &= ~rights{LANDLOCK_ACCESS_FS_REFER};
    }
    if (abi < first_with_truncating) {
        all &= ~truncating;
    }
    if (abi < first_with_device_control) {
        all &= ~device_control;
    }
    return all;
}

rights rights_of(path_access access) noexcept {
    switch (access) {
    case path_access::read:
        return reading;
    case path_access::execute:
        return reading | LANDLOCK_ACCESS_FS_EXECUTE;
    case path_access::read_write:
        return reading | writing;
    }
    return 0;
}

// What will be handled, that is refused unless a rule allows it.
ruleset_attributes handled_by(const landlock_rules& wanted, int abi) noexcept {
    ruleset_attributes handled;
    handled.files = wanted.paths ? known_to(abi) : 0;
    if (abi >= first_with_ports) {
        handled.ports = (wanted.bind_ports ? binding : 0) | (wanted.connect_ports ? connecting : 0);
    }
    if (abi >= first_with_scopes) {
        handled.scopes = (wanted.own_abstract_sockets ? abstract_sockets : 0) |
                         (wanted.own_signals ? signals : 0);
    }
    return handled;
}

std::vector<landlock_part> beyond(const landlock_rules& wanted, int abi) {
    std::vector<landlock_part> parts;
    const auto note = [&parts, abi](bool asked, int first, landlock_part part) {
        if (asked && abi < first) {
            parts.push_back(part);
        }
    };
    const bool any_port = wanted.bind_ports || wanted.connect_ports;
    note(wanted.paths.has_value(), first_with_truncating, landlock_part::truncating);
    note(any_port, first_with_ports, landlock_part::ports);
    note(wanted.paths.has_value(), first_with_device_control, landlock_part::device_control);
    note(wanted.own_abstract_sockets, first_with_scopes, landlock_part::abstract_sockets);
    note(wanted.own_signals, first_with_scopes, landlock_part::signals);
    return parts;
}

sys_status add_rule(const fd& ruleset, int kind, const void* rule) noexcept {
    return status_of(
        static_cast<int>(::syscall(SYS_landlock_add_rule, ruleset.raw(), kind, rule, 0)));
}

// Why there is no rule for this path; an error of the rule itself is the outer one.
sys_result<std::optional<std::error_code>> add_path(const fd& ruleset, const path_rule& wanted,
                                                    rights handled) noexcept {
    const fd there{::open(wanted.path.c_str(), O_PATH | O_CLOEXEC)};
    struct stat facts {};
    if (!there || ::fstat(there.raw(), &facts) != 0) {
        return std::error_code{errno, std::system_category()};
    }
    landlock_path_beneath_attr rule{};
    rule.parent_fd = there.raw();
    rule.allowed_access = rights_of(wanted.access) & handled;
    if (!S_ISDIR(facts.st_mode)) {
        rule.allowed_access &= of_one_file;
    }
    if (auto added = add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule); !added) {
        return tl::unexpected{added.error()};
    }
    return std::nullopt;
}

sys_status add_ports(const fd& ruleset, const std::optional<std::vector<std::uint16_t>>& ports,
                     rights right, rights handled) noexcept {
    if (!ports || (handled & right) == 0) {
        return {};
    }
    for (const auto port : *ports) {
        const port_attributes rule{right, port};
        if (auto added = add_rule(ruleset, port_rule, &rule); !added) {
            return added;
        }
    }
    return {};
}

sys_status add_paths(const fd& ruleset, const landlock_rules& wanted, rights handled,
                     landlock_report& report) {
    if (!wanted.paths) {
        return {};
    }
    for (const auto& each : *wanted.paths) {
        const auto added = add_path(ruleset, each, handled);
        if (!added) {
            return tl::unexpected{added.error()};
        }
        if (*added) {
            report.skipped.push_back({each.path, **added});
        }
    }
    return {};
}

// The ruleset with all its rules.
sys_result<fd> ruleset_for(const landlock_rules& wanted, const ruleset_attributes& handled,
                           landlock_report& report) {
    // Older kernels take the newer, longer attributes when what they do not know is zero.
    fd made{static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0))};
    if (!made) {
        return failure(errno);
    }
    if (auto added = add_paths(made, wanted, handled.files, report); !added) {
        return tl::unexpected{added.error()};
    }
    if (auto added = add_ports(made, wanted.bind_ports, binding, handled.ports); !added) {
        return tl::unexpected{added.error()};
    }
    if (auto added = add_ports(made, wanted.connect_ports, connecting, handled.ports); !added) {
        return tl::unexpected{added.error()};
    }
    return made;
}

} // namespace

std::string_view to_text(landlock_part part) noexcept {
    switch (part) {
    case landlock_part::truncating:
        return "truncating files (needs Linux 6.2)";
    case landlock_part::ports:
        return "TCP ports (needs Linux 6.7)";
    case landlock_part::device_control:
        return "ioctl of devices (needs Linux 6.10)";
    case landlock_part::abstract_sockets:
        return "abstract UNIX sockets (needs Linux 6.12)";
    case landlock_part::signals:
        return "signals (needs Linux 6.12)";
    }
    return {};
}

sys_result<int> landlock_abi() noexcept {
    const auto abi = static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
    if (abi < 0) {
        return failure(errno);
    }
    return abi;
}

sys_result<landlock_report> restrict_by_landlock(const landlock_rules& wanted, int most_abi) {
    const auto abi = landlock_abi();
    if (!abi) {
        return tl::unexpected{abi.error()};
    }
    landlock_report report;
    report.abi = std::min({*abi, most_abi, newest_landlock});
    report.not_limited = beyond(wanted, report.abi);
    const auto handled = handled_by(wanted, report.abi);
    if (handled.files == 0 && handled.ports == 0 && handled.scopes == 0) {
        return report;
    }
    const auto ruleset = ruleset_for(wanted, handled, report);
    if (!ruleset) {
        return tl::unexpected{ruleset.error()};
    }
    if (::syscall(SYS_landlock_restrict_self, ruleset->raw(), 0) != 0) {
        return failure(errno);
    }
    return report;
}

} // namespace portico::os
