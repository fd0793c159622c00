// The options of `portico listen` that are about a SOCKS server (--socks).
#pragma once

#include "flags/relay_flags.hpp"

#include "portico/run/socks.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace portico::app {

// What CLI11 writes into: it must live until the parser has run, and stay where it is.
struct socks_flags {
    bool is_asked = false;
    std::string users{}; // a file
    std::vector<std::string> allow_to{};
    std::vector<std::string> deny_to{};
};

void add_socks_flags(CLI::App& verb, socks_flags& flags);

struct socks_choice {
    run::socks_options options;
    std::vector<std::string> remarks; // for the log: what is not as it should be
};

// Reads the file of users. `common`: the options that it shares with a relay.
[[nodiscard]] or_setting_error<socks_choice> read_socks_flags(const socks_flags& flags,
                                                              const relay_flags& common);

} // namespace portico::app
