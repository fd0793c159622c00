// What /proc tells of a process (proc(5)).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/types.h>
#include <vector>

namespace portico {

inline std::filesystem::path proc_of(pid_t pid) {
    return "/proc/" + std::to_string(pid);
}

inline std::size_t open_descriptors(pid_t of) {
    const std::filesystem::directory_iterator all{proc_of(of) / "fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// A line of /proc/PID/status: "2" of "Seccomp"; empty when there is none.
inline std::string status_value(pid_t pid, const std::string& what) {
    std::ifstream file{proc_of(pid) / "status"};
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(what + ":\t")) {
            return line.substr(what.size() + 2);
        }
    }
    return {};
}

// The number in such a line, in KiB where it is a size; 0 when there is none.
inline std::uint64_t status_of(pid_t pid, const std::string& what) {
    const auto text = status_value(pid, what);
    return text.empty() ? 0 : std::stoull(text);
}

// Those of all its threads, with the ones that have ended and were not reaped.
inline std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> all;
    for (const auto& thread : std::filesystem::directory_iterator{proc_of(pid) / "task"}) {
        std::ifstream file{thread.path() / "children"};
        for (pid_t each = 0; file >> each;) {
            all.push_back(each);
        }
    }
    return all;
}

} // namespace portico
