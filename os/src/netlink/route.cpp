#include "portico/os/route.hpp"
#include "netlink/talk.hpp"
#include "socket/call.hpp"

#include <array>
#include <linux/rtnetlink.h>

namespace portico::os {
namespace {

// A request that attributes are put at the end of.
class request {
public:
    explicit request(std::uint8_t family, std::uint8_t bits) {
        head_.header.nlmsg_type = RTM_GETROUTE;
        head_.header.nlmsg_flags = NLM_F_REQUEST;
        head_.what.rtm_family = family;
        head_.what.rtm_dst_len = bits;
    }
    void set_source_length(std::uint8_t bits) { head_.what.rtm_src_len = bits; }
    void add(std::uint16_t type, bytes_view payload) {
        const nlattr header{static_cast<__u16>(sizeof(nlattr) + payload.size()), type};
        const auto raw = std::as_bytes(std::span{&header, 1});
        tail_.insert(tail_.end(), raw.begin(), raw.end());
        tail_.insert(tail_.end(), payload.begin(), payload.end());
    }
    void add(std::uint16_t type, const ip::address& which) {
        if (which.is_v4()) {
            const auto raw = which.to_v4();
            add(type, std::as_bytes(std::span{raw}));
        } else {
            const auto raw = which.to_v6();
            add(type, std::as_bytes(std::span{raw}));
        }
    }
    void add(std::uint16_t type, std::uint32_t number) {
        add(type, std::as_bytes(std::span{&number, 1}));
    }
    [[nodiscard]] std::vector<std::byte> bytes() {
        head_.header.nlmsg_len = static_cast<__u32>(sizeof head_ + tail_.size());
        const auto raw = std::as_bytes(std::span{&head_, 1});
        std::vector<std::byte> all{raw.begin(), raw.end()};
        all.insert(all.end(), tail_.begin(), tail_.end());
        return all;
    }

private:
    struct {
        nlmsghdr header{};
        rtmsg what{};
    } head_;
    std::vector<std::byte> tail_;
};

std::uint32_t number_of_zone(const ip::zone& which) {
    return which.empty() ? 0 : which.index().value_or(interface_index(which.text()));
}

} // namespace

sys_result<diagnose::route> parse_route(std::span<const std::byte> bytes) {
    std::optional<diagnose::route> found;
    const auto state = each_message(bytes, 0, [&](const nlmsghdr& header, bytes_view body) {
        const auto head = leading<rtmsg>(body);
        if (header.nlmsg_type != RTM_NEWROUTE || !head) {
            return header.nlmsg_type != RTM_NEWROUTE;
        }
        diagnose::route read;
        read.local = head->rtm_type == RTN_LOCAL;
        read.broadcast = head->rtm_type == RTN_BROADCAST;
        const bool whole =
            each_attribute(after(body, sizeof *head), [&](int type, bytes_view payload) {
                if (type == RTA_DST) {
                    read.to =
                        netlink_address(payload, head->rtm_family == AF_INET6).value_or(read.to);
                } else if (type == RTA_PREFSRC) {
                    read.source = netlink_address(payload, head->rtm_family == AF_INET6);
                } else if (type == RTA_GATEWAY) {
                    read.gateway = netlink_address(payload, head->rtm_family == AF_INET6);
                } else if (type == RTA_OIF) {
                    read.interface = std::to_string(leading<std::uint32_t>(payload).value_or(0));
                }
            });
        if (whole) {
            found = std::move(read);
        }
        return whole;
    });
    if (state.error != 0) {
        return failure(state.error);
    }
    if (state.malformed || !found) {
        return failure(EPROTO);
    }
    return std::move(*found);
}

sys_result<diagnose::route> find_route(const route_query& which) {
    const bool v4 = which.to.is_v4();
    const std::uint8_t bits = v4 ? 32 : 128;
    request made{static_cast<std::uint8_t>(v4 ? AF_INET : AF_INET6), bits};
    made.add(RTA_DST, which.to);
    if (which.from) {
        made.set_source_length(bits);
        made.add(RTA_SRC, *which.from);
    }
    if (which.incoming != 0) {
        made.add(RTA_IIF, which.incoming);
    }
    if (const auto zone = number_of_zone(which.to.zone()); zone != 0) {
        made.add(RTA_OIF, zone);
    }
    const auto s = open_netlink(NETLINK_ROUTE);
    if (!s) {
        return tl::unexpected{s.error()};
    }
    if (auto sent = send_netlink(*s, made.bytes()); !sent) {
        return tl::unexpected{sent.error()};
    }
    std::vector<std::byte> room;
    const auto got = receive_netlink(*s, room);
    if (!got) {
        return tl::unexpected{got.error()};
    }
    auto read = parse_route(got->bytes);
    if (read) {
        read->to = which.to;
        const auto number =
            static_cast<std::uint32_t>(std::stoul(read->interface.empty() ? "0" : read->interface));
        read->interface = interface_name(number);
    }
    return read;
}

} // namespace portico::os
