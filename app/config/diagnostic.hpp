// What is wrong with a configuration, and where.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

// Lines and columns count from 1, columns in characters; line 0 is the file as a whole.
struct position {
    std::size_t line = 0;
    std::size_t column = 0;
    friend auto operator<=>(const position&, const position&) = default;
};

struct place {
    std::string file{};
    position at{};
    friend auto operator<=>(const place&, const place&) = default;
};

struct diagnostic {
    place where{};
    std::string text{}; // one line, without a full stop
    std::string hint{}; // what to do; may be empty, or several lines
};

// "FILE:LINE:COLUMN: text", then the hint, indented; for all of them, in their order. Lines end in
// '\n', and nothing from a file can end a line or reach the terminal as a control character.
[[nodiscard]] std::string to_text(const std::vector<diagnostic>& all);

// A text from a file for a message: in quotes, cut when it is long, control characters and bytes
// beyond ASCII as \xNN.
[[nodiscard]] std::string in_quotes(std::string_view text);

// A diagnostic from a message of several lines: the first one is the text, the others are the hint.
[[nodiscard]] diagnostic from_message(place where, std::string_view message);

} // namespace portico::app
