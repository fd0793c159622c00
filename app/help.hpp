// What `--help` and `--help-all` print, and what a wrong command line is told.
#pragma once

#include <CLI/CLI.hpp>

#include <iosfwd>
#include <string>

namespace portico::app {

// For the command: its verbs and examples, on one screen of 24 lines of 80 columns. For a verb: its
// arguments and options, and its footer, which is where a verb keeps its examples. For --help-all:
// both, for every verb. Set it before verbs are added, for they take it over.
class help_pages : public CLI::Formatter {
public:
    [[nodiscard]] std::string make_help(const CLI::App* app, std::string name,
                                        CLI::AppFormatMode mode) const override;
};

// Says on `to` what is wrong with the command line, in which verb, and where to read on.
void explain(std::ostream& to, const CLI::App& command, const CLI::ParseError& wrong);

} // namespace portico::app
