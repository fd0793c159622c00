// Which names need a resolver, and which must never be given to one.

#include "plan/words.hpp"

#include <algorithm>

namespace portico::plan {
namespace {

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

bool is_localhost(std::string_view name) noexcept {
    constexpr std::string_view local = "localhost";
    if (name.ends_with('.')) {
        name.remove_suffix(1);
    }
    if (name.size() < local.size()) {
        return false;
    }
    const auto tail = name.substr(name.size() - local.size());
    const bool same = std::equal(tail.begin(), tail.end(), local.begin(),
                                 [](char a, char b) { return lower(a) == b; });
    return same && (name.size() == local.size() || name[name.size() - local.size() - 1] == '.');
}

std::vector<std::string> names_to_resolve(const std::vector<wish>& wishes) {
    std::vector<std::string> names;
    for (const auto& each : wishes) {
        const auto* host = std::get_if<ip::host_name>(&each.where.where);
        if (host == nullptr || is_localhost(host->name)) {
            continue;
        }
        if (std::find(names.begin(), names.end(), host->name) == names.end()) {
            names.push_back(host->name);
        }
    }
    return names;
}

} // namespace portico::plan
