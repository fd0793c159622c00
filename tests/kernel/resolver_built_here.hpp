// The tests resolve by the program that was built with them, not by one that is installed.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace portico {

inline void use_resolver_built_here() {
    const auto beside = std::filesystem::path{PORTICO_COMMAND}.parent_path();
    ::setenv("PORTICO_RESOLVE", (beside / "portico-resolve").c_str(), 1);
}

} // namespace portico
