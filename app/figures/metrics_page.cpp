#include "figures/metrics_page.hpp"

#include <algorithm>
#include <array>

namespace portico::app {
namespace {

std::string escaped(std::string_view text) {
    std::string made;
    for (const char each : text) {
        if (each == '\\' || each == '"') {
            made += '\\';
            made += each;
        } else if (each == '\n') {
            made += "\\n";
        } else {
            made += each;
        }
    }
    return made;
}

} // namespace

labels with(labels all, std::initializer_list<label> more) {
    all.insert(all.end(), more);
    return all;
}

void metrics_page::begin(std::string_view name, metric type, std::string_view help) {
    constexpr std::array<std::string_view, 3> types{"counter", "gauge", "histogram"};
    name_ = fmt::format("portico_{}", name);
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                   types[static_cast<std::size_t>(type)]);
}

void metrics_page::add_name(const labels& with, std::string_view suffix) {
    text_ += name_;
    text_ += suffix;
    char before = '{';
    for (const auto& [name, what] : with) {
        fmt::format_to(std::back_inserter(text_), "{}{}=\"{}\"", std::exchange(before, ','), name,
                       escaped(what));
    }
    text_ += with.empty() ? " " : "} ";
}

void service_metrics::each(std::string_view name, metric type, std::string_view help,
                           const std::function<void(const service_figures&, const labels&)>& tell) {
    to_.begin(name, type, help);
    for (const auto& one : what_.services) {
        tell(one, one.name.empty() ? labels{} : labels{{"service", one.name}});
    }
}

void service_metrics::each_value(
    std::string_view name, metric type, std::string_view help,
    const std::function<std::optional<std::uint64_t>(const service_figures&)>& value) {
    each(name, type, help, [&](const service_figures& one, const labels& of) {
        if (const auto number = value(one)) {
            to_.add(of, *number);
        }
    });
}

bool service_metrics::any(bool (*holds)(const service_figures&)) const {
    return std::any_of(what_.services.begin(), what_.services.end(), holds);
}

} // namespace portico::app
