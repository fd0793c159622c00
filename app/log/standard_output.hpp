// What the command prints on stdout, and why it could not be written.
#pragma once

#include "portico/os/socket.hpp"

#include <streambuf>
#include <string>
#include <string_view>
#include <system_error>

namespace portico::app {

// All of it to stdout, also where that does not block. A reader that went away is EPIPE, not a
// signal.
[[nodiscard]] os::sys_status print_out(std::string_view text);

// As long as it lives, std::cout writes through it, and the first failure is kept: iostreams
// forget the reason, and nobody looks at them at all at the end of a process.
class standard_output final : public std::streambuf {
public:
    standard_output();
    standard_output(const standard_output&) = delete;
    standard_output& operator=(const standard_output&) = delete;
    ~standard_output() override; // writes what is left

    // Writes what is left. Why not everything could be written; somebody who has seen enough, as
    // head(1), is no failure.
    [[nodiscard]] std::error_code finish();

protected:
    int_type overflow(int_type character) override;
    int sync() override;

private:
    std::streambuf* before_;
    std::string waiting_; // not written yet
    std::error_code why_;
};

} // namespace portico::app
