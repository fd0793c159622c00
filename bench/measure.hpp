// What the benchmarks share: runs of several contestants in turn, medians, a table for a document.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/ip/endpoint.hpp"
#include "portico/os/fd.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace portico::bench {

// Measurements of one thing. A run that gave none is kept as such.
class samples {
public:
    void add(double value) { values_.push_back(value); }
    void add_none() { ++missing_; }

    // nullopt when more than half of the runs gave none: the middle one did not. Such runs count as
    // larger than all others.
    [[nodiscard]] std::optional<double> median() const;
    [[nodiscard]] std::optional<double> least() const;
    [[nodiscard]] std::optional<double> most() const; // nullopt when any run gave none
    [[nodiscard]] std::size_t missing() const noexcept { return missing_; }

private:
    std::vector<double> values_;
    std::size_t missing_ = 0;
};

// A markdown table, padded so that it can be read as it is too.
class table {
public:
    explicit table(std::vector<std::string> head) { add(std::move(head)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

// "12.3", or `otherwise`.
[[nodiscard]] std::string number(std::optional<double> value, int decimals,
                                 const std::string& otherwise = "-");

// "date, kernel, processors" of this run, for the head of a result.
[[nodiscard]] std::string where_and_when();
// The first line that a program says about its version, with the name before it.
[[nodiscard]] std::string version_of(const std::string& command);

// CPU time of a process and of those of its children that it has waited for, in seconds, to the
// clock tick (10 ms): utime, stime, cutime and cstime of /proc/PID/stat (proc(5)).
[[nodiscard]] double cpu_seconds(pid_t pid);
// The same without its own time: cutime and cstime alone.
[[nodiscard]] double reaped_cpu_seconds(pid_t pid);
// Children that a process has now.
[[nodiscard]] std::size_t children_of(pid_t pid);

// The CPU time of a server and of all that it started, once nothing of that runs any more. Programs
// that it left to themselves have to become our children: PR_SET_CHILD_SUBREAPER of prctl(2).
class cpu_meter {
public:
    explicit cpu_meter(pid_t server) : server_{server} {}
    [[nodiscard]] double read(); // seconds

private:
    pid_t server_;
    double orphans_ = 0;
};

// The value after "--name" on the command line, or `otherwise`; 100 is the exit code for one that
// is no number.
[[nodiscard]] int option(int argc, char** argv, const std::string& name, int otherwise);

// Says on stderr what is going on: a benchmark may take minutes.
void progress(const std::string& what);

// A listening socket, IPv6 alone when it is IPv6. Throws std::runtime_error.
[[nodiscard]] os::fd listen_on(const ip::endpoint& at);

// Seconds as a double, for division.
[[nodiscard]] double seconds(duration span);

} // namespace portico::bench
