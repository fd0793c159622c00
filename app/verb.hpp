// What main.cpp and the verbs share. Each verb is one file, verb_<name>.cpp, with one function that
// adds its subcommand to the parser; the subcommand's callback does the work and sets the exit
// code.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace portico::app {

struct invocation {
    std::vector<std::string> program; // what followed "--" on the command line
    int exit_code = 0; // 0 done, 100 the user's mistake, 111 the system's, 101 our bug
};

void add_addrs(CLI::App& command, invocation& call);
void add_dial(CLI::App& command, invocation& call);
void add_handover(CLI::App& command, invocation& call);
void add_listen(CLI::App& command, invocation& call);
void add_plan(CLI::App& command, invocation& call);
void add_reload(CLI::App& command, invocation& call);
void add_serve(CLI::App& command, invocation& call);
void add_why(CLI::App& command, invocation& call);

} // namespace portico::app
