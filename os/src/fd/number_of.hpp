// Numbers in texts of the system: of /proc and of the environment.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace portico::os {

// A decimal number that is all of the text, and not negative.
template <class Number>
[[nodiscard]] std::optional<Number> number_of(std::string_view text) noexcept {
    Number value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = code == std::errc{} && end == text.data() + text.size() && value >= 0;
    return whole ? std::optional{value} : std::nullopt;
}

} // namespace portico::os
