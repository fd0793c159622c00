// A file that has the number of this process, and is locked (flock(2)) as long as it runs.
#pragma once

#include "host/handover.hpp"

#include "portico/os/fd.hpp"
#include "portico/os/listening.hpp"

#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// The name that it has among what goes on at a handover.
inline constexpr std::string_view carried_pid_file = "pid-file";

// Move-only; its end removes the file, or empties it where it may not be removed.
class pid_file {
public:
    // Makes it, or takes one over whose process has ended; whoever reads it finds a whole number.
    // The error is for a person: somebody has it, it is another sort of file, it cannot be made.
    [[nodiscard]] static tl::expected<pid_file, std::string> take(const std::string& path);
    // From the process before us, which still stands in it; nullopt: it is not among them.
    [[nodiscard]] static std::optional<pid_file> among(std::vector<carried_thing>& carried);

    pid_file(pid_file&&) noexcept = default;
    pid_file& operator=(pid_file&&) = delete;
    ~pid_file();

    // For the next process. Nothing when there is no descriptor left.
    void add_to(std::vector<carried_thing>& carried) const;
    // This process stands in it from now on, and removes it at its end.
    void write();
    // The next process has it, and this one leaves it alone.
    void let_go() { file_.reset(); }

private:
    pid_file(os::fd file, std::string path, bool is_ours)
        : file_{std::move(file)}, path_{std::move(path)}, is_ours_{is_ours} {}

    os::fd file_;
    std::string path_;     // absolute
    bool is_ours_ = false; // else the process before us still stands in it
};

} // namespace portico::app
