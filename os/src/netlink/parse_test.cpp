#include "portico/os/netlink.hpp"

#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

namespace portico::os {
namespace {

using namespace std::chrono_literals;

// Puts messages together byte by byte.
class writer {
public:
    template <class Head>
    writer& message(std::uint16_t type, const Head& head, std::uint16_t flags = 0,
                    std::uint32_t sequence = 1) {
        start_ = bytes_.size();
        nlmsghdr header{};
        header.nlmsg_type = type;
        header.nlmsg_flags = flags;
        header.nlmsg_seq = sequence;
        add(&header, sizeof header);
        add(&head, sizeof head);
        return close();
    }
    writer& attribute(std::uint16_t type, const void* payload, std::size_t size) {
        rtattr header{};
        header.rta_type = type;
        header.rta_len = static_cast<std::uint16_t>(sizeof header + size);
        add(&header, sizeof header);
        add(payload, size);
        return close();
    }
    writer& attribute(std::uint16_t type, const std::string& text) {
        return attribute(type, text.c_str(), text.size() + 1);
    }
    writer& attribute(std::uint16_t type, std::uint32_t value) {
        return attribute(type, &value, sizeof value);
    }
    writer& attribute(std::uint16_t type, const ip::address& value) {
        const auto v4 = value.to_v4();
        const auto v6 = value.to_v6();
        return value.is_v4() ? attribute(type, v4.data(), v4.size())
                             : attribute(type, v6.data(), v6.size());
    }
    std::vector<std::byte>& bytes() { return bytes_; }

private:
    void add(const void* what, std::size_t size) {
        const auto at = bytes_.size();
        bytes_.resize(at + (size + 3) / 4 * 4);
        std::memcpy(bytes_.data() + at, what, size);
    }
    writer& close() {
        const auto size = static_cast<std::uint32_t>(bytes_.size() - start_);
        std::memcpy(bytes_.data() + start_, &size, sizeof size);
        return *this;
    }
    std::vector<std::byte> bytes_;
    std::size_t start_ = 0;
};

ifinfomsg link_head(int index, unsigned flags = 0, unsigned char family = AF_UNSPEC) {
    ifinfomsg head{};
    head.ifi_family = family;
    head.ifi_index = index;
    head.ifi_flags = flags;
    return head;
}

ifaddrmsg address_head(std::uint8_t family, std::uint8_t prefix, std::uint8_t flags = 0,
                       std::uint8_t scope = RT_SCOPE_UNIVERSE) {
    return {family, prefix, flags, scope, 7};
}

const auto link_local = ip::address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
const auto doc_v6 = ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
const auto doc_v4 = ip::address::v4(192, 0, 2, 1);

link_address only_address(writer& from) {
    const auto reply = parse_netlink(from.bytes());
    EXPECT_FALSE(reply.malformed);
    EXPECT_EQ(reply.changes.size(), 1U);
    return reply.changes.empty() ? link_address{} : std::get<address_set>(reply.changes[0]).address;
}

TEST(parse_netlink, a_link_has_its_name_flags_mac_mtu_and_kind) {
    const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0, 9};
    const std::array<unsigned char, 12> info{9, 0, IFLA_INFO_KIND, 0, 'v', 'e', 't', 'h', 0};
    writer w;
    w.message(RTM_NEWLINK, link_head(7, IFF_UP | IFF_RUNNING))
        .attribute(IFLA_IFNAME, std::string{"eth0"})
        .attribute(IFLA_ADDRESS, mac.data(), mac.size())
        .attribute(IFLA_MTU, 1500U)
        .attribute(IFLA_LINKINFO, info.data(), info.size());

    const auto reply = parse_netlink(w.bytes());
    ASSERT_EQ(reply.changes.size(), 1U);
    const auto& seen = std::get<link_set>(reply.changes[0]).link;
    EXPECT_EQ(seen.index, 7U);
    EXPECT_EQ(seen.name, "eth0");
    EXPECT_TRUE(seen.up && seen.running && !seen.loopback);
    EXPECT_EQ(seen.mac, (std::vector<std::uint8_t>{2, 0, 0, 0, 0, 9}));
    EXPECT_EQ(seen.mtu, 1500U);
    EXPECT_EQ(seen.kind, "veth");
}

TEST(parse_netlink, a_mac_of_zeros_or_of_a_tunnel_is_none) {
    const std::vector<std::uint8_t> zeros(6);
    const std::vector<std::uint8_t> tunnel_end{192, 0, 2, 1};
    for (const auto& given : {zeros, tunnel_end}) {
        writer w;
        w.message(RTM_NEWLINK, link_head(1, IFF_LOOPBACK))
            .attribute(IFLA_ADDRESS, given.data(), given.size());
        const auto reply = parse_netlink(w.bytes());
        ASSERT_EQ(reply.changes.size(), 1U);
        EXPECT_TRUE(std::get<link_set>(reply.changes[0]).link.mac.empty());
    }
}

TEST(parse_netlink, a_port_that_leaves_its_bridge_is_no_removed_link) {
    writer w;
    w.message(RTM_DELLINK, link_head(7, 0, AF_BRIDGE));
    const auto reply = parse_netlink(w.bytes());
    EXPECT_FALSE(reply.malformed);
    EXPECT_TRUE(reply.changes.empty());
}

TEST(parse_netlink, an_event_of_the_radio_does_not_describe_the_link) {
    writer w;
    w.message(RTM_NEWLINK, link_head(7))
        .attribute(IFLA_IFNAME, std::string{"wlan0"})
        .attribute(IFLA_WIRELESS, 0U);
    EXPECT_TRUE(parse_netlink(w.bytes()).changes.empty());
}

TEST(parse_netlink, a_removed_link_has_number_and_name) {
    writer w;
    w.message(RTM_DELLINK, link_head(7)).attribute(IFLA_IFNAME, std::string{"eth0"});
    const auto reply = parse_netlink(w.bytes());
    ASSERT_EQ(reply.changes.size(), 1U);
    EXPECT_EQ(reply.changes[0], (change{link_removed{7, "eth0"}}));
}

TEST(parse_netlink, an_ipv4_address_has_broadcast_and_label) {
    writer w;
    w.message(RTM_NEWADDR, address_head(AF_INET, 24, IFA_F_PERMANENT))
        .attribute(IFA_ADDRESS, doc_v4)
        .attribute(IFA_LOCAL, doc_v4)
        .attribute(IFA_BROADCAST, ip::address::v4(192, 0, 2, 255))
        .attribute(IFA_LABEL, std::string{"eth0:1"});
    const auto seen = only_address(w);
    EXPECT_EQ(seen.link, 7U);
    EXPECT_EQ(seen.address, doc_v4);
    EXPECT_EQ(seen.prefix_length, 24);
    EXPECT_EQ(seen.broadcast, ip::address::v4(192, 0, 2, 255));
    EXPECT_EQ(seen.label, "eth0:1");
    EXPECT_FALSE(seen.peer);
    EXPECT_TRUE(seen.permanent);
}

TEST(parse_netlink, on_a_point_to_point_link_local_is_ours_and_address_the_peers) {
    writer w;
    w.message(RTM_NEWADDR, address_head(AF_INET, 32))
        .attribute(IFA_ADDRESS, ip::address::v4(192, 0, 2, 2))
        .attribute(IFA_LOCAL, doc_v4);
    const auto seen = only_address(w);
    EXPECT_EQ(seen.address, doc_v4);
    EXPECT_EQ(seen.peer, ip::address::v4(192, 0, 2, 2));
}

TEST(parse_netlink, a_link_local_address_has_the_interface_as_its_zone) {
    writer w;
    w.message(RTM_NEWADDR, address_head(AF_INET6, 64, 0, RT_SCOPE_LINK))
        .attribute(IFA_ADDRESS, link_local);
    const auto seen = only_address(w);
    EXPECT_EQ(seen.address, link_local.with_zone(ip::zone::from_index(7)));
    EXPECT_EQ(seen.scope, address_scope::link);
}

TEST(parse_netlink, the_wide_flags_win_over_the_narrow_ones) {
    writer w;
    w.message(RTM_NEWADDR, address_head(AF_INET6, 64, IFA_F_PERMANENT))
        .attribute(IFA_ADDRESS, doc_v6)
        .attribute(IFA_FLAGS, std::uint32_t{IFA_F_TENTATIVE | IFA_F_NODAD | IFA_F_DADFAILED |
                                            IFA_F_OPTIMISTIC | IFA_F_DEPRECATED | 0x800});
    const auto seen = only_address(w);
    EXPECT_TRUE(seen.tentative && seen.nodad && seen.dad_failed && seen.optimistic &&
                seen.deprecated);
    EXPECT_FALSE(seen.permanent || seen.temporary || seen.secondary);
}

TEST(parse_netlink, one_bit_is_temporary_for_ipv6_and_secondary_for_ipv4) {
    writer w6;
    w6.message(RTM_NEWADDR, address_head(AF_INET6, 64, IFA_F_TEMPORARY))
        .attribute(IFA_ADDRESS, doc_v6);
    const auto v6 = only_address(w6);
    EXPECT_TRUE(v6.temporary && !v6.secondary);
    writer w4;
    w4.message(RTM_NEWADDR, address_head(AF_INET, 24, IFA_F_SECONDARY))
        .attribute(IFA_ADDRESS, doc_v4);
    const auto v4 = only_address(w4);
    EXPECT_TRUE(v4.secondary && !v4.temporary);
}

TEST(parse_netlink, lifetimes_are_seconds_or_for_ever) {
    ifa_cacheinfo cache{};
    cache.ifa_prefered = 60;
    cache.ifa_valid = UINT32_MAX;
    writer w;
    w.message(RTM_NEWADDR, address_head(AF_INET6, 64))
        .attribute(IFA_ADDRESS, doc_v6)
        .attribute(IFA_CACHEINFO, &cache, sizeof cache);
    const auto seen = only_address(w);
    EXPECT_EQ(seen.preferred, 60s);
    EXPECT_EQ(seen.valid, std::nullopt);
}

TEST(parse_netlink, the_end_of_a_dump_its_interruption_and_errors_are_told) {
    writer done;
    done.message(NLMSG_DONE, 0, NLM_F_DUMP_INTR);
    EXPECT_TRUE(parse_netlink(done.bytes()).done);
    EXPECT_TRUE(parse_netlink(done.bytes()).interrupted);
    writer failed;
    failed.message(NLMSG_ERROR, -EPERM);
    EXPECT_EQ(parse_netlink(failed.bytes()).error, EPERM);
    writer failed_late;
    failed_late.message(NLMSG_DONE, -ENOMEM);
    EXPECT_EQ(parse_netlink(failed_late.bytes()).error, ENOMEM);
}

TEST(parse_netlink, answers_to_other_questions_are_passed_over) {
    writer w;
    w.message(RTM_DELLINK, link_head(1), 0, 41).message(RTM_DELLINK, link_head(2), 0, 42);
    EXPECT_EQ(parse_netlink(w.bytes(), 42).changes, (std::vector<change>{link_removed{2, ""}}));
    EXPECT_EQ(parse_netlink(w.bytes()).changes.size(), 2U);
}

TEST(parse_netlink, what_comes_before_a_cut_is_kept_and_the_cut_is_told) {
    writer w;
    w.message(RTM_DELLINK, link_head(1)).attribute(IFLA_IFNAME, std::string{"eth0"});
    const auto first = w.bytes().size();
    w.message(RTM_DELLINK, link_head(2)).attribute(IFLA_IFNAME, std::string{"eth1"});
    for (std::size_t size = first + 1; size < w.bytes().size(); ++size) {
        const auto reply = parse_netlink(std::span{w.bytes()}.first(size));
        EXPECT_TRUE(reply.malformed) << size;
        EXPECT_EQ(reply.changes.size(), 1U) << size;
    }
    EXPECT_FALSE(parse_netlink(w.bytes()).malformed);
}

TEST(parse_netlink, an_attribute_that_points_out_of_its_message_is_malformed) {
    for (const std::uint16_t length : {std::uint16_t{0}, std::uint16_t{3}, std::uint16_t{200}}) {
        writer w;
        w.message(RTM_NEWLINK, link_head(1)).attribute(IFLA_MTU, 1500U);
        std::memcpy(w.bytes().data() + sizeof(nlmsghdr) + sizeof(ifinfomsg), &length,
                    sizeof length);
        EXPECT_TRUE(parse_netlink(w.bytes()).malformed) << length;
    }
}

TEST(parse_netlink, short_payloads_of_known_attributes_are_safe) {
    for (std::uint16_t type = 0; type < 64; ++type) {
        for (const auto kind : {RTM_NEWLINK, RTM_NEWADDR}) {
            writer w;
            if (kind == RTM_NEWLINK) {
                w.message(RTM_NEWLINK, link_head(1));
            } else {
                w.message(RTM_NEWADDR, address_head(AF_INET6, 64)).attribute(IFA_ADDRESS, doc_v6);
            }
            w.attribute(type, "x", 1);
            static_cast<void>(parse_netlink(w.bytes()));
        }
    }
}

TEST(parse_netlink, nothing_is_nothing) {
    const auto reply = parse_netlink({});
    EXPECT_TRUE(reply.changes.empty());
    EXPECT_FALSE(reply.malformed || reply.done || reply.interrupted);
}

} // namespace
} // namespace portico::os
