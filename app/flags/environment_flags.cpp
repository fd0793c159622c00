#include "flags/environment_flags.hpp"

#include "flags/text_file.hpp"

#include "portico/serve/environment_file.hpp"

namespace portico::app {
namespace {

constexpr const char* set_by_us = ": that tells programs of their connection, or of the manager; "
                                  "portico sets it itself, or takes "
                                  "it away; leave it out";

or_setting_error<void> read_file(const std::string& path, run::program_options& into) {
    const auto text = read_text_file(path);
    if (!text) {
        return wrong_setting("env-file", text.error());
    }
    const auto variables = serve::parse_environment_file(*text);
    std::string faults;
    if (!variables) {
        for (const auto& each : variables.error()) {
            faults += (faults.empty() ? "" : "\n    ") + path + ':' + std::to_string(each.line) +
                      ':' + std::to_string(each.column) + ": " + each.what +
                      (each.hint.empty() ? "" : "; " + each.hint);
        }
        return wrong_setting("env-file", faults);
    }
    for (const auto& each : *variables) {
        if (serve::misleads(each.name)) {
            return wrong_setting("env-file", path + ": " + each.name + set_by_us);
        }
        serve::set_variable(into.environment, each);
    }
    return {};
}

or_setting_error<void> read_one(const std::string& text, run::program_options& into) {
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    if (equals == std::string::npos || !serve::is_variable_name(name)) {
        return wrong_setting("env", "'" + text +
                                        "' is no variable; write NAME=VALUE, with letters, digits "
                                        "and '_' in the name");
    }
    if (serve::misleads(name)) {
        return wrong_setting("env", name + set_by_us);
    }
    serve::set_variable(into.environment, {name, text.substr(equals + 1)});
    return {};
}

} // namespace

or_setting_error<void> read_variables(const program_flags& flags, run::program_options& into) {
    or_setting_error<void> done;
    for (const auto& each : flags.env_file) {
        done = done ? read_file(each, into) : done;
    }
    for (const auto& each : flags.env) {
        done = done ? read_one(each, into) : done;
    }
    return done;
}

} // namespace portico::app
