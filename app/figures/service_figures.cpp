#include "figures/service_figures.hpp"

#include "portico/ip/canonical.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace portico::app {
namespace {

using run::relay_family;

// Whatever a user has written: for a terminal, and as UTF-8. As in the log.
std::string printable(std::string_view text) {
    std::string made;
    for (const char each : text) {
        if (each >= ' ' && each < '\x7f') {
            made += each;
        } else {
            made += fmt::format("\\x{:02x}", static_cast<unsigned char>(each));
        }
    }
    return made;
}

// A name is used once, or metrics could not be told apart: the second "x" is "x#2".
template <class IsTaken>
std::string unique(std::string_view text, IsTaken is_taken) {
    const auto name = printable(text);
    auto made = name;
    for (unsigned number = 2; is_taken(made); ++number) {
        made = name + "#" + std::to_string(number);
    }
    return made;
}

} // namespace

bool is_used(const relay::target_state::way_state& one) noexcept {
    return one.has_addresses || one.connected + one.failed != 0;
}

std::string_view to_text(relay_family which) noexcept {
    return relay::to_text(static_cast<relay::way>(which));
}

void add_targets(service_figures& to, const run::relay_targets& which, ip::transport over) {
    for (auto& each : which.snapshot()) {
        auto name = unique(each.name, [&](const std::string& made) {
            return std::any_of(to.targets.begin(), to.targets.end(), [&](const auto& other) {
                return other.over == over && other.name == made;
            });
        });
        to.targets.push_back({std::move(name), over, std::move(each), {}});
    }
    if (const auto trouble = printable(which.trouble()); !trouble.empty()) {
        to.trouble += (to.trouble.empty() ? "" : "; ") + trouble;
    }
}

std::uint64_t service_figures::connect_times::count() const noexcept {
    return std::accumulate(below.begin(), below.end(), std::uint64_t{0});
}

relay_family family_of(const ip::any_endpoint& at) noexcept {
    const auto canonical = ip::canonical(at);
    const auto* where = std::get_if<ip::endpoint>(&canonical);
    return where == nullptr         ? relay_family::local
           : where->address.is_v6() ? relay_family::v6
                                    : relay_family::v4;
}

std::vector<named_listener> name_listeners(std::span<const plan::wish> wishes,
                                           std::span<const run::bound_socket> sockets) {
    std::vector<named_listener> made;
    for (const auto& each : wishes) {
        auto name = unique(each.where.text, [&](const std::string& text) {
            return std::any_of(made.begin(), made.end(),
                               [&](const auto& other) { return other.name == text; });
        });
        made.push_back({std::move(name), {}});
    }
    for (const auto& each : sockets) {
        made[each.wish].has[static_cast<std::size_t>(family_of(each.at))] = true;
    }
    return made;
}

} // namespace portico::app
