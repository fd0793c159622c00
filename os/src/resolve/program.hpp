// Where portico-resolve may be.
#pragma once

#include <string>
#include <vector>

namespace portico::os {

struct resolve_program {
    std::string path;
    bool check_owner = false; // it must belong to root or to the owner of this program
};

// In the order in which they are tried; see lookup_config. Reads the environment and
// /proc/self/exe.
[[nodiscard]] std::vector<resolve_program> resolve_programs();

// Whether the file exists and belongs to somebody who could change this program anyway. Without
// this, anybody could put a portico-resolve beside a program that somebody runs from /tmp.
[[nodiscard]] bool has_trusted_owner(const std::string& path);

} // namespace portico::os
