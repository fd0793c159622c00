// Why a program cannot be started, for a person.

#include "serve/program_process.hpp"

#include <cerrno>

namespace portico::run {
namespace {

// What to do about it, or nothing.
std::string hint_for(const os::spawn_failure& failed) {
    using os::spawn_step;
    const auto number = failed.why.value();
    if (number == EPERM &&
        (failed.step == spawn_step::groups || failed.step == spawn_step::group)) {
        return "; that takes the capability CAP_SETGID, which root has";
    }
    if (number == EPERM && failed.step == spawn_step::user) {
        return "; that takes the capability CAP_SETUID, which root has";
    }
    if (number == EPERM && failed.step == spawn_step::root) {
        return "; that takes the capability CAP_SYS_CHROOT, which root has";
    }
    if (failed.step == spawn_step::nice && (number == EACCES || number == EPERM)) {
        return "; that takes the capability CAP_SYS_NICE, which root has, or room in ulimit -e";
    }
    if (failed.step == spawn_step::execute && number == EACCES) {
        return "; whom it is started as has to be allowed to execute it, and to enter the "
               "directories above it";
    }
    if (failed.step == spawn_step::execute && number == ENOENT) {
        return ": it has gone, or the interpreter in its first line is missing";
    }
    if (failed.step == spawn_step::execute && number == ENOEXEC) {
        return ": a script begins with a line such as #!/bin/sh";
    }
    if (number == EAGAIN) {
        return "; no more processes are allowed: ulimit -u, TasksMax=";
    }
    if (number == EMFILE) {
        return "; no more open files are allowed: ulimit -n, LimitNOFILE=";
    }
    return {};
}

} // namespace

std::string explain(const os::spawn_failure& failed, const program_options& options) {
    return options.path + ": " + to_text(failed, options.settings) + hint_for(failed);
}

std::optional<std::string> find_trouble(const program_options& options) {
    const auto could = os::rehearse(options.path, options.settings);
    if (could) {
        return std::nullopt;
    }
    const auto& failed = could.error();
    return options.path + ": " + to_text(failed, options.settings) + ": " + failed.why.message() +
           hint_for(failed);
}

} // namespace portico::run
