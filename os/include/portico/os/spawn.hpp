// Starting programs, and waiting for exactly those: never for every child, and SIGCHLD is left
// alone.
#pragma once

#include "portico/base/error.hpp"
#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::os {

// Our own environment, "NAME=VALUE" each. Threads: not while another thread changes it.
[[nodiscard]] std::vector<std::string> environment();

// Where a program lies, as execvp(3) would find it: a name with a '/' is a path, any other is
// looked for in the directories of `path`, which is separated by ':' and where an empty part is the
// working directory. A name found nowhere is ENOENT; EACCES when it was found but is not an
// executable file.
//
// With a `root`, all that is there as chroot(2) would have it, symbolic links included, and so is
// the path that is returned; the working directory is "/" then. The errno of openat2(2) when the
// root itself cannot be looked into, ENOSYS before Linux 5.6 among them.
[[nodiscard]] sys_result<std::string> find_program(std::string_view name, std::string_view path,
                                                   const std::string& root = {});

// How a program ended.
struct exit_report {
    bool by_signal = false;
    int number = 0; // its exit code, or the signal

    // The exit code, or 128 + the signal, as a shell has it.
    [[nodiscard]] int status() const noexcept { return by_signal ? 128 + number : number; }
    friend bool operator==(const exit_report&, const exit_report&) = default;
};

// A program that runs, or has ended and was not reaped. Move-only; its end leaves the program
// running, and then nobody reaps it: call reap() until it is done. Threads: distinct objects safe.
class [[nodiscard]] child {
public:
    child() noexcept = default;
    child(pid_t pid, fd process) noexcept : pid_{pid}, process_{std::move(process)} {}

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    // Readable when the program has ended (pidfd_open(2)); -1 on kernels before 5.3, and when no
    // descriptor is left: ask reap() from time to time then.
    [[nodiscard]] int process() const noexcept { return process_.raw(); }
    // Whether it has ended, which reap() will then tell. Not once that has been done.
    [[nodiscard]] bool has_ended() const noexcept;
    // Takes the end of the program; nullopt while it runs. ECHILD when somebody else was faster, or
    // SIGCHLD is ignored: then how it ended is lost. It is not waited for again after that.
    [[nodiscard]] sys_result<std::optional<exit_report>> reap() noexcept;
    // Sends a signal. No other process can be hit, for the number is ours until it is reaped.
    // ESRCH after that.
    [[nodiscard]] sys_status kill(int signal) const noexcept;
    // The same to its whole process group, which it must have to itself: see process_group.
    [[nodiscard]] sys_status kill_group(int signal) const noexcept;

private:
    pid_t pid_ = -1;
    fd process_;
};

// One limit of setrlimit(2).
struct resource_limit {
    int which = 0;          // RLIMIT_NOFILE ...
    std::uint64_t soft = 0; // RLIM_INFINITY: none
    std::uint64_t hard = 0;

    friend bool operator==(const resource_limit&, const resource_limit&) = default;
};

// The number of a resource by its name in the shell's and in limits.conf(5), "nofile"; nullopt when
// there is none of that name. And the name of a number; empty for one that is unknown.
[[nodiscard]] std::optional<int> resource_number(std::string_view name) noexcept;
[[nodiscard]] std::string_view resource_name(int which) noexcept;
// All the names, in alphabetical order.
[[nodiscard]] std::span<const std::string_view> resource_names() noexcept;

// Whom a program shares signals of a terminal and of kill(2) with.
enum class process_group : std::uint8_t {
    ours,        // it is in our process group
    own,         // setpgid(2): it has one to itself
    own_session, // setsid(2): the same, and our terminal is not its own
};

// The process group for a program that is nobody's job: own_session when we have a terminal, which
// it could ask for a password or be ended by; else the same is had by `own`, which is cheaper. Each
// session is a scheduling group of its own (autogroup of sched(7)), which has to be made.
[[nodiscard]] process_group apart_from_terminal() noexcept;

// What a program is given besides its descriptors, in the order in which it is done. What is unset
// stays as it is here.
struct spawn_settings {
    process_group group_of_processes = process_group::ours;
    std::vector<resource_limit> limits{};
    std::optional<int> nice{};                  // setpriority(2): -20 to 19
    std::optional<mode_t> mask{};               // umask(2)
    std::optional<std::vector<gid_t>> groups{}; // setgroups(2): the supplementary ones
    std::optional<gid_t> group{};               // setresgid(2): real, effective and saved
    std::string root{};          // chroot(2), and then the working directory is its "/"
    std::string directory{};     // chdir(2), in `root`
    std::optional<uid_t> user{}; // setresuid(2): real, effective and saved
    // Whether the capabilities that are inheritable here stay so, and with them the ambient ones,
    // which the program has at once (capabilities(7)). With a `user` none of them stays.
    bool inherits_capabilities = false;
    // A variable that gets the process id of the program for its value, as LISTEN_PID has to;
    // empty: none.
    std::string pid_variable{};
};

// The steps between clone(2) and the program's first instruction, in order.
enum class spawn_step : std::uint8_t {
    start,        // clone(2) itself
    session,      // setpgid(2), setsid(2)
    descriptors,  // dup3(2), close_range(2); `which` is the number in the program
    limit,        // prlimit(2); `which` is an index into the limits
    nice,         // setpriority(2)
    groups,       // setgroups(2)
    group,        // setresgid(2)
    root,         // chroot(2)
    directory,    // chdir(2)
    user,         // setresuid(2)
    capabilities, // capset(2)
    execute,      // execve(2)
};

// Why a program was not started.
struct spawn_failure {
    spawn_step step = spawn_step::start;
    std::error_code why;
    std::size_t which = 0;
};

// What the step did, for a person: "chroot to /srv/x", "set the limit nofile".
[[nodiscard]] std::string to_text(const spawn_failure& failed, const spawn_settings& settings);

// How many descriptors a program can be given.
constexpr std::size_t most_descriptors = 16;

// Starts the program at `path` (see find_program()). `descriptors[i]` becomes its descriptor i, and
// it has no other one; one may be given several times. No signal is blocked there, and each is at
// its default. A step that fails is told here, and then nothing has been started.
//
// Memory: nothing of this process is copied (CLONE_VM and CLONE_VFORK of clone(2)); this thread
// waits until the program is executed, others go on. Precondition: `argv` is not empty.
[[nodiscard]] tl::expected<child, spawn_failure>
spawn(const std::string& path, std::span<const std::string> argv, std::span<const std::string> env,
      std::span<const int> descriptors, const spawn_settings& settings);

// All the steps of spawn() but the last, in a process that then ends: whether whom the settings
// make of it may execute the program. What the program itself needs is not looked at, its
// interpreter among them. Time: as spawn().
[[nodiscard]] tl::expected<void, spawn_failure> rehearse(const std::string& path,
                                                         const spawn_settings& settings);

// Whether reading and writing wait (O_NONBLOCK off). It belongs to the open file, which whoever has
// a copy of the descriptor shares.
[[nodiscard]] sys_status set_blocking(int descriptor, bool on) noexcept;

// A pipe whose ends are close-on-exec. Reading does not wait, writing does.
struct pipe_ends {
    fd read;
    fd write;
};
[[nodiscard]] sys_result<pipe_ends> pipe2() noexcept;

// memfd_create(2): a file that nobody else can open, close-on-exec; it has these bytes and is read
// from the first one.
[[nodiscard]] sys_result<fd> memory_file(std::span<const std::byte> bytes) noexcept;

// SO_PEERCRED of a connected UNIX socket.
struct credentials {
    uid_t user = 0;
    gid_t group = 0;
    pid_t pid = 0;
};
[[nodiscard]] sys_result<credentials> peer_credentials(int s) noexcept;

// The descriptors of this process, and how many they may be: the soft RLIMIT_NOFILE, or SIZE_MAX.
// `open` is 0 when there is no /proc. Time: linear in what is open.
struct descriptor_count {
    std::size_t open = 0;
    std::size_t most = SIZE_MAX;
};
[[nodiscard]] descriptor_count count_descriptors() noexcept;
// How many it may still open.
[[nodiscard]] std::size_t descriptors_left() noexcept;
// The soft RLIMIT_NOFILE becomes the hard one. What spawn() starts from now on has the soft one
// from before, unless its settings say another: there are programs that use select(2), or close
// every number there is. Threads: called before there are others.
void raise_descriptor_limit() noexcept;

} // namespace portico::os
