// The causes: their names, which the JSON has, and their numbers, which are exit codes.

#include "portico/diagnose/diagnose.hpp"

#include <array>

namespace portico::diagnose {
namespace {

struct named_cause {
    cause which;
    std::string_view name;
};
constexpr std::array table{
    named_cause{cause::none, "none"},
    named_cause{cause::in_use, "in_use"},
    named_cause{cause::v6_wildcard_takes_v4, "v6_wildcard_takes_v4"},
    named_cause{cause::time_wait, "time_wait"},
    named_cause{cause::bound_not_listening, "bound_not_listening"},
    named_cause{cause::ephemeral_source_port, "ephemeral_source_port"},
    named_cause{cause::connections_left, "connections_left"},
    named_cause{cause::reuse_port_other_user, "reuse_port_other_user"},
    named_cause{cause::reuse_port_missing, "reuse_port_missing"},
    named_cause{cause::privileged_port, "privileged_port"},
    named_cause{cause::address_not_here, "address_not_here"},
    named_cause{cause::address_tentative, "address_tentative"},
    named_cause{cause::address_duplicate, "address_duplicate"},
    named_cause{cause::zone_missing, "zone_missing"},
    named_cause{cause::family_missing, "family_missing"},
    named_cause{cause::stale_socket_file, "stale_socket_file"},
    named_cause{cause::not_a_socket, "not_a_socket"},
    named_cause{cause::no_directory, "no_directory"},
    named_cause{cause::no_permission, "no_permission"},
    named_cause{cause::nobody_listens, "nobody_listens"},
    named_cause{cause::other_family, "other_family"},
    named_cause{cause::localhost_other_family, "localhost_other_family"},
    named_cause{cause::listens_elsewhere, "listens_elsewhere"},
    named_cause{cause::other_namespace, "other_namespace"},
    named_cause{cause::nat_rule, "nat_rule"},
    named_cause{cause::accept_queue_full, "accept_queue_full"},
    named_cause{cause::half_open_queue_full, "half_open_queue_full"},
    named_cause{cause::requests_dropped, "requests_dropped"},
    named_cause{cause::reverse_path, "reverse_path"},
    named_cause{cause::no_route, "no_route"},
    named_cause{cause::first_address_unreachable, "first_address_unreachable"},
    named_cause{cause::ephemeral_ports_used_up, "ephemeral_ports_used_up"},
    named_cause{cause::refused_there, "refused_there"},
    named_cause{cause::no_answer, "no_answer"},
};

constexpr auto causes_alone = [] {
    std::array<cause, table.size()> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = table[i].which;
    }
    return all;
}();

} // namespace

std::string_view to_text(act what) noexcept {
    switch (what) {
    case act::bind:
        return "bind";
    case act::accept:
        return "accept";
    case act::connect:
        break;
    }
    return "connect";
}

std::string_view to_text(sureness how) noexcept {
    switch (how) {
    case sureness::certain:
        return "certain";
    case sureness::likely:
        return "likely";
    case sureness::possible:
        break;
    }
    return "possible";
}

std::string_view name_of(cause which) noexcept {
    for (const auto& each : table) {
        if (each.which == which) {
            return each.name;
        }
    }
    return {};
}

std::span<const cause> all_causes() noexcept {
    return causes_alone;
}

int exit_code(cause which) noexcept {
    return static_cast<int>(which);
}

} // namespace portico::diagnose
