// What programs write to stderr, on its way to a log: cut into lines, which are bounded in length
// and in number.
#pragma once

#include "portico/base/instant.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portico::serve {

// One line, without its end. `cut`: how many of its bytes did not fit.
struct error_line {
    std::string_view text; // until the next call
    std::uint64_t cut = 0;
};

// The lines in a stream of bytes. Memory: the part of a line that has come, at most `longest`.
class line_splitter {
public:
    explicit line_splitter(std::size_t longest) : longest_{longest} {}

    // The next line, or the rest of one, from the beginning of `bytes`, which loses what was used;
    // nullopt, and `bytes` is empty, when no line ends in them. Empty lines are passed over.
    [[nodiscard]] std::optional<error_line> poll_line(std::string_view& bytes);
    // What has come after the last line end: the stream has ended.
    [[nodiscard]] std::optional<error_line> poll_rest();

private:
    void keep(std::string_view part);
    [[nodiscard]] std::optional<error_line> take();

    std::size_t longest_;
    std::string begun_;     // of a line that goes on in later bytes
    std::string told_;      // what the last line points to
    std::uint64_t cut_ = 0; // of it
};

// How many lines may be logged: `burst` at once, and `per_second` in the long run.
class line_budget {
public:
    line_budget(std::uint32_t per_second, std::uint32_t burst, instant now) noexcept
        : per_second_{per_second}, burst_{burst}, left_{burst}, as_of_{now} {}

    // Whether one more may; it is counted then.
    [[nodiscard]] bool take(instant now) noexcept;

private:
    std::uint64_t per_second_;
    std::uint64_t burst_;
    std::uint64_t left_;
    instant as_of_; // when `left_` had no fraction
};

} // namespace portico::serve
