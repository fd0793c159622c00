// The options of `portico listen` that are about a program (-- PROGRAM).
#pragma once

#include "flags/setting_error.hpp"

#include "portico/base/instant.hpp"
#include "portico/run/program.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

namespace portico::app {

// What CLI11 writes into: it must live until the parser has run, and stay where it is.
struct program_flags {
    std::string user{};
    std::string group{};
    std::vector<std::string> groups{};
    std::string chroot{};
    std::string cwd{};
    std::string umask{};
    std::vector<std::string> rlimit{};
    std::optional<int> nice{};
    std::vector<std::string> env{};
    std::vector<std::string> env_file{};
    std::optional<duration> time_limit{};
    std::string errors = "inherit"; // --stderr
    bool wait = false;
    // No flag: who this process becomes, as whom programs without a user of their own run.
    std::string host_user{};
};

void add_program_flags(CLI::App& verb, program_flags& flags);

// Looks the program, the user and the groups up, and reads the files; `command` is the program with
// its arguments. Whether it could be started like that is for run::find_trouble().
[[nodiscard]] or_setting_error<run::program_options>
read_program_flags(const program_flags& flags, const std::vector<std::string>& command);

} // namespace portico::app
