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
    return all;
}

} // namespace portico::plan
