#include "config/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace portico::app {
namespace {

constexpr std::size_t longest_quoted = 80;
constexpr std::size_t longest_line = 500;

bool is_plain(char c) {
    return c >= ' ' && c <= '~';
}

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, longest_line)) {
        out += is_plain(c) ? std::string(1, c)
                           : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return text.size() <= longest_line ? out : out + "...";
}

} // namespace

std::string in_quotes(std::string_view text) {
    const bool whole = text.size() <= longest_quoted;
    return "'" + printable(text.substr(0, longest_quoted)) + (whole ? "'" : "...'");
}

diagnostic from_message(place where, std::string_view message) {
    const auto end = std::min(message.find('\n'), message.size());
    auto hint = message.substr(std::min(end + 1, message.size()));
    while (hint.ends_with('\n')) {
        hint.remove_suffix(1);
    }
    return {std::move(where), std::string{message.substr(0, end)}, std::string{hint}};
}

std::string to_text(const std::vector<diagnostic>& all) {
    std::string out;
    for (const auto& each : all) {
        out += printable(each.where.file);
        if (each.where.at.line != 0) {
            out += fmt::format(":{}:{}", each.where.at.line, each.where.at.column);
        }
        out += ": " + printable(each.text) + '\n';
        for (std::string_view rest = each.hint; !rest.empty();) {
            const auto end = std::min(rest.find('\n'), rest.size());
            out += "    " + printable(rest.substr(0, end)) + '\n';
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return out;
}

} // namespace portico::app
