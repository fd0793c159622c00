// Answers leave from the address that was asked, where an interface has several and on a real link.

#include "veth_child.hpp"

#include "portico/os/socket.hpp"

#include <array>
#include <poll.h>

namespace portico {
namespace {

constexpr std::array<std::byte, 1> payload{std::byte{'x'}};

ip::address doc(std::uint8_t last) {
    return ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
}

ip::address link_local(std::uint8_t last, std::string_view zone) {
    return ip::address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last},
                           ip::zone::from_text(zone).value());
}

os::fd socket_at(const ip::address& where) {
    const ip::endpoint at{where, 0};
    auto s = os::socket(at, ip::transport::udp);
    EXPECT_TRUE(s && os::set_receive_packet_info(*s, where.family()) && os::bind(*s, at));
    return s ? std::move(*s) : os::fd{};
}

os::datagram next(const os::fd& s) {
    pollfd waiting{s.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    std::array<std::byte, 16> room{};
    return os::recv_datagram(s.raw(), room).value();
}

void send_to(const os::fd& s, const ip::address& where, const os::fd& server) {
    os::datagram ask;
    ask.from =
        ip::endpoint{where, std::get<ip::endpoint>(os::getsockname(server.raw()).value()).port};
    // An address that has just come may not be routed to yet, and then the first ones are lost.
    pollfd arrived{server.raw(), POLLIN, 0};
    do {
        const auto sent = os::send_reply(s.raw(), ask, payload);
        EXPECT_TRUE(sent) << sent.error().message();
    } while (::poll(&arrived, 1, 200) == 0);
}

// The same for the way back.
void answer(const os::fd& server, const os::datagram& query, const os::fd& client) {
    pollfd arrived{client.raw(), POLLIN, 0};
    do {
        ASSERT_TRUE(os::send_reply(server.raw(), query, payload));
    } while (::poll(&arrived, 1, 200) == 0);
}

ip::address source_of(const os::datagram& which) {
    return std::get<ip::endpoint>(which.from).address;
}

TEST(answers, leave_from_either_of_two_addresses_of_one_interface) {
    in_veth_child([] {
        ip_tool("addr add 2001:db8::1/64 dev va nodad");
        ip_tool("addr add 2001:db8::2/64 dev va nodad");
        ip_tool("addr add 192.0.2.1/24 dev va");
        ip_tool("addr add 192.0.2.2/24 dev va");
        for (const auto& target :
             {doc(1), doc(2), ip::address::v4(192, 0, 2, 1), ip::address::v4(192, 0, 2, 2)}) {
            const auto server = socket_at(ip::address::any(target.family()));
            const auto client = socket_at(ip::address::any(target.family()));
            send_to(client, target, server);
            const auto query = next(server);
            EXPECT_EQ(query.to, target);
            EXPECT_FALSE(query.to_group);
            answer(server, query, client);
            EXPECT_EQ(source_of(next(client)), target);
        }
    });
}

TEST(answers, between_link_local_addresses_cross_the_link_that_the_query_came_by) {
    in_veth_child([] {
        ip_tool("addr add fe80::a/64 dev va nodad");
        ip_tool("addr add fe80::c/64 dev va nodad");
        ip_tool("addr add fe80::b/64 dev vb nodad");
        for (const auto last : {std::uint8_t{0xa}, std::uint8_t{0xc}}) {
            // New ones, as what was sent twice may still be on its way.
            const auto server = socket_at(ip::address::any(ip::family::v6));
            const auto client = socket_at(link_local(0xb, "vb"));
            send_to(client, link_local(last, "vb"), server); // out by vb, in by va
            const auto query = next(server);
            EXPECT_EQ(query.to, link_local(last, "va"));
            EXPECT_EQ(query.interface, os::interface_index("va"));
            EXPECT_EQ(source_of(query), link_local(0xb, "va"));
            answer(server, query, client);
            EXPECT_EQ(source_of(next(client)), link_local(last, "vb"));
        }
    });
}

TEST(answers, to_a_multicast_query_leave_from_an_address_that_the_kernel_picks) {
    in_veth_child([] {
        ip_tool("addr add fe80::a/64 dev va nodad");
        ip_tool("addr add fe80::b/64 dev vb nodad");
        const auto server = socket_at(ip::address::any(ip::family::v6));
        const auto client = socket_at(link_local(0xb, "vb"));
        const auto all_nodes = ip::address::v6({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                               ip::zone::from_text("vb").value());
        send_to(client, all_nodes, server);
        auto query = next(server);
        while (query.interface != os::interface_index("va")) { // it is looped back, too
            query = next(server);
        }
        EXPECT_TRUE(query.to_group);
        EXPECT_EQ(query.to, all_nodes.with_zone(ip::zone::from_text("va").value()));
        ASSERT_TRUE(os::send_reply(server.raw(), query, payload));
        EXPECT_EQ(source_of(next(client)), link_local(0xa, "vb"));
    });
}

} // namespace
} // namespace portico
