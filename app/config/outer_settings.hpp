// Settings of `portico serve` from outside of its files: --set TABLE.KEY=VALUE, and the variables
// PORTICO_TABLE_KEY. They are put into what was read of the files before that is looked at, so what
// a key takes and what is wrong with it is found out as there.
#pragma once

#include "config/diagnostic.hpp"
#include "config/document.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

struct key;

struct outer_setting {
    std::string source{}; // what its errors name: "--set serve.user"
    std::string path{};   // "serve.user", "service.web.env.LANG"
    std::optional<std::string>
        text{}; // a value of TOML, or a text as it is; nullopt: '=' is missing
};

// From "serve.user=www-data".
[[nodiscard]] outer_setting parse_outer_setting(std::string_view text);

// "PORTICO_SERVE_PID_FILE"; empty for a key of a service, whose name no variable can have.
[[nodiscard]] std::string variable_of(const key& which);

struct outer_variables {
    std::vector<outer_setting> settings{};
    std::vector<diagnostic> unknown{}; // called as if they were some, PORTICO_SERVE_USR
};
// From "NAME=VALUE" of each; an empty variable says nothing.
[[nodiscard]] outer_variables read_outer_variables(std::span<const std::string> environment);

struct read_document {
    std::string file{};
    document_table inside{};
};

// Where a value of the setting `index` stands: in no line.
[[nodiscard]] constexpr position place_of_outer(std::size_t index) noexcept {
    return {0, index + 1};
}

// Puts each in the place of what files say, and of what an earlier one says; what is of the whole
// process comes into a document behind the others, which is there already. `is_whole`: all files
// could be read, so that a service that is in none of them is a mistake.
void put_outer_settings(std::span<const outer_setting> settings, std::vector<read_document>& into,
                        bool is_whole, std::vector<diagnostic>& wrong);

} // namespace portico::app
