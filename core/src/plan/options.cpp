// The options of a planned socket, in the order in which they are set, each with its reason.

#include "portico/plan/plan.hpp"

namespace portico::plan {
namespace {

const char* freebind_name(bool v6) noexcept {
    return v6 ? "IPV6_FREEBIND" : "IP_FREEBIND";
}

const char* packet_info_name(bool v6) noexcept {
    return v6 ? "IPV6_RECVPKTINFO" : "IP_PKTINFO";
}

void add_groups(std::vector<option_setting>& to, const planned_socket& which, bool v6) {
    const auto* where = std::get_if<ip::endpoint>(&which.at);
    const bool on_one = !which.interface.empty() || (v6 && !where->address.zone().empty());
    to.push_back({v6 ? "IPV6_MULTICAST_ALL" : "IP_MULTICAST_ALL", "0",
                  "not the groups that others of this host have joined"});
    for (const auto& each : which.groups) {
        to.push_back({v6 ? "IPV6_JOIN_GROUP" : "IP_ADD_MEMBERSHIP", ip::to_text(each),
                      on_one || !each.interface.empty()
                          ? "asked for: the group, on this interface"
                          : "asked for: the group, on every interface that can, also on those that "
                            "come later"});
    }
}

} // namespace

std::vector<option_setting> planned_socket::options() const {
    const auto* where = std::get_if<ip::endpoint>(&at);
    const bool v6 = where != nullptr && where->address.is_v6();
    std::vector<option_setting> all;
    if (v6only) {
        all.push_back({"IPV6_V6ONLY", "1",
                       "IPv6 alone, whatever net.ipv6.bindv6only says: IPv4 has its own socket"});
    }
    if (reuse_address) {
        all.push_back(
            {"SO_REUSEADDR", "1", "a restart need not wait for old connections in TIME_WAIT"});
    }
    if (reuse_port) {
        all.push_back(
            {"SO_REUSEPORT", "1", "asked for: several processes of one user share the port"});
    }
    if (freebind) {
        all.push_back({freebind_name(v6), "1", "asked for: the address may come later"});
    }
    if (packet_info) {
        all.push_back(
            {packet_info_name(v6), "1", "a reply leaves from the address that the query came to"});
    }
    if (!interface.empty()) {
        all.push_back({"SO_BINDTODEVICE", interface, "only what comes in by this interface"});
    }
    if (!groups.empty()) {
        add_groups(all, *this, v6);
    }
    return all;
}

} // namespace portico::plan
