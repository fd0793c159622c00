#include "dial/sources.hpp"

#include "portico/os/socket.hpp"

namespace portico::run {

std::optional<ip::source> source_finder::find(const ip::endpoint& to) {
    if (from_) {
        return from_->family() == to.address.family() ? std::optional{describe(*from_)}
                                                      : std::nullopt;
    }
    const auto found = os::source_address(to);
    return found ? std::optional{describe(*found)} : std::nullopt;
}

ip::source source_finder::describe(const ip::address& which) {
    if (!host_) {
        host_ = os::take_snapshot().value_or(os::snapshot{});
    }
    ip::source made;
    made.address = which;
    made.prefix_length = which.is_v4() ? 24 : 64; // when the snapshot does not have it
    for (const auto& each : host_->addresses) {
        if (each.address.with_zone({}) == which.with_zone({})) {
            made.prefix_length = each.prefix_length;
            made.interface = each.link;
            made.deprecated = each.deprecated;
            made.temporary = each.temporary;
            break;
        }
    }
    return made;
}

} // namespace portico::run
