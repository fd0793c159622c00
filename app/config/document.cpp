#include "config/document.hpp"

#include <algorithm>
#include <array>
#include <utility>

// Its source is compiled in here and nowhere else, so that sanitizers and fuzzers see it.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace portico::app {
namespace {

// ---- what toml++ does not look at ----

// Steps over strings and comments, so that what is left is the grammar.
class scanner {
public:
    explicit scanner(std::string_view text) : rest_{text} {}

    // The next character that is in no string and no comment; '\0' at the end. A string counts as
    // one '"'.
    char next() {
        if (rest_.empty()) {
            return '\0';
        }
        const char c = rest_.front();
        if (c == '"' || c == '\'') {
            skip_string(c);
            return '"';
        }
        if (c == '#') {
            skip(std::min(rest_.find('\n'), rest_.size()));
            return '#';
        }
        skip(1);
        return c;
    }
    [[nodiscard]] position at() const noexcept { return at_; }

private:
    void skip(std::size_t count) {
        for (const char c : rest_.substr(0, count)) {
            at_ = c == '\n' ? position{at_.line + 1, 1} : position{at_.line, at_.column + 1};
        }
        rest_.remove_prefix(count);
    }

    void skip_string(char quote) {
        const std::string three(3, quote);
        const bool is_long = rest_.starts_with(three);
        const std::string_view end{three.data(), is_long ? std::size_t{3} : std::size_t{1}};
        std::size_t i = end.size();
        while (i < rest_.size() && !rest_.substr(i).starts_with(end) &&
               (is_long || rest_[i] != '\n')) {
            i += quote == '"' && rest_[i] == '\\' ? 2U : 1U;
        }
        i = std::min(i + end.size(), rest_.size());
        // Up to two quotes before the last three belong to the text.
        for (int more = 0; is_long && more < 2 && rest_.substr(i).starts_with(quote); ++more) {
            ++i;
        }
        skip(i);
    }

    std::string_view rest_;
    position at_{1, 1};
};

// a.b.c is a table in a table; toml++ 3.3 follows as many dots as there are, and its tables end by
// recursion: without this a line of 200,000 dots is a crash.
tl::expected<void, diagnostic> check_dots(std::string_view text, const std::string& file) {
    constexpr int most = 16;
    scanner scan{text};
    int dots = 0;
    for (char c = scan.next(); c != '\0'; c = scan.next()) {
        dots = c == '.'                                                          ? dots + 1
               : std::string_view{"\n=[]{},#"}.find(c) != std::string_view::npos ? 0
                                                                                 : dots;
        if (dots > most) {
            return tl::unexpected{diagnostic{{file, scan.at()},
                                             "this key has too many dots",
                                             "the longest is service.NAME.env.VARIABLE"}};
        }
    }
    return {};
}

// ---- errors of syntax ----

// What people write who have never seen TOML, and what they should have written.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> hints{{
    {"could not determine value type", "texts stand in quotes: listen = \":8080\""},
    {"expected '=', saw", "a setting is one line: KEY = VALUE"},
    {"cannot redefine", "each key is set once, and each table has one header"},
    {"unknown escape sequence", "a backslash is written twice, or the text in 'single quotes'"},
    {"leading zeroes", "a mode stands in quotes: mode = \"0660\""},
    {"unescaped control characters", "the quote at the end of the line may be missing"},
    {"encountered end-of-file", "a quote or a bracket may be left open"},
    {"utf-8", "save the file as UTF-8, which TOML always is"},
}};

std::string hint_for(std::string_view what) {
    for (const auto& [part, hint] : hints) {
        if (what.find(part) != std::string_view::npos) {
            return std::string{hint};
        }
    }
    return "";
}

// "Error while parsing string: encountered end-of-file": what comes first goes to the end.
std::string sentence(std::string_view what) {
    constexpr std::string_view start = "Error while parsing ";
    if (what.find("utf-8") != std::string_view::npos) {
        return "this is not UTF-8";
    }
    const auto colon = what.find(": ");
    if (!what.starts_with(start) || colon == std::string_view::npos) {
        return "this is no TOML: " + std::string{what};
    }
    return "this is no TOML: " + std::string{what.substr(colon + 2)} + ", in a " +
           std::string{what.substr(start.size(), colon - start.size())};
}

diagnostic syntax_error(const toml::parse_error& wrong, const std::string& file) {
    const auto what = wrong.description();
    const auto& at = wrong.source().begin;
    return {{file, {at.line, at.column}}, sentence(what), hint_for(what)};
}

// ---- the tree ----

position position_of(const toml::source_region& where) {
    return {where.begin.line, where.begin.column};
}

document_table table_of(const toml::table& from);

document_value value_of(const toml::node& from) {
    document_value made{position_of(from.source()), {}};
    if (const auto* text = from.as_string()) {
        made.is = text->get();
    } else if (const auto* number = from.as_integer()) {
        made.is = number->get();
    } else if (const auto* truth = from.as_boolean()) {
        made.is = truth->get();
    } else if (const auto* table = from.as_table()) {
        made.is = table_of(*table);
    } else if (const auto* list = from.as_array()) {
        std::vector<document_value> all;
        all.reserve(list->size());
        for (const auto& each : *list) {
            all.push_back(value_of(each));
        }
        made.is = std::move(all);
    } else {
        made.is = foreign_value{from.is_floating_point() ? "a number with a fraction" : "a date"};
    }
    return made;
}

document_table table_of(const toml::table& from) {
    document_table all;
    for (const auto& [key, value] : from) {
        all.push_back({std::string{key.str()}, position_of(key.source()), value_of(value)});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    return all;
}

} // namespace

std::string_view type_name(const document_value& which) noexcept {
    constexpr std::array<std::string_view, 6> names{"a text", "a whole number", "true or false",
                                                    "",       "a list",         "a table"};
    const auto* foreign = std::get_if<foreign_value>(&which.is);
    return foreign != nullptr ? foreign->type : names[which.is.index()];
}

tl::expected<document_table, diagnostic> parse_document(std::string_view text,
                                                        const std::string& file) {
    if (auto fits = check_dots(text, file); !fits) {
        return tl::unexpected{std::move(fits.error())};
    }
    const auto read = toml::parse(text);
    if (!read) {
        return tl::unexpected{syntax_error(read.error(), file)};
    }
    return table_of(read.table());
}

} // namespace portico::app
