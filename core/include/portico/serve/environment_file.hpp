// Files with the variables of a program, as EnvironmentFile= of systemd.exec(5) has them.
//
//   # or ; begins a comment
//   NAME=a value up to the end of the line, with "quotes" as they are
//   OTHER="quoted \"text\"
//   of several lines"   'and \ more'
//
// Unquoted, a backslash takes the meaning from the next character, and blanks around the value are
// left out. In "" it does so for " \ ` $, in '' for nothing. A backslash before the end of a line
// joins it with the next one. No variable is put in for $NAME. The last one of a name counts.
#pragma once

#include "portico/serve/environment.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::serve {

// What is wrong in a file, and where: lines and columns (bytes) count from 1.
struct file_fault {
    std::size_t line = 1;
    std::size_t column = 1;
    std::string what;
    std::string hint; // or empty

    friend bool operator==(const file_fault&, const file_fault&) = default;
};

// How many faults are told; the rest of the file is not read then.
constexpr std::size_t most_faults = 20;

// Whether a variable can have this name: letters, digits and '_', and no digit first.
[[nodiscard]] bool is_variable_name(std::string_view name) noexcept;

// All the variables in order, or all that is wrong. What systemd passes over is a fault here: lines
// without '=', and names that are none. Time and memory: linear.
[[nodiscard]] tl::expected<std::vector<variable>, std::vector<file_fault>>
parse_environment_file(std::string_view text);

// Lines that parse_environment_file() reads back as these variables. Precondition: each has a name,
// and no zero byte.
[[nodiscard]] std::string to_environment_file(const std::vector<variable>& variables);

} // namespace portico::serve
