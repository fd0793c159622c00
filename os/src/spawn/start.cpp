// Starting programs: a clone(2) that copies nothing, as posix_spawn(3) does it, with steps that
// posix_spawn(3) does not have.

#include "child_side.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
// The sanitizer takes clone(2) for a fork and forgets the other threads, in the child, whose memory
// is ours. By this name, which glibc has for the same function, it does not know it.
extern "C" int __clone(int (*)(void*), void*, int, void*, ...) noexcept; // NOLINT: reserved
#define clone __clone // NOLINT
#endif

namespace portico::os {
namespace {

tl::unexpected<spawn_failure> not_started(spawn_step step, int wrong, std::size_t which = 0) {
    return tl::unexpected{spawn_failure{step, {wrong, std::system_category()}, which}};
}

std::vector<char*> pointers(std::span<const std::string> words, std::size_t more) {
    std::vector<char*> raw;
    raw.reserve(words.size() + more + 1);
    for (const auto& each : words) {
        raw.push_back(const_cast<char*>(each.c_str())); // execve(2) does not write to them
    }
    return raw;
}

// No handler of ours may run in the child, which would have its effects here.
class all_signals_blocked {
public:
    all_signals_blocked() noexcept { set(~std::uint64_t{0}); }
    all_signals_blocked(const all_signals_blocked&) = delete;
    all_signals_blocked& operator=(const all_signals_blocked&) = delete;
    ~all_signals_blocked() { set(before_); }

private:
    // Not pthread_sigmask(3), which leaves two of its own alone.
    void set(std::uint64_t mask) noexcept {
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before_, sizeof mask);
    }
    std::uint64_t before_ = 0;
};

// What run_child() needs, and a little more: each of its functions has less than 3 KiB.
constexpr std::size_t stack_size = 16 * 1024;

// The process, and its pidfd if there is one to have.
struct cloned {
    pid_t pid = -1;
    int process = -1;
    int wrong = 0; // errno
};

[[gnu::noinline]] cloned clone_and_wait(launch& what) noexcept {
    alignas(16) std::array<std::byte, stack_size> stack; // NOLINT: the child's
    const int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    auto* const top = stack.data() + stack.size();
    cloned made;
    const all_signals_blocked now;
    // Kernels before 5.2 do not know the flag, pass it over, and leave made.process alone.
    made.pid = ::clone(run_child, top, flags | CLONE_PIDFD, &what, &made.process);
    if (made.pid < 0 && (errno == EMFILE || errno == ENFILE || errno == EINVAL)) {
        made.pid = ::clone(run_child, top, flags, &what);
    }
    made.wrong = errno;
    return made;
}

// Ids that mean "as it is" to setresuid(2) and setresgid(2): nobody shall stay root by them.
std::optional<spawn_step> step_that_leaves_ids(const spawn_settings& how) {
    return how.user == uid_t(-1)    ? std::optional{spawn_step::user}
           : how.group == gid_t(-1) ? std::optional{spawn_step::group}
                                    : std::nullopt;
}

void wait_for(pid_t ended) {
    static_cast<void>(without_eintr([&] { return ::waitpid(ended, nullptr, 0); }));
}

} // namespace

std::string to_text(const spawn_failure& failed, const spawn_settings& settings) {
    switch (failed.step) {
    case spawn_step::start:
        return "start a process";
    case spawn_step::session:
        return settings.group_of_processes == process_group::own ? "begin a process group"
                                                                 : "begin a session";
    case spawn_step::descriptors:
        return "give it its descriptor " + std::to_string(failed.which);
    case spawn_step::limit: {
        const bool is_known = failed.which < settings.limits.size();
        return "set the limit " +
               std::string{is_known ? resource_name(settings.limits[failed.which].which) : "?"};
    }
    case spawn_step::nice:
        return "set the nice value " + std::to_string(settings.nice.value_or(0));
    case spawn_step::groups:
        return "set the supplementary groups";
    case spawn_step::group:
        return "become group " + std::to_string(settings.group.value_or(0));
    case spawn_step::root:
        return "chroot to " + settings.root;
    case spawn_step::directory:
        return "change to the directory " + settings.directory;
    case spawn_step::user:
        return "become user " + std::to_string(settings.user.value_or(0));
    case spawn_step::capabilities:
        return "take our capabilities away from it";
    case spawn_step::execute:
        return "execute it";
    }
    return {};
}

tl::expected<child, spawn_failure> spawn(const std::string& path, std::span<const std::string> argv,
                                         std::span<const std::string> env,
                                         std::span<const int> descriptors,
                                         const spawn_settings& settings) {
    if (descriptors.size() > most_descriptors) {
        return not_started(spawn_step::descriptors, EINVAL, most_descriptors);
    }
    if (const auto step = step_that_leaves_ids(settings)) {
        return not_started(*step, EINVAL);
    }
    std::array<int, most_descriptors> numbers{};
    std::copy(descriptors.begin(), descriptors.end(), numbers.begin());
    auto arguments = pointers(argv, 0);
    arguments.push_back(nullptr);
    auto variables = pointers(env, 1);
    std::string own_pid;
    if (!settings.pid_variable.empty()) {
        own_pid = settings.pid_variable + '=';
        own_pid.resize(own_pid.size() + pid_room);
        variables.push_back(own_pid.data());
    }
    variables.push_back(nullptr);

    launch what;
    what.path = path.c_str();
    what.argv = arguments.data();
    what.env = variables.data();
    what.pid_digits = own_pid.empty() ? nullptr : own_pid.data() + own_pid.size() - pid_room;
    what.descriptors = std::span{numbers}.first(descriptors.size());
    what.settings = &settings;
    const auto made = clone_and_wait(what);
    if (made.pid < 0) {
        return not_started(spawn_step::start, made.wrong);
    }
    child program{made.pid, fd{made.process}};
    if (what.wrong != 0) {
        wait_for(made.pid);
        return not_started(what.step, what.wrong, what.which);
    }
    return program;
}

tl::expected<void, spawn_failure> rehearse(const std::string& path,
                                           const spawn_settings& settings) {
    if (const auto step = step_that_leaves_ids(settings)) {
        return not_started(*step, EINVAL);
    }
    launch what;
    what.path = path.c_str();
    what.settings = &settings;
    const auto made = clone_and_wait(what);
    if (made.pid < 0) {
        return not_started(spawn_step::start, made.wrong);
    }
    const fd process{made.process};
    wait_for(made.pid);
    if (what.wrong != 0) {
        return not_started(what.step, what.wrong, what.which);
    }
    return {};
}

sys_status set_blocking(int descriptor, bool on) noexcept {
    int non_blocking = on ? 0 : 1;
    return status_of(::ioctl(descriptor, FIONBIO, &non_blocking));
}

sys_result<pipe_ends> pipe2() noexcept {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return failure(errno);
    }
    pipe_ends made{fd{ends[0]}, fd{ends[1]}};
    if (const auto set = set_blocking(made.read.raw(), false); !set) {
        return tl::unexpected{set.error()};
    }
    return made;
}

sys_result<fd> memory_file(std::span<const std::byte> bytes) noexcept {
    fd made{::memfd_create("portico", MFD_CLOEXEC)};
    if (!made) {
        return failure(errno);
    }
    const auto written = ::pwrite(made.raw(), bytes.data(), bytes.size(), 0);
    if (written < 0) {
        return failure(errno);
    }
    if (static_cast<std::size_t>(written) != bytes.size()) {
        return failure(ENOSPC);
    }
    return made;
}

} // namespace portico::os
