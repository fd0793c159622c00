// Reading the messages of rtnetlink(7). Pure, and bounds checked: the kernel is trusted, but not
// the assumption that it always sends what we know.

#include "portico/os/netlink.hpp"

#include "netlink/messages.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

namespace portico::os {
namespace {

std::optional<ip::address> address_of(bytes_view bytes, std::uint8_t family, std::uint32_t link) {
    const auto plain = netlink_address(bytes, family != AF_INET);
    return plain && plain->needs_zone() ? plain->with_zone(ip::zone::from_index(link)) : plain;
}

// Ethernet, EUI-64 and InfiniBand; tunnels put an IP address there, and lo zeros.
std::vector<std::uint8_t> mac_of(bytes_view bytes) {
    const bool known = bytes.size() == 6 || bytes.size() == 8 || bytes.size() == 20;
    if (!known ||
        std::all_of(bytes.begin(), bytes.end(), [](auto b) { return b == std::byte{0}; })) {
        return {};
    }
    std::vector<std::uint8_t> mac(bytes.size());
    std::memcpy(mac.data(), bytes.data(), bytes.size());
    return mac;
}

std::string kind_of(bytes_view link_info) {
    std::string kind;
    static_cast<void>(each_attribute(link_info, [&](int type, bytes_view payload) {
        if (type == IFLA_INFO_KIND) {
            kind = netlink_text(payload);
        }
    }));
    return kind;
}

// False when it is malformed.
bool read_link(bytes_view body, bool removed, std::vector<change>& into) {
    const auto head = leading<ifinfomsg>(body);
    if (!head) {
        return false;
    }
    // A bridge says of its ports, in the family AF_BRIDGE, that they come and go: the links stay.
    if (head->ifi_family != AF_UNSPEC) {
        return true;
    }
    link read;
    read.index = static_cast<std::uint32_t>(head->ifi_index);
    read.up = (head->ifi_flags & IFF_UP) != 0;
    read.running = (head->ifi_flags & IFF_RUNNING) != 0;
    read.loopback = (head->ifi_flags & IFF_LOOPBACK) != 0;
    read.multicast = (head->ifi_flags & IFF_MULTICAST) != 0;
    bool partial = false;
    const bool whole = each_attribute(after(body, sizeof *head), [&](int type, bytes_view payload) {
        if (type == IFLA_IFNAME) {
            read.name = netlink_text(payload);
        } else if (type == IFLA_ADDRESS) {
            read.mac = mac_of(payload);
        } else if (type == IFLA_MTU) {
            read.mtu = leading<std::uint32_t>(payload).value_or(0);
        } else if (type == IFLA_LINKINFO) {
            read.kind = kind_of(payload);
        } else if (type == IFLA_WIRELESS) {
            partial = true; // an event of the radio: it does not describe the link
        }
    });
    if (!whole || partial) {
        return whole;
    }
    if (removed) {
        into.emplace_back(link_removed{read.index, std::move(read.name)});
    } else {
        into.emplace_back(link_set{std::move(read)});
    }
    return true;
}

address_scope scope_of(std::uint8_t scope) noexcept {
    switch (scope) {
    case RT_SCOPE_UNIVERSE:
        return address_scope::global;
    case RT_SCOPE_SITE:
        return address_scope::site;
    case RT_SCOPE_LINK:
        return address_scope::link;
    case RT_SCOPE_HOST:
        return address_scope::host;
    default:
        return address_scope::other;
    }
}

void set_flags(link_address& to, std::uint32_t flags) noexcept {
    to.tentative = (flags & IFA_F_TENTATIVE) != 0;
    to.optimistic = (flags & IFA_F_OPTIMISTIC) != 0;
    to.dad_failed = (flags & IFA_F_DADFAILED) != 0;
    to.deprecated = (flags & IFA_F_DEPRECATED) != 0;
    to.permanent = (flags & IFA_F_PERMANENT) != 0;
    to.nodad = (flags & IFA_F_NODAD) != 0;
    // One bit, two meanings.
    static_assert(IFA_F_TEMPORARY == IFA_F_SECONDARY);
    to.temporary = to.address.is_v6() && (flags & IFA_F_TEMPORARY) != 0;
    to.secondary = to.address.is_v4() && (flags & IFA_F_SECONDARY) != 0;
}

std::optional<std::chrono::seconds> lifetime(std::uint32_t seconds) noexcept {
    return seconds == UINT32_MAX ? std::nullopt : std::optional{std::chrono::seconds{seconds}};
}

// False when it is malformed.
bool read_address(bytes_view body, bool removed, std::vector<change>& into) {
    const auto head = leading<ifaddrmsg>(body);
    if (!head) {
        return false;
    }
    if (head->ifa_family != AF_INET && head->ifa_family != AF_INET6) {
        return true;
    }
    link_address read;
    read.link = head->ifa_index;
    read.prefix_length = head->ifa_prefixlen;
    read.scope = scope_of(head->ifa_scope);
    std::uint32_t flags = head->ifa_flags;
    std::optional<ip::address> local;
    std::optional<ip::address> far;
    const bool whole = each_attribute(after(body, sizeof *head), [&](int type, bytes_view payload) {
        const auto as_address = [&] {
            return address_of(payload, head->ifa_family, head->ifa_index);
        };
        if (type == IFA_LOCAL) {
            local = as_address();
        } else if (type == IFA_ADDRESS) {
            far = as_address();
        } else if (type == IFA_BROADCAST) {
            read.broadcast = as_address();
        } else if (type == IFA_LABEL) {
            read.label = netlink_text(payload);
        } else if (type == IFA_FLAGS) {
            flags = leading<std::uint32_t>(payload).value_or(flags);
        } else if (type == IFA_CACHEINFO) {
            if (const auto cache = leading<ifa_cacheinfo>(payload)) {
                read.preferred = lifetime(cache->ifa_prefered);
                read.valid = lifetime(cache->ifa_valid);
            }
        }
    });
    if (!whole || (!local && !far)) {
        return false;
    }
    // IFA_ADDRESS is ours too, unless IFA_LOCAL says something else: then it is the other end's.
    read.address = local ? *local : *far;
    if (far && *far != read.address) {
        read.peer = far;
    }
    set_flags(read, flags);
    if (removed) {
        into.emplace_back(address_removed{std::move(read)});
    } else {
        into.emplace_back(address_set{std::move(read)});
    }
    return true;
}

// False when it is malformed.
bool read_message(const nlmsghdr& header, bytes_view body, netlink_reply& into) {
    switch (header.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return read_link(body, header.nlmsg_type == RTM_DELLINK, into.changes);
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return read_address(body, header.nlmsg_type == RTM_DELADDR, into.changes);
    default:
        return true;
    }
}

} // namespace

std::string_view to_text(address_scope which) noexcept {
    switch (which) {
    case address_scope::global:
        return "global";
    case address_scope::site:
        return "site";
    case address_scope::link:
        return "link";
    case address_scope::host:
        return "host";
    case address_scope::other:
        break;
    }
    return "other";
}

netlink_reply parse_netlink(std::span<const std::byte> bytes, std::uint32_t sequence) {
    netlink_reply reply;
    const auto state = each_message(bytes, sequence, [&](const nlmsghdr& header, bytes_view body) {
        return read_message(header, body, reply);
    });
    reply.done = state.done;
    reply.interrupted = state.interrupted;
    reply.malformed = state.malformed;
    reply.error = state.error;
    return reply;
}

} // namespace portico::os
