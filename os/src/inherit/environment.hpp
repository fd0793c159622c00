// What the manager says in environment variables, and how a wrong one is told.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace portico::os {

inline std::optional<std::string> variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

// A decimal number that is all of the text, and not negative.
template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
    Number value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = code == std::errc{} && end == text.data() + text.size() && value >= 0;
    return whole ? std::optional{value} : std::nullopt;
}

// A text from the environment, shown to a person: short and printable.
inline std::string shown(std::string_view text) {
    std::string made{text.substr(0, 64)};
    std::replace_if(
        made.begin(), made.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text.size() > 64 ? made + "..." : made;
}

} // namespace portico::os
