// A race as text: a picture on a time line, and one sentence that names every failure.
#pragma once

#include "portico/race/race.hpp"

#include <string>
#include <string_view>

namespace portico::race {

// Draws a report, one line per question to the resolver and per attempt, all on one time axis; then
// what was never tried, what was dropped, and how it ended. `title` is what was dialled.
//
//   example.org:80: connected to 192.0.2.1:80 after 301 ms
//      start                     0                 301 ms
//       0 ms  AAAA              |=a                      |  1 address after 20 ms
//       0 ms  A                 |=a                      |  2 addresses after 24 ms
//      20 ms  [2001:db8::1]:80  | ======================-|  abandoned after 281 ms
//     270 ms  192.0.2.1:80      |                    ===W|  won after 31 ms
//   never tried: 192.0.2.2
//
// '=' it ran, and at its end: 'a' answered, 'x' failed, 'W' won, '-' abandoned, '?' no answer.
// `width` is that of the whole line as far as it can be kept: the axis has at least 8 characters,
// and the words after it are not cut. Control characters in `title` become '?'. ASCII, lines end in
// '\n'. For a race that is not decided, what still runs is drawn to the latest known time. Time and
// memory: linear in attempts times width; a width over 1000 is taken as 1000.
[[nodiscard]] std::string draw(const report& story, std::string_view title, std::size_t width = 79);

// Why a race has no winner, in one line that lists every address with its own error and time:
// "example.org:80: no address could be reached: [2001:db8::1]:80 Connection refused after 1 ms;
// 192.0.2.1:80 no answer after 5.0 s". For one with a winner: "example.org:80: connected to
// 192.0.2.1:80 after 281 ms". No newline at the end. Time: linear.
[[nodiscard]] std::string describe(const report& story, std::string_view title);

// "0 ms", "0.4 ms", "31 ms", "5.0 s", "120 s": short, and never a unit that hides the size.
[[nodiscard]] std::string short_time(duration span);

} // namespace portico::race
