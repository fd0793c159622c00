// Reading files of variables: one pass, character by character.

#include "portico/serve/environment_file.hpp"

#include <algorithm>
#include <utility>

namespace portico::serve {
namespace {

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r';
}

bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

struct place {
    std::size_t line = 1;
    std::size_t column = 1;
};

// What ends at the end of the text ends there as it does at the end of a line.
class file_reader {
public:
    explicit file_reader(std::string_view text) : text_{text} {}

    void read() {
        if (text_.starts_with("\xef\xbb\xbf")) { // a byte order mark
            text_.remove_prefix(3);
        }
        while (!is_over() && faults_.size() < most_faults) {
            read_line();
        }
    }

    [[nodiscard]] tl::expected<std::vector<variable>, std::vector<file_fault>> take() && {
        if (!faults_.empty()) {
            return tl::unexpected{std::move(faults_)};
        }
        return std::move(variables_);
    }

private:
    [[nodiscard]] bool is_over() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] char peek() const noexcept { return is_over() ? '\n' : text_[at_]; }

    char next() noexcept {
        const char c = text_[at_++];
        if (c == '\n') {
            ++here_.line;
            here_.column = 1;
        } else {
            ++here_.column;
        }
        return c;
    }

    void skip_line() noexcept {
        while (!is_over() && next() != '\n') {
        }
    }

    void skip_blanks() noexcept {
        while (!is_over() && is_blank(peek())) {
            static_cast<void>(next());
        }
    }

    void complain(place where, std::string what, std::string hint = {}) {
        faults_.push_back({where.line, where.column, std::move(what), std::move(hint)});
    }

    void read_line() {
        skip_blanks();
        if (peek() == '#' || peek() == ';') {
            return skip_line();
        }
        if (peek() == '\n') {
            return skip_line();
        }
        const auto begin = here_;
        const auto rest = text_.substr(at_, text_.find('\n', at_) - at_);
        const auto equals = rest.find('=');
        if (equals == std::string_view::npos) {
            complain(begin, "there is no '=' in this line",
                     "write NAME=value; a comment begins with '#'");
            return skip_line();
        }
        const auto name = trimmed(rest.substr(0, equals));
        if (!is_variable_name(name)) {
            complain_about_name(begin, name);
            return skip_line();
        }
        for (std::size_t i = 0; i <= equals; ++i) {
            static_cast<void>(next());
        }
        variable made{std::string{name}, {}};
        const auto value_begin = here_;
        if (!read_value(made.value)) {
            return;
        }
        if (made.value.find('\0') != std::string::npos) {
            return complain(value_begin, "there is a zero byte in the value",
                            "the value of a variable cannot have one");
        }
        variables_.push_back(std::move(made));
    }

    void complain_about_name(place where, std::string_view name) {
        if (name.empty()) {
            return complain(where, "there is no name before '='", "write NAME=value");
        }
        if (name.starts_with("export ") || name.starts_with("export\t")) {
            return complain(where, "this file is read as it is, and by no shell",
                            "leave 'export' out");
        }
        complain(where, "what is before '=' is no name of a variable",
                 "it has letters, digits and '_' alone, and begins with none of the digits");
    }

    // From behind the '=' over the end of the line. False: there was a fault.
    bool read_value(std::string& to) {
        for (;;) {
            skip_blanks();
            if (peek() == '\n') {
                skip_line();
                return true;
            }
            if (peek() != '"' && peek() != '\'') {
                read_plain(to);
                return true;
            }
            const auto begin = here_;
            const char quote = next();
            if (!(quote == '"' ? read_double(to) : read_single(to))) {
                complain(begin, std::string{"the "} + quote + " that begins here is not closed",
                         "it may be closed in a later line");
                return false;
            }
        }
    }

    // To the end of the line. Blanks at its end are left out, but not those that were escaped.
    void read_plain(std::string& to) {
        std::size_t kept = to.size();
        while (!is_over()) {
            const char c = next();
            if (c == '\n') {
                break;
            }
            if (c != '\\') {
                to += c;
                kept = is_blank(c) ? kept : to.size();
            } else if (!is_over()) {
                if (const char escaped = next(); escaped != '\n') {
                    to += escaped;
                    kept = to.size();
                }
            }
        }
        to.resize(kept);
    }

    bool read_single(std::string& to) {
        while (!is_over()) {
            const char c = next();
            if (c == '\'') {
                return true;
            }
            to += c;
        }
        return false;
    }

    bool read_double(std::string& to) {
        while (!is_over()) {
            const char c = next();
            if (c == '"') {
                return true;
            }
            if (c != '\\' || is_over()) {
                to += c;
                continue;
            }
            const char escaped = next();
            if (escaped == '\n') {
                continue;
            }
            if (std::string_view{"\"\\`$"}.find(escaped) == std::string_view::npos) {
                to += '\\';
            }
            to += escaped;
        }
        return false;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    place here_;
    std::vector<variable> variables_;
    std::vector<file_fault> faults_;
};

} // namespace

bool is_variable_name(std::string_view name) noexcept {
    return !name.empty() && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

tl::expected<std::vector<variable>, std::vector<file_fault>>
parse_environment_file(std::string_view text) {
    file_reader reader{text};
    reader.read();
    return std::move(reader).take();
}

std::string to_environment_file(const std::vector<variable>& variables) {
    std::string text;
    for (const auto& [name, value] : variables) {
        text += name + "=\"";
        for (const char c : value) {
            if (c == '"' || c == '\\' || c == '`' || c == '$') {
                text += '\\';
            }
            text += c;
        }
        text += "\"\n";
    }
    return text;
}

} // namespace portico::serve
