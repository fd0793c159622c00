#include "why_view.hpp"

#include "portico/diagnose/words.hpp"

#include <boost/json/array.hpp>

#include <string_view>

namespace portico::app {
namespace {

namespace json = boost::json;

constexpr std::string_view bold = "\033[1m";
constexpr std::string_view dim = "\033[2m";
constexpr std::string_view plain = "\033[0m";

std::string painted(std::string_view colour, std::string_view text, bool coloured) {
    return coloured ? std::string{colour} + std::string{text} + std::string{plain}
                    : std::string{text};
}

std::string titled(std::string_view title, const std::vector<std::string>& lines, bool coloured) {
    std::string text;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string left = i == 0 ? std::string{title} : std::string(title.size(), ' ');
        text += "  " + painted(dim, left, coloured) + " " + lines[i] + '\n';
    }
    return text;
}

std::string whole(const diagnose::finding& which, bool coloured) {
    return painted(bold, which.sentence, coloured) + '\n' +
           titled("sure:    ",
                  {std::string{diagnose::to_text(which.sure)} + " (" +
                   std::string{diagnose::name_of(which.what)} + ", exit code " +
                   std::to_string(diagnose::exit_code(which.what)) + ")"},
                  coloured) +
           titled("evidence:", which.evidence, coloured) +
           titled("fix:     ", which.fixes, coloured);
}

std::string no_finding(const diagnose::diagnosis& made) {
    const auto& asked = made.asked;
    const auto over = std::string{ip::to_text(asked.over)} + " ";
    const bool is_unix =
        !asked.places.empty() && std::holds_alternative<ip::unix_name>(asked.places.front());
    return "nothing stands in the way of " + std::string{diagnose::to_text(asked.what)} + " " +
           (is_unix ? "" : over) + asked.text + ", as far as can be seen";
}

json::array texts(const std::vector<std::string>& all) {
    json::array made;
    for (const auto& each : all) {
        made.emplace_back(each);
    }
    return made;
}

json::value text_or_null(const std::string& text) {
    return text.empty() ? json::value{} : json::value{text};
}

} // namespace

std::string why_text(const diagnose::diagnosis& made, const why_style& how) {
    std::string text;
    if (made.findings.empty()) {
        text += painted(bold, no_finding(made), how.coloured) + '\n';
    }
    for (std::size_t i = 0; i < made.findings.size(); ++i) {
        if (i == 0 || how.verbose) {
            text += whole(made.findings[i], how.coloured);
        } else {
            text += titled("also:    ", {made.findings[i].sentence}, how.coloured);
        }
    }
    if (how.verbose) {
        for (const auto& each : made.excluded) {
            text +=
                titled("not:     ", {std::string{diagnose::name_of(each.what)} + ": " + each.why},
                       how.coloured);
        }
    }
    text += titled("not seen:", made.unseen, how.coloured);
    return text;
}

std::string why_text(const run::process_places& made, const why_style& how) {
    std::string text = painted(bold, diagnose::line_of(made.who), how.coloured) + '\n';
    if (made.sockets.empty()) {
        text += "it has no socket that takes connections or datagrams\n";
    }
    for (std::size_t i = 0; i < made.sockets.size(); ++i) {
        text += '\n' + painted(dim, diagnose::line_of(made.sockets[i]), how.coloured) + '\n' +
                why_text(made.each[i], how);
    }
    return text + titled("not seen:", made.unseen, how.coloured);
}

json::object why_json(const diagnose::diagnosis& made) {
    json::array findings;
    for (const auto& each : made.findings) {
        findings.push_back({{"cause", diagnose::name_of(each.what)},
                            {"exit_code", diagnose::exit_code(each.what)},
                            {"sureness", diagnose::to_text(each.sure)},
                            {"sentence", each.sentence},
                            {"evidence", texts(each.evidence)},
                            {"fixes", texts(each.fixes)}});
    }
    json::array excluded;
    for (const auto& each : made.excluded) {
        excluded.push_back({{"cause", diagnose::name_of(each.what)}, {"why", each.why}});
    }
    return {{"address", made.asked.text},
            {"act", diagnose::to_text(made.asked.what)},
            {"transport", ip::to_text(made.asked.over)},
            {"cause", diagnose::name_of(made.answer())},
            {"exit_code", diagnose::exit_code(made.answer())},
            {"findings", std::move(findings)},
            {"excluded", std::move(excluded)},
            {"unseen", texts(made.unseen)}};
}

json::object why_json(const run::process_places& made) {
    json::array sockets;
    for (std::size_t i = 0; i < made.sockets.size(); ++i) {
        sockets.push_back({{"socket", diagnose::line_of(made.sockets[i])},
                           {"diagnosis", why_json(made.each[i])}});
    }
    return {{"pid", made.who.pid},
            {"name", made.who.name},
            {"command", made.who.command},
            {"user", made.who.uid},
            {"unit", text_or_null(made.who.unit)},
            {"container", text_or_null(made.who.container)},
            {"sockets", std::move(sockets)},
            {"unseen", texts(made.unseen)}};
}

json::object why_json(const std::string& error, int exit_code) {
    return {{"error", error.substr(0, error.find_last_not_of('\n') + 1)}, {"exit_code", exit_code}};
}

} // namespace portico::app
