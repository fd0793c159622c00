// What the manager says in environment variables, and how a wrong one is told.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace portico::os {

inline std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

// A text from the environment, shown to a person: short and printable.
inline std::string shown(std::string_view text) {
    std::string made{text.substr(0, 64)};
    std::replace_if(
        made.begin(), made.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text.size() > 64 ? made + "..." : made;
}

} // namespace portico::os
