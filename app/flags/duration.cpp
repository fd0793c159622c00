#include "flags/duration.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace portico::app {
namespace {

using std::chrono::duration_cast;

constexpr std::array<std::pair<std::string_view, double>, 6> units{{
    {"", 1.0},
    {"ms", 0.001},
    {"s", 1.0},
    {"m", 60.0},
    {"h", 3600.0},
    {"d", 86400.0},
}};
constexpr double longest = 100 * 86400.0;

} // namespace

tl::expected<duration, std::string> parse_duration(std::string_view text) {
    const auto refuse = [text](const std::string& why) {
        return tl::unexpected{"'" + std::string{text} + "' " + why};
    };
    double count = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, count, std::chars_format::fixed);
    if (wrong != std::errc{} || !(count >= 0)) {
        return refuse(
            "is not a time: write it like 500ms, 30s, 5m or 2h; a bare number is seconds");
    }
    const std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
    for (const auto& [name, seconds] : units) {
        if (unit == name) {
            if (count * seconds > longest) {
                return refuse("is longer than 100 days");
            }
            return duration_cast<duration>(std::chrono::duration<double>{count * seconds});
        }
    }
    return refuse("has the unknown unit '" + std::string{unit} + "': use ms, s, m, h or d");
}

CLI::Option* add_duration(CLI::App& verb, const std::string& names, std::optional<duration>& into,
                          const std::string& description) {
    const auto read = [&into, names](const std::string& text) {
        const auto span = parse_duration(text);
        if (!span) {
            throw CLI::ValidationError{names, span.error()};
        }
        into = *span;
    };
    return verb.add_option_function<std::string>(names, read, description)->type_name("TIME");
}

} // namespace portico::app
