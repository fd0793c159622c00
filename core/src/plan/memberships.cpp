#include "portico/plan/memberships.hpp"

namespace portico::plan {

bool is_meant(std::string_view name, const group_interface& which) {
    if (name.empty() || name == which.name) {
        return true;
    }
    const auto number = ip::zone::from_text(name);
    return number && number->index() == which.index;
}

std::set<membership> memberships(std::span<const ip::group> groups, std::string_view bound_to,
                                 std::span<const group_interface> interfaces) {
    std::set<membership> all;
    for (const auto& group : groups) {
        for (const auto& each : interfaces) {
            const bool named = !group.interface.empty();
            if (is_meant(bound_to, each) && is_meant(group.interface, each) &&
                (each.can || named)) {
                all.insert({group.which, each.index});
            }
        }
    }
    return all;
}

} // namespace portico::plan
