// Why the kernel does not let a process take from another: "Ptrace access mode checking" of
// ptrace(2), for PTRACE_MODE_ATTACH_REALCREDS.

#include "portico/os/pidfd.hpp"

#include "fd/text_file.hpp"

#include <algorithm>
#include <charconv>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::os {
namespace {

// What stands behind "NAME:\t"; nullopt when there is no such line.
std::optional<std::string_view> line_of(std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        if (line.starts_with(name) && line.substr(name.size()).starts_with(":\t")) {
            return line.substr(name.size() + 2);
        }
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return std::nullopt;
}

// Real, effective, saved, and the one of the file system, with tabs between them.
template <class Id>
bool read_ids(std::string_view line, std::array<Id, 3>& into) noexcept {
    for (auto& each : into) {
        const auto [end, code] = std::from_chars(line.data(), line.data() + line.size(), each);
        if (code != std::errc{} || end == line.data() + line.size() || *end != '\t') {
            return false;
        }
        line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
    }
    return true;
}

std::optional<std::uint64_t> read_mask(std::optional<std::string_view> line) noexcept {
    constexpr std::size_t digits = 16;
    std::uint64_t mask = 0;
    if (!line || line->size() != digits) {
        return std::nullopt;
    }
    const auto* last = line->data() + line->size();
    const auto [end, code] = std::from_chars(line->data(), last, mask, 16);
    return code == std::errc{} && end == last ? std::optional{mask} : std::nullopt;
}

bool has(std::uint64_t mask, unsigned capability) noexcept {
    return (mask >> capability & 1U) != 0;
}

template <class Id>
bool all_are(const std::array<Id, 3>& ids, Id one) noexcept {
    return std::all_of(ids.begin(), ids.end(), [one](Id each) { return each == one; });
}

// One number when they are alike.
template <class Id>
std::string shown(const std::array<Id, 3>& ids) {
    return all_are(ids, ids[0]) ? std::to_string(ids[0])
                                : std::to_string(ids[0]) + " (effective " + std::to_string(ids[1]) +
                                      ", saved " + std::to_string(ids[2]) + ")";
}

constexpr auto give_it = "give this one CAP_SYS_PTRACE (AmbientCapabilities=CAP_SYS_PTRACE in its "
                         "unit, or start it as root)";

std::optional<taking_refusal> other_ids(const ptrace_facts& known) {
    const auto& theirs = *known.theirs;
    if (!all_are(theirs.users, known.ours.users[0])) {
        return taking_refusal{"it runs as user " + shown(theirs.users) + ", and this process as " +
                                  std::to_string(known.ours.users[0]),
                              std::string{"run this one as that user, or "} + give_it};
    }
    if (!all_are(theirs.groups, known.ours.groups[0])) {
        return taking_refusal{"it runs as group " + shown(theirs.groups) +
                                  ", and this process as " + std::to_string(known.ours.groups[0]),
                              std::string{"run this one as that group, or "} + give_it};
    }
    return std::nullopt;
}

std::optional<taking_refusal> process_rules(const ptrace_facts& known) {
    if (auto ids = other_ids(known)) {
        return ids;
    }
    if (known.not_dumpable) {
        return taking_refusal{"it is not dumpable, as is a process that has changed its user or "
                              "was given capabilities by its file",
                              give_it};
    }
    if ((known.theirs->capabilities & ~known.ours.capabilities) != 0) {
        return taking_refusal{"it has capabilities that this process has not",
                              std::string{"give this one the same, or "} + give_it};
    }
    return std::nullopt;
}

taking_refusal yama_rule(int scope) {
    const auto setting = "kernel.yama.ptrace_scope is " + std::to_string(scope);
    if (scope == 1) {
        return {setting + ", so only a process that started it may take from it",
                std::string{give_it} + ", or set kernel.yama.ptrace_scope to 0 for the moment"};
    }
    return {setting + ", so only a process with CAP_SYS_PTRACE may take from it", give_it};
}

} // namespace

std::optional<process_identity> parse_process_status(std::string_view text) noexcept {
    process_identity read;
    const auto users = line_of(text, "Uid");
    const auto groups = line_of(text, "Gid");
    const auto mask = read_mask(line_of(text, "CapPrm"));
    if (!users || !groups || !mask || !read_ids(*users, read.users) ||
        !read_ids(*groups, read.groups)) {
        return std::nullopt;
    }
    read.capabilities = *mask;
    return read;
}

ptrace_facts gather_ptrace_facts(pid_t pid) {
    ptrace_facts known;
    // Of this thread: it is the one that asks.
    if (const auto text = read_text("/proc/thread-self/status")) {
        known.ours = parse_process_status(*text).value_or(process_identity{});
        known.has_sys_ptrace = has(read_mask(line_of(*text, "CapEff")).value_or(0), CAP_SYS_PTRACE);
    }
    const auto theirs = "/proc/" + std::to_string(pid);
    if (const auto text = read_text(theirs + "/status")) {
        known.theirs = parse_process_status(*text);
    }
    // The files of one that is not dumpable belong to root (proc(5)); of root's own it cannot be
    // told.
    struct stat facts {};
    if (known.theirs && ::stat((theirs + "/fd").c_str(), &facts) == 0) {
        known.not_dumpable = facts.st_uid == 0 && known.theirs->users[1] != 0;
    }
    if (const auto text = read_text("/proc/sys/kernel/yama/ptrace_scope")) {
        int scope = 0;
        const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), scope);
        known.yama_scope = code == std::errc{} ? std::optional{scope} : std::nullopt;
    }
    return known;
}

taking_refusal why_not_taken(const ptrace_facts& known) {
    constexpr auto nobody = 3;
    if (known.yama_scope && *known.yama_scope >= nobody) {
        return {"kernel.yama.ptrace_scope is 3, so nobody may take anything from another process",
                "it cannot be lowered before the host is started again; stop the old process, then "
                "start this one"};
    }
    if (known.has_sys_ptrace) {
        return {"CAP_SYS_PTRACE is there, but does not hold for it: it is in another user "
                "namespace, or a security module or a system call filter refuses",
                "run this one in the same container as the old process"};
    }
    if (known.theirs) {
        if (auto rule = process_rules(known)) {
            return *rule;
        }
    }
    if (known.yama_scope && *known.yama_scope > 0) {
        return yama_rule(*known.yama_scope);
    }
    return {"it is in another user namespace, or a security module or a system call filter refuses",
            std::string{"run this one in the same container as the old process, or "} + give_it};
}

} // namespace portico::os
