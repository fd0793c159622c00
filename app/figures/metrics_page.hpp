// Families of metrics in the text format of Prometheus: HELP and TYPE once for each name, and all
// its series behind them.
#pragma once

#include "figures/service_figures.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portico::app {

using label = std::pair<std::string_view, std::string_view>;
using labels = std::vector<label>;
[[nodiscard]] labels with(labels all, std::initializer_list<label> more);

enum class metric : std::uint8_t { counter, gauge, histogram };

// One text. What is added belongs to the family that was begun last.
class metrics_page {
public:
    // `name` without "portico_".
    void begin(std::string_view name, metric type, std::string_view help);
    template <class Number>
    void add(const labels& with, Number value, std::string_view suffix = {}) {
        add_name(with, suffix);
        fmt::format_to(std::back_inserter(text_), "{}\n", value);
    }
    // A family of one series without labels.
    template <class Number>
    void add_one(std::string_view name, metric type, std::string_view help, Number value) {
        begin(name, type, help);
        add({}, value);
    }
    [[nodiscard]] std::string text() && { return std::move(text_); }

private:
    void add_name(const labels& with, std::string_view suffix);

    std::string name_;
    std::string text_;
};

// What all services have to say about a family, on one page.
class service_metrics {
public:
    service_metrics(metrics_page& to, const host_figures& what) : to_{to}, what_{what} {}

    // `tell` adds the series of one service, with these labels and perhaps more.
    void each(std::string_view name, metric type, std::string_view help,
              const std::function<void(const service_figures&, const labels&)>& tell);
    // One value of each service that `value` has one of.
    void
    each_value(std::string_view name, metric type, std::string_view help,
               const std::function<std::optional<std::uint64_t>(const service_figures&)>& value);
    [[nodiscard]] metrics_page& out() noexcept { return to_; }
    [[nodiscard]] bool any(bool (*holds)(const service_figures&)) const;

private:
    metrics_page& to_;
    const host_figures& what_;
};

// What only some kinds of services have; nothing where there is none of the kind.
void add_relay_metrics(service_metrics& to);
void add_program_metrics(service_metrics& to);
void add_query_metrics(service_metrics& to);
void add_socks_metrics(service_metrics& to);

} // namespace portico::app
