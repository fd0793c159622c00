#include "portico/race/timeline.hpp"

#include <algorithm>
#include <array>

namespace portico::race {
namespace {

using outcome = attempt_report::outcome;

constexpr std::size_t least_axis = 8;
constexpr std::size_t most_width = 1000;

// One line of the picture.
struct row {
    duration from{};
    duration to{};
    std::string name;
    char end = '=';
    std::string words;
};

std::string printable(std::string_view text) {
    std::string shown{text};
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < ' ' || c >= '\x7f'; }, '?');
    return shown;
}

std::string counted(std::size_t count, std::string_view one) {
    return std::to_string(count) + ' ' + std::string{one} +
           (count == 1           ? ""
            : one.ends_with('s') ? "es"
                                 : "s");
}

// The latest time that a report knows of.
instant latest(const report& story) {
    auto at = std::max(story.began, story.ended);
    for (const auto& answer : story.resolutions) {
        at = std::max(at, answer.answered.value_or(at));
    }
    for (const auto& attempt : story.attempts) {
        at = std::max({at, attempt.started, attempt.ended});
    }
    return at;
}

// What became of an attempt, without its time.
std::string fate(const attempt_report& attempt, const report& story) {
    switch (attempt.how) {
    case outcome::running:
        return "running";
    case outcome::won:
        return "won";
    case outcome::failed:
        return attempt.why ? printable(attempt.why->code.message()) : "failed";
    case outcome::abandoned:
        break;
    }
    return story.winner ? "abandoned" : "no answer";
}

row drawn(const resolution_report& answer, const report& story, instant end) {
    row made;
    made.to = answer.answered.value_or(end) - story.began;
    made.name = answer.family == ip::family::v6 ? "AAAA" : "A";
    made.end = !answer.answered ? '?' : answer.why ? 'x' : 'a';
    if (!answer.answered) {
        made.words = "no answer";
    } else if (answer.why) {
        made.words = printable(answer.why->code.message());
    } else {
        made.words = counted(answer.found.size(), "address");
    }
    made.words += " after " + short_time(made.to);
    return made;
}

row drawn(const attempt_report& attempt, const report& story, instant end) {
    static constexpr std::array<char, 4> marks{'=', 'W', 'x', '-'};
    const bool runs = attempt.how == outcome::running;
    row made;
    made.from = attempt.started - story.began;
    made.to = (runs ? end : attempt.ended) - story.began;
    made.name = ip::to_text(attempt.to);
    made.end = marks[static_cast<std::size_t>(attempt.how)];
    made.words = fate(attempt, story) + " after " + short_time(made.to - made.from);
    return made;
}

std::string left(std::string text, std::size_t size) {
    text.append(size - std::min(size, text.size()), ' ');
    return text;
}

std::string right(const std::string& text, std::size_t size) {
    return std::string(size - std::min(size, text.size()), ' ') + text;
}

// Columns on an axis of `size` characters that stands for the time from 0 to `whole`.
std::string axis(const row& which, duration whole, std::size_t size) {
    const auto column = [&](duration at) {
        const auto share = static_cast<double>(at.count()) /
                           static_cast<double>(std::max<std::int64_t>(whole.count(), 1));
        return static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) *
                                        static_cast<double>(size - 1));
    };
    const auto first = column(which.from);
    const auto last = std::max(first, column(which.to));
    std::string drawn(size, ' ');
    std::fill(drawn.begin() + static_cast<std::ptrdiff_t>(first),
              drawn.begin() + static_cast<std::ptrdiff_t>(last), '=');
    drawn[last] = which.end;
    return drawn;
}

std::string listed(const std::vector<ip::address>& addresses) {
    std::string text;
    for (const auto& each : addresses) {
        text += (text.empty() ? "" : ", ") + ip::to_text(each);
    }
    return text;
}

std::string headline(const report& story, instant end) {
    const auto time = " after " + short_time(end - story.began);
    if (story.winner && *story.winner < story.attempts.size()) {
        return "connected to " + ip::to_text(story.attempts[*story.winner].to) + time;
    }
    return story.why ? printable(story.why->code.message()) + time : "running" + time;
}

} // namespace

std::string short_time(duration span) {
    const auto us = std::max<std::int64_t>(span.count(), 0) / 1000;
    const auto rounded = [us](std::int64_t unit) { return us / unit + (us % unit * 2 >= unit); };
    const auto tenths = [](std::int64_t count, std::string_view unit) {
        return std::to_string(count / 10) + '.' + std::to_string(count % 10) + std::string{unit};
    };
    if (rounded(100'000) >= 1000) {
        return std::to_string(rounded(1'000'000)) + " s";
    }
    if (rounded(1000) >= 1000) {
        return tenths(rounded(100'000), " s");
    }
    if (rounded(100) >= 10 || rounded(100) == 0) {
        return std::to_string(rounded(1000)) + " ms";
    }
    return tenths(rounded(100), " ms");
}

std::string draw(const report& story, std::string_view title, std::size_t width) {
    const auto end = latest(story);
    const auto whole = end - story.began;
    std::vector<row> rows;
    for (const auto& answer : story.resolutions) {
        rows.push_back(drawn(answer, story, end));
    }
    for (const auto& attempt : story.attempts) {
        rows.push_back(drawn(attempt, story, end));
    }
    std::size_t names = 0;
    std::size_t words = 0;
    for (const auto& each : rows) {
        names = std::max(names, each.name.size());
        words = std::max(words, each.words.size());
    }
    constexpr std::size_t times = 8;
    const std::size_t taken = times + 2 + names + 2 + 1 + 1 + 2 + words; // all but the axis
    const std::size_t kept = std::min(width, most_width);
    const std::size_t size = kept > taken + least_axis ? kept - taken : least_axis;

    std::string text = printable(title) + ": " + headline(story, end) + '\n';
    if (!rows.empty()) {
        const auto scale = short_time(whole);
        text += right("start", times) + std::string(2 + names + 2, ' ') + " 0" +
                right(scale, size - 1) + '\n';
    }
    for (const auto& each : rows) {
        text += right(short_time(each.from), times) + "  " + left(each.name, names) + "  |" +
                axis(each, whole, size) + "|  " + each.words + '\n';
    }
    if (!story.never_tried.empty()) {
        text += "never tried: " + listed(story.never_tried) + '\n';
    }
    if (story.dropped != 0) {
        text += counted(story.dropped, "address") + " too many, dropped\n";
    }
    return text;
}

std::string describe(const report& story, std::string_view title) {
    const auto end = latest(story);
    auto text = printable(title) + ": ";
    if (!story.why) {
        return text + headline(story, end);
    }
    text += printable(story.why->code.message());
    std::string_view separator = ": ";
    const auto add = [&](const std::string& who, const std::string& what, duration after) {
        text += std::string{separator} + who + ' ' + what + " after " + short_time(after);
        separator = "; ";
    };
    for (const auto& attempt : story.attempts) {
        add(ip::to_text(attempt.to), fate(attempt, story),
            (attempt.how == outcome::running ? end : attempt.ended) - attempt.started);
    }
    for (const auto& answer : story.resolutions) {
        const std::string question = answer.family == ip::family::v6 ? "AAAA" : "A";
        if (!answer.answered) {
            add("the question for " + question, "had no answer", end - story.began);
        } else if (answer.why && answer.why->code != story.why->code &&
                   answer.why->code != errc::no_address) {
            add("the question for " + question, "failed: " + printable(answer.why->code.message()),
                *answer.answered - story.began);
        }
    }
    if (!story.never_tried.empty()) {
        text += std::string{separator} + "never tried: " + listed(story.never_tried);
    }
    return text;
}

} // namespace portico::race
