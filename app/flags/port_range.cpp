#include "flags/port_range.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace portico::app {
namespace {

std::optional<std::uint16_t> port_in(std::string_view text) {
    std::uint16_t port = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, port);
    return wrong == std::errc{} && rest == end && port != 0 ? std::optional{port} : std::nullopt;
}

} // namespace

tl::expected<port_range, std::string> parse_port_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = port_in(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : port_in(text.substr(dash + 1));
    if (!first || !last || *last < *first) {
        return tl::unexpected{"'" + std::string{text} +
                              "' are no ports: write one from 1 to 65535, such as 80, or the first "
                              "and the last, such as 1-1023"};
    }
    return port_range{*first, *last};
}

std::string port_range_fault(const std::string& text) {
    const auto read = parse_port_range(text);
    return read ? "" : read.error();
}

std::string to_text(const std::vector<port_range>& ranges) {
    std::string text;
    for (const auto& each : ranges) {
        text += (text.empty() ? "" : ", ") + std::to_string(each.first) +
                (each.last == each.first ? "" : " to " + std::to_string(each.last));
    }
    return text;
}

bool contains(const std::vector<port_range>& ranges, std::uint16_t port) noexcept {
    return std::any_of(ranges.begin(), ranges.end(), [port](const port_range& each) {
        return each.first <= port && port <= each.last;
    });
}

} // namespace portico::app
