#include "portico/testkit/process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::testkit {
namespace {

std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error{std::string{"pipe2: "} + std::strerror(errno)};
    }
    return ends;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
    std::vector<std::string> all;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view entry{*each};
        if (!added.contains(std::string{entry.substr(0, entry.find('='))})) {
            all.emplace_back(entry);
        }
    }
    for (const auto& [name, value] : added) {
        all.push_back(name + "=" + value);
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> raw;
    for (auto& word : words) {
        raw.push_back(word.data());
    }
    raw.push_back(nullptr);
    return raw;
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(const std::string& path, char** argv, char** env,
                         const process_options& how, int in, int out, int err, int failed) {
    // First out of the way of 3, 4, ..., then into place.
    std::array<int, 16> held{};
    const auto count = std::min(how.inherit.size(), held.size());
    for (std::size_t i = 0; i < count; ++i) {
        held[i] = ::fcntl(how.inherit[i], F_DUPFD_CLOEXEC, 100);
    }
    const int report = ::fcntl(failed, F_DUPFD_CLOEXEC, 200);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    for (std::size_t i = 0; i < count; ++i) {
        ::dup2(held[i], static_cast<int>(3 + i));
    }
    const bool moved = how.directory.empty() || ::chdir(how.directory.c_str()) == 0;
    if (how.descriptor_limit) {
        const rlimit limit{*how.descriptor_limit, *how.descriptor_limit};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    // A group of its own, so that what it starts ends with it.
    ::setsid(); // a process group of its own too, and nobody's terminal
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    if (moved) {
        ::execve(path.c_str(), argv, env);
    }
    const int why = errno;
    static_cast<void>(!::write(report, &why, sizeof why));
    ::_exit(127);
}

} // namespace

process::process(std::vector<std::string> argv, const process_options& how) {
    const auto path = find_program(argv.at(0));
    if (!path) {
        throw std::runtime_error{"no program '" + argv.at(0) + "' in PATH"};
    }
    auto env = environment_with(how.environment);
    auto raw_argv = pointers(argv);
    auto raw_env = pointers(env);
    auto in = make_pipe();
    if (!how.stdin_from.empty()) {
        ::close(in[0]);
        in[0] = ::open(how.stdin_from.c_str(), O_RDONLY | O_CLOEXEC);
        if (in[0] < 0) {
            throw std::runtime_error{"cannot read " + how.stdin_from + ": " + std::strerror(errno)};
        }
    }
    const auto out = make_pipe();
    const auto err = make_pipe();
    const auto failed = make_pipe();
    pid_ = ::fork();
    if (pid_ == 0) {
        become(*path, raw_argv.data(), raw_env.data(), how, in[0], out[1], err[1], failed[1]);
    }
    for (const int end : {in[0], out[1], err[1], failed[1]}) {
        ::close(end);
    }
    in_ = in[1];
    out_pipe_ = out[0];
    err_pipe_ = err[0];
    if (pid_ < 0) {
        throw std::runtime_error{std::string{"fork: "} + std::strerror(errno)};
    }
    int why = 0;
    const auto told = ::read(failed[0], &why, sizeof why);
    ::close(failed[0]);
    if (told > 0) {
        ::waitpid(pid_, nullptr, 0);
        for (const int end : {in_, out_pipe_, err_pipe_}) {
            ::close(end);
        }
        throw std::runtime_error{"cannot start " + *path + ": " + std::strerror(why)};
    }
    end_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    reader_ = std::thread{[this] { read_all(); }};
}

process::~process() {
    close_stdin();
    ::kill(-pid_, SIGKILL); // also what it started and left behind
    ::waitpid(pid_, nullptr, 0);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_, &one, sizeof one));
    reader_.join();
    for (const int end : {out_pipe_, err_pipe_, end_, stop_}) {
        ::close(end);
    }
}

bool process::take(int from, std::string& into) {
    std::array<char, 65536> part{};
    const auto size = ::read(from, part.data(), part.size());
    if (size <= 0) {
        return false;
    }
    const std::lock_guard guard{lock_};
    into.append(part.data(), static_cast<std::size_t>(size));
    changed_.notify_all();
    return true;
}

// The program's own end counts, not the end of the pipes: what it has started and left behind may
// hold them open. They are read on all the same, until the destructor says stop.
void process::read_all() {
    enum { out, err, end, stop };
    std::array<pollfd, 4> watched{pollfd{out_pipe_, POLLIN, 0}, pollfd{err_pipe_, POLLIN, 0},
                                  pollfd{end_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
    for (;;) {
        ::poll(watched.data(), watched.size(), -1);
        if (watched[stop].revents != 0) {
            return;
        }
        bool more = false;
        for (const auto each : {out, err}) {
            if (watched[each].revents == 0) {
                continue;
            }
            if (take(watched[each].fd, each == out ? out_ : err_)) {
                more = true;
            } else {
                watched[each].fd = -1;
            }
        }
        // A turn without output after the end: the pipes hold nothing of what it wrote.
        if (watched[end].revents != 0 && !more) {
            watched[end].fd = -1;
            const std::lock_guard guard{lock_};
            ended_ = true;
            changed_.notify_all();
        }
    }
}

void process::write_stdin(std::string_view text) {
    // A program that has gone must not take the test along.
    sigset_t pipe_signal;
    sigset_t before;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    while (!text.empty()) {
        const auto size = ::write(in_, text.data(), text.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            const timespec no_wait{};
            ::sigtimedwait(&pipe_signal, nullptr, &no_wait);
            break;
        }
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void process::close_stdin() {
    if (in_ >= 0) {
        ::close(std::exchange(in_, -1));
    }
}

std::string process::out() const {
    const std::lock_guard guard{lock_};
    return out_;
}

std::string process::err() const {
    const std::lock_guard guard{lock_};
    return err_;
}

std::optional<std::string> process::wait_for(const std::string& stream,
                                             const std::string& pattern) {
    const std::regex wanted{pattern, std::regex::ECMAScript | std::regex::multiline};
    std::smatch found;
    std::unique_lock guard{lock_};
    const auto seen = [&] { return std::regex_search(stream, found, wanted); };
    changed_.wait_for(guard, safety_net, [&] { return seen() || ended_; });
    if (!seen()) {
        return std::nullopt;
    }
    return found.size() > 1 ? found[1].str() : found[0].str();
}

std::optional<std::string> process::wait_for_out(const std::string& pattern) {
    return wait_for(out_, pattern);
}

std::optional<std::string> process::wait_for_err(const std::string& pattern) {
    return wait_for(err_, pattern);
}

void process::signal(int number) const {
    ::kill(pid_, number);
}

int process::wait() {
    std::unique_lock guard{lock_};
    if (!changed_.wait_for(guard, safety_net, [this] { return ended_; })) {
        return -1;
    }
    // It stays unreaped, so that its number, and its group's, is nobody else's before we kill it.
    siginfo_t seen{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOWAIT);
    return seen.si_code == CLD_EXITED ? seen.si_status : 128 + seen.si_status;
}

std::optional<std::string> find_program(std::string_view name) {
    if (name.find('/') != std::string_view::npos) {
        return ::access(std::string{name}.c_str(), X_OK) == 0 ? std::optional{std::string{name}}
                                                              : std::nullopt;
    }
    const char* path = std::getenv("PATH");
    std::istringstream directories{std::string{path == nullptr ? "" : path} + ":/usr/sbin:/sbin"};
    for (std::string each; std::getline(directories, each, ':');) {
        const auto candidate = (each.empty() ? "." : each) + "/" + std::string{name};
        if (::access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) {
            return candidate;
        }
    }
    return std::nullopt;
}

} // namespace portico::testkit
