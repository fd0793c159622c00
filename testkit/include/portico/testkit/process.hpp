// A program under test, or a peer that nobody here wrote: its input, its output, its end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace portico::testkit {

// How to start it.
struct process_options {
    std::map<std::string, std::string> environment{}; // added to ours
    std::string directory{};                          // empty: ours
    std::optional<unsigned> descriptor_limit{};       // RLIMIT_NOFILE
    std::vector<int> inherit{}; // become descriptors 3, 4, ...; LISTEN_FDS is not set
    std::string stdin_from{};   // a file; empty: a pipe, see write_stdin()
};

// One running program. Its stdout and stderr are read all the time, so that it never blocks on
// them. Waiting ends after a safety net of 60 s, which only a failing test reaches. The destructor
// kills it and what it started (its process group), and reaps it. Threads: one reader of its own
// per process; the member functions are for one thread, which must outlive the program: Linux kills
// it at that thread's end, so that nothing is left over when a test crashes.
class process {
public:
    // argv[0] is looked up in PATH. Throws std::runtime_error when it cannot be started.
    explicit process(std::vector<std::string> argv, const process_options& how = {});
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    void write_stdin(std::string_view text);
    void close_stdin();

    // What it has said so far.
    [[nodiscard]] std::string out() const;
    [[nodiscard]] std::string err() const;

    // The first match of an ECMAScript regular expression in stdout (or stderr), its first group if
    // it has one; waits until it is there. nullopt when the program ended, or the safety net was
    // reached, without it.
    [[nodiscard]] std::optional<std::string> wait_for_out(const std::string& pattern);
    [[nodiscard]] std::optional<std::string> wait_for_err(const std::string& pattern);

    void signal(int number) const;
    // Waits for its end and for all that it wrote, but not for what it has left running. Exit code,
    // 128 + signal, or -1 from the safety net.
    int wait();

private:
    [[nodiscard]] std::optional<std::string> wait_for(const std::string& stream,
                                                      const std::string& pattern);
    void read_all();
    bool take(int from, std::string& into);

    static constexpr std::chrono::seconds safety_net{60};

    pid_t pid_ = -1;
    int in_ = -1;
    int out_pipe_ = -1;
    int err_pipe_ = -1;
    int end_ = -1;  // a pidfd: readable once it has ended
    int stop_ = -1; // an eventfd, for the reader
    mutable std::mutex lock_;
    std::condition_variable changed_;
    std::string out_;
    std::string err_;
    bool ended_ = false; // and all that it wrote is here
    std::thread reader_;
};

// The path of a program in PATH, /usr/sbin or /sbin; a test of a peer that is not installed skips
// with its name.
[[nodiscard]] std::optional<std::string> find_program(std::string_view name);

} // namespace portico::testkit
