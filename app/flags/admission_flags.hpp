// The options of `portico listen` that say who may come in, and how many.
#pragma once

#include "flags/setting_error.hpp"

#include "portico/run/admission.hpp"

#include <CLI/CLI.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace portico::app {

// What CLI11 writes into: it must live until the parser has run, and stay where it is.
struct admission_flags {
    std::vector<std::string> allow{};
    std::vector<std::string> deny{};
    std::vector<std::string> max_per{};
    std::vector<std::string> rate{};
    std::size_t max_connections = 1000;
    std::string when_full = "queue";
};

void add_admission_flags(CLI::App& verb, admission_flags& flags);

// With a seed of its own.
[[nodiscard]] or_setting_error<run::admission_settings>
read_admission_flags(const admission_flags& flags);

} // namespace portico::app
