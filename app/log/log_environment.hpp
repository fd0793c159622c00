// What the environment says of the log of `listen`, where its options say nothing; `serve` reads the
// same variables by its keys, see config/outer_settings.hpp.
#pragma once

#include "log/log.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::app {

struct log_environment {
    std::optional<log_format> format{}; // PORTICO_LOG_FORMAT
    std::optional<severity> least{};    // PORTICO_LOG_LEVEL
    std::optional<bool> names{};        // PORTICO_LOG_NAMES
};

// An empty variable says nothing. The error is for a person.
[[nodiscard]] tl::expected<log_environment, std::string> read_log_environment();

// "logfmt" and "json"; "error", "warning", "info" and "debug".
[[nodiscard]] std::optional<log_format> parse_log_format(std::string_view text) noexcept;
[[nodiscard]] std::optional<severity> parse_severity(std::string_view text) noexcept;

} // namespace portico::app
