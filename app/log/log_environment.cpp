#include "log/log_environment.hpp"

#include <cstdlib>

namespace portico::app {
namespace {

std::optional<bool> parse_truth(std::string_view text) {
    return text == "true"    ? std::optional{true}
           : text == "false" ? std::optional{false}
                             : std::nullopt;
}

// Empty: all is well.
template <class Value>
std::string read_one(const char* name, std::optional<Value> (*parse)(std::string_view),
                     const char* words, std::optional<Value>& into) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') {
        return {};
    }
    into = parse(text);
    return into ? "" : std::string{name} + "=" + text + ": it is " + words;
}

} // namespace

std::optional<log_format> parse_log_format(std::string_view text) noexcept {
    return text == "logfmt" ? std::optional{log_format::logfmt}
           : text == "json" ? std::optional{log_format::json}
                            : std::nullopt;
}

std::optional<severity> parse_severity(std::string_view text) noexcept {
    return text == "error"     ? std::optional{severity::error}
           : text == "warning" ? std::optional{severity::warning}
           : text == "info"    ? std::optional{severity::info}
           : text == "debug"   ? std::optional{severity::debug}
                               : std::nullopt;
}

tl::expected<log_environment, std::string> read_log_environment() {
    log_environment made;
    auto wrong = read_one<log_format>(
        "PORTICO_LOG_FORMAT", [](std::string_view text) { return parse_log_format(text); },
        "logfmt or json", made.format);
    if (wrong.empty()) {
        wrong = read_one<severity>(
            "PORTICO_LOG_LEVEL", [](std::string_view text) { return parse_severity(text); },
            "error, warning, info or debug", made.least);
    }
    if (wrong.empty()) {
        wrong = read_one<bool>("PORTICO_LOG_NAMES", &parse_truth, "true or false", made.names);
    }
    if (!wrong.empty()) {
        return tl::unexpected{std::move(wrong)};
    }
    return made;
}

} // namespace portico::app
