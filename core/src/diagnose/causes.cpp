// The causes: their names, which the JSON has, and their numbers, which are exit codes.

#include "portico/diagnose/diagnose.hpp"

#include <array>

namespace portico::diagnose {
namespace {

struct named_cause {
    cause which;
    std::string_view name;
};
constexpr std::array table = std::to_array<named_cause>({
    {cause::none, "none"},
    {cause::in_use, "in_use"},
    {cause::v6_wildcard_takes_v4, "v6_wildcard_takes_v4"},
    {cause::time_wait, "time_wait"},
    {cause::bound_not_listening, "bound_not_listening"},
    {cause::ephemeral_source_port, "ephemeral_source_port"},
    {cause::connections_left, "connections_left"},
    {cause::reuse_port_other_user, "reuse_port_other_user"},
    {cause::reuse_port_missing, "reuse_port_missing"},
    {cause::privileged_port, "privileged_port"},
    {cause::address_not_here, "address_not_here"},
    {cause::address_tentative, "address_tentative"},
    {cause::address_duplicate, "address_duplicate"},
    {cause::zone_missing, "zone_missing"},
    {cause::family_missing, "family_missing"},
    {cause::stale_socket_file, "stale_socket_file"},
    {cause::not_a_socket, "not_a_socket"},
    {cause::no_directory, "no_directory"},
    {cause::no_permission, "no_permission"},
    {cause::nobody_listens, "nobody_listens"},
    {cause::other_family, "other_family"},
    {cause::localhost_other_family, "localhost_other_family"},
    {cause::listens_elsewhere, "listens_elsewhere"},
    {cause::other_namespace, "other_namespace"},
    {cause::nat_rule, "nat_rule"},
    {cause::accept_queue_full, "accept_queue_full"},
    {cause::half_open_queue_full, "half_open_queue_full"},
    {cause::requests_dropped, "requests_dropped"},
    {cause::reverse_path, "reverse_path"},
    {cause::no_route, "no_route"},
    {cause::first_address_unreachable, "first_address_unreachable"},
    {cause::ephemeral_ports_used_up, "ephemeral_ports_used_up"},
    {cause::refused_there, "refused_there"},
    {cause::no_answer, "no_answer"},
    {cause::filter_rule, "filter_rule"},
});

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

bool explains(cause which, const std::error_code& failed) noexcept {
    const auto is = [&](auto... each) { return ((failed == each) || ...); };
    switch (which) {
    case cause::none:
        return false;
    case cause::in_use:
    case cause::v6_wildcard_takes_v4:
    case cause::time_wait:
    case cause::ephemeral_source_port:
    case cause::connections_left:
    case cause::reuse_port_other_user:
    case cause::reuse_port_missing:
        return is(std::errc::address_in_use);
    case cause::bound_not_listening:
    case cause::stale_socket_file:
    case cause::not_a_socket:
        return is(std::errc::address_in_use, std::errc::connection_refused);
    case cause::privileged_port:
    case cause::no_permission:
        return is(std::errc::permission_denied, std::errc::operation_not_permitted);
    case cause::address_not_here:
    case cause::address_tentative:
    case cause::address_duplicate:
        return is(std::errc::address_not_available);
    case cause::zone_missing:
        return is(std::errc::invalid_argument);
    case cause::family_missing:
        return is(std::errc::address_not_available, std::errc::address_family_not_supported);
    case cause::no_directory:
        return is(std::errc::no_such_file_or_directory, std::errc::not_a_directory);
    case cause::nobody_listens:
        return is(std::errc::connection_refused, std::errc::no_such_file_or_directory);
    case cause::other_family:
    case cause::localhost_other_family:
    case cause::listens_elsewhere:
    case cause::other_namespace:
    case cause::refused_there:
        return is(std::errc::connection_refused);
    case cause::nat_rule: // wherever the packets go instead
        return is(std::errc::connection_refused, std::errc::timed_out, std::errc::host_unreachable,
                  std::errc::network_unreachable);
    case cause::filter_rule:
        return is(std::errc::connection_refused, std::errc::timed_out, std::errc::host_unreachable,
                  std::errc::network_unreachable, std::errc::operation_not_permitted,
                  std::errc::permission_denied);
    case cause::accept_queue_full:
        return is(std::errc::timed_out, std::errc::resource_unavailable_try_again);
    case cause::half_open_queue_full:
    case cause::requests_dropped:
    case cause::reverse_path:
        return is(std::errc::timed_out);
    case cause::no_route:
    case cause::no_answer:
    case cause::first_address_unreachable:
        return is(std::errc::timed_out, std::errc::host_unreachable, std::errc::network_unreachable,
                  std::errc::permission_denied);
    case cause::ephemeral_ports_used_up:
        return is(std::errc::address_not_available);
    }
    return false;
}

int exit_code(cause which) noexcept {
    return static_cast<int>(which);
}

} // namespace portico::diagnose
