#include "help.hpp"

#include "flags/nearest_word.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

namespace portico::app {
namespace {

constexpr std::size_t screen_width = 80;

constexpr std::string_view examples = R"(
examples:
  portico listen :7007 --echo                    on every address, both families
  portico listen :8080 --to www.example.org:80   a relay
  portico serve /etc/portico/portico.toml        many services, as a file says
  portico reload                                 it reads the file again
  portico handover                               a new version of it takes over
  portico dial --trace www.example.org 80        connect, and see the race
  portico plan :7020 @eth0:53                    what listen would open, and why
  portico why :8080                              who is in the way, what to do
  portico addrs --watch                          addresses, as they come and go
portico help VERB tells a verb's options, portico --help-all those of all.
)";

// The text in lines of at most `width`, the later ones indented.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width = screen_width) {
    std::string out;
    std::size_t column = indent;
    while (!text.empty()) {
        const auto end = std::min(text.find(' '), text.size());
        if (column > indent && column + 1 + end > width) {
            out += '\n' + std::string(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, end);
        column += end;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

struct entry {
    std::string name;
    std::string text;
};

// Names to the left, texts to the right, wrapped; a long name has its line for itself.
std::string two_columns(const std::vector<entry>& entries, std::size_t widest) {
    std::size_t left = 0;
    for (const auto& each : entries) {
        if (each.name.size() <= widest) {
            left = std::max(left, each.name.size());
        }
    }
    std::string out;
    for (const auto& each : entries) {
        const std::size_t indent = left + 4;
        out += "  " + each.name;
        out += each.name.size() > left ? '\n' + std::string(indent, ' ')
                                       : std::string(indent - 2 - each.name.size(), ' ');
        out += wrapped(each.text, indent) + '\n';
    }
    return out;
}

// What an author called the value, or CLI11's name of its type, behind which it puts the range.
std::string value_name(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const std::string first = type.substr(0, type.find(':'));
    if (first == "FLOAT" || first == "INT" || first == "UINT") {
        return "NUMBER";
    }
    return first == "TEXT" ? first : type;
}

std::string option_names(const CLI::Option& option) {
    std::string names;
    for (const auto& each : option.get_snames()) {
        names += (names.empty() ? "-" : ", -") + each;
    }
    for (const auto& each : option.get_lnames()) {
        names += (names.empty() ? "    --" : ", --") + each;
    }
    return option.get_items_expected_max() > 0 ? names + ' ' + value_name(option) : names;
}

std::string argument_name(const CLI::Option& argument) {
    const std::string name =
        argument.get_single_name() + (argument.get_items_expected_max() > 1 ? "..." : "");
    return argument.get_required() ? name : '[' + name + ']';
}

std::string verb_help(const CLI::App& verb, const std::string& name) {
    std::string usage = fmt::format("usage: {} [OPTION...]", name);
    std::vector<entry> arguments;
    std::vector<entry> options;
    for (const auto* each : verb.get_options()) {
        if (each->get_positional()) {
            usage += ' ' + argument_name(*each);
            arguments.push_back({each->get_single_name(), each->get_description()});
        } else if (!each->get_group().empty() && each != verb.get_help_all_ptr()) {
            options.push_back({option_names(*each), each->get_description()});
        }
    }
    if (verb.get_name() == "listen") { // main() keeps it from the parser
        usage += " [-- PROGRAM [ARGUMENT...]]";
    }
    std::string out = wrapped(fmt::format("{}: {}", name, verb.get_description()), 0) + "\n\n";
    out += usage + '\n';
    if (!arguments.empty()) {
        out += "\n" + two_columns(arguments, 24);
    }
    out += "\noptions:\n" + two_columns(options, 28);
    if (!verb.get_footer().empty()) {
        out += '\n' + verb.get_footer() + '\n';
    }
    return out;
}

std::vector<const CLI::App*> verbs_of(const CLI::App& command) {
    return command.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); });
}

std::string command_help(const CLI::App& command) {
    std::vector<entry> verbs;
    for (const auto* each : verbs_of(command)) {
        verbs.push_back({each->get_name(), each->get_description()});
    }
    return fmt::format("portico: {}\n\nusage: portico VERB [OPTION...] [ARGUMENT...] [-- PROGRAM "
                       "ARGUMENT...]\n\n{}{}",
                       command.get_description(), two_columns(verbs, 12), examples);
}

// Every word that could have been meant where `verb` was read.
std::vector<std::string> known_words(const CLI::App& command, const CLI::App* verb) {
    std::vector<std::string> words;
    if (verb == nullptr) {
        for (const auto* each : verbs_of(command)) {
            words.push_back(each->get_name());
        }
        verb = &command;
    }
    for (const auto* each : verb->get_options()) {
        for (const auto& name : each->get_lnames()) {
            words.push_back("--" + name);
        }
    }
    return words;
}

// CLI11's sentence, as one of ours: no capital, no full stop, no advice of its own.
std::string sentence(std::string text) {
    text.erase(std::min(text.find("\nRun with"), text.size()));
    if (text.ends_with(" missing")) { // "--timeout: 1 required FLOAT missing"
        text = text.substr(0, text.find(':')) + ": its value is missing";
    }
    while (!text.empty() && (text.back() == '.' || std::isspace(text.back()) != 0)) {
        text.pop_back();
    }
    if (text.size() > 1 && std::islower(text[1]) != 0) {
        text[0] = static_cast<char>(std::tolower(text[0]));
    }
    return text;
}

// As `listen` has them.
bool is_about_log(std::string_view option) {
    constexpr std::array<std::string_view, 6> all{"-q",        "-v",           "--quiet",
                                                  "--verbose", "--log-format", "--log-names"};
    return std::find(all.begin(), all.end(), option.substr(0, option.find('='))) != all.end();
}

} // namespace

std::string help_pages::make_help(const CLI::App* app, std::string name,
                                  CLI::AppFormatMode mode) const {
    if (app->get_parent() != nullptr) {
        return verb_help(*app, name);
    }
    std::string out = command_help(*app);
    if (mode == CLI::AppFormatMode::All) {
        for (const auto* each : verbs_of(*app)) {
            out += '\n' + verb_help(*each, name + ' ' + each->get_name());
        }
    }
    return out;
}

void explain(std::ostream& to, const CLI::App& command, const CLI::ParseError& wrong) {
    const auto chosen = command.get_subcommands();
    const CLI::App* verb = chosen.empty() ? nullptr : chosen.front();
    const std::string name = verb == nullptr ? "portico" : "portico " + verb->get_name();
    const std::string label = verb == nullptr ? "portico" : "portico: " + verb->get_name();

    auto unknown = (verb == nullptr ? &command : verb)->remaining();
    if (verb != nullptr && unknown.empty()) {
        unknown = command.remaining();
    }
    if (wrong.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) &&
        verb == nullptr && unknown.empty()) {
        to << command.help() << "\nportico: a verb is missing; portico --help lists the verbs\n";
        return;
    }
    if (!unknown.empty()) {
        const bool is_option = unknown.front().starts_with('-');
        const auto like = nearest_word(unknown.front(), known_words(command, verb));
        to << label << ": " << unknown.front() << ": there is no such "
           << (is_option         ? "option"
               : verb == nullptr ? "verb"
                                 : "argument: " + name + " takes no more of them")
           << (like.empty() ? "" : "; did you mean " + like + "?") << '\n';
        if (verb != nullptr && verb->get_name() == "serve" && is_about_log(unknown.front())) {
            to << "    how much is logged, and how, stands in the file: level and format in [log]; "
                  "or "
                  "--set log.level=debug\n";
        }
    } else {
        to << label << ": " << sentence(wrong.what()) << '\n';
    }
    to << "    " << name << " --help tells how to use it\n";
}

} // namespace portico::app
