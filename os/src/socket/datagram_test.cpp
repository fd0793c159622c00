#include "portico/os/socket.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace portico::os {
namespace {

constexpr std::array<std::byte, 5> hello{std::byte{'h'}, std::byte{'e'}, std::byte{'l'},
                                         std::byte{'l'}, std::byte{'o'}};

void wait_readable(const fd& s) {
    pollfd waiting{s.raw(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, -1), 1);
}

// A bound UDP socket with packet information; without one when the address cannot be bound here.
fd server_at(const ip::address& where) {
    const ip::endpoint at{where, 0};
    auto s = os::socket(at, ip::transport::udp);
    if (!s || !set_receive_packet_info(*s, where.family()) || !os::bind(*s, at)) {
        return {};
    }
    return std::move(*s);
}

std::uint16_t port_of(const fd& s) {
    return std::get<ip::endpoint>(os::getsockname(s.raw()).value()).port;
}

// Asks `server` at `target`, answers, and gives the address that the answer came from.
std::optional<ip::address> answer_from(const fd& server, const ip::address& target) {
    const fd client = server_at(ip::address::any(target.family()));
    datagram ask;
    ask.from = ip::endpoint{target, port_of(server)};
    EXPECT_TRUE(send_reply(client.raw(), ask, hello)); // with no `to` it is a plain sendto(2)

    std::array<std::byte, 16> room{};
    wait_readable(server);
    const auto query = recv_datagram(server.raw(), room);
    EXPECT_TRUE(query && query->to == target);
    EXPECT_EQ(query->size, hello.size());
    EXPECT_FALSE(query->truncated || query->to_group);
    EXPECT_EQ(query->interface, interface_index("lo"));
    EXPECT_EQ(send_reply(server.raw(), *query, hello).value(), hello.size());

    wait_readable(client);
    const auto answer = recv_datagram(client.raw(), room);
    if (!answer) {
        return std::nullopt;
    }
    return std::get<ip::endpoint>(answer->from).address;
}

TEST(datagram, an_answer_leaves_from_the_ipv4_address_that_was_asked) {
    const fd server = server_at(ip::address::any(ip::family::v4));
    for (const auto& target : {ip::address::v4(127, 0, 0, 2), ip::address::v4(127, 0, 0, 3)}) {
        EXPECT_EQ(answer_from(server, target), target);
    }
}

TEST(datagram, an_answer_leaves_from_the_ipv6_address_that_was_asked) {
    const fd server = server_at(ip::address::any(ip::family::v6));
    if (!server || !server_at(ip::address::loopback(ip::family::v6))) {
        GTEST_SKIP() << "::1 cannot be bound here";
    }
    EXPECT_EQ(answer_from(server, ip::address::loopback(ip::family::v6)),
              ip::address::loopback(ip::family::v6));
}

TEST(datagram, a_query_to_a_mapped_address_is_answered_from_it) {
    auto s = os::socket(ip::endpoint{ip::address::any(ip::family::v6), 0}, ip::transport::udp);
    if (!s || !set_v6only(*s, false) || !set_receive_packet_info(*s, ip::family::v6) ||
        !os::bind(*s, ip::endpoint{ip::address::any(ip::family::v6), 0})) {
        GTEST_SKIP() << "no IPv6 here";
    }
    const fd client = server_at(ip::address::any(ip::family::v4));
    datagram ask;
    ask.from = ip::endpoint{ip::address::v4(127, 0, 0, 3), port_of(*s)};
    ASSERT_TRUE(send_reply(client.raw(), ask, hello));
    std::array<std::byte, 16> room{};
    wait_readable(*s);
    const auto query = recv_datagram(s->raw(), room);
    ASSERT_TRUE(query);
    EXPECT_EQ(query->to, ip::address::v6(ip::address::v4(127, 0, 0, 3).to_v6()));
    ASSERT_TRUE(send_reply(s->raw(), *query, hello));
    wait_readable(client);
    const auto answer = recv_datagram(client.raw(), room);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<ip::endpoint>(answer->from).address, ip::address::v4(127, 0, 0, 3));
}

TEST(datagram, a_broadcast_query_is_answered_from_an_address_that_the_kernel_picks) {
    const fd server = server_at(ip::address::any(ip::family::v4));
    const fd client = server_at(ip::address::any(ip::family::v4));
    const int on = 1;
    ASSERT_EQ(::setsockopt(client.raw(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
    datagram ask;
    ask.from = ip::endpoint{ip::address::v4(127, 255, 255, 255), port_of(server)};
    ASSERT_TRUE(send_reply(client.raw(), ask, hello));
    std::array<std::byte, 16> room{};
    wait_readable(server);
    const auto query = recv_datagram(server.raw(), room);
    ASSERT_TRUE(query);
    EXPECT_EQ(query->to, ip::address::v4(127, 255, 255, 255));
    EXPECT_TRUE(query->to_group);
    ASSERT_TRUE(send_reply(server.raw(), *query, hello));
    wait_readable(client);
    const auto answer = recv_datagram(client.raw(), room);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<ip::endpoint>(answer->from).address, ip::address::v4(127, 0, 0, 1));
}

TEST(datagram, a_datagram_larger_than_the_room_says_so) {
    const fd server = server_at(ip::address::loopback(ip::family::v4));
    datagram ask;
    ask.from = os::getsockname(server.raw()).value();
    ASSERT_TRUE(send_reply(server.raw(), ask, hello)); // to itself
    std::array<std::byte, 3> room{};
    wait_readable(server);
    const auto query = recv_datagram(server.raw(), room);
    ASSERT_TRUE(query);
    EXPECT_EQ(query->size, room.size());
    EXPECT_TRUE(query->truncated);
}

TEST(datagram, an_empty_datagram_is_not_an_end) {
    const fd server = server_at(ip::address::loopback(ip::family::v4));
    datagram ask;
    ask.from = os::getsockname(server.raw()).value();
    EXPECT_EQ(send_reply(server.raw(), ask, {}).value(), 0U);
    std::array<std::byte, 3> room{};
    wait_readable(server);
    const auto query = recv_datagram(server.raw(), room);
    ASSERT_TRUE(query);
    EXPECT_EQ(query->size, 0U);
    EXPECT_EQ(query->from, ask.from);
}

TEST(datagram, a_unix_query_has_no_local_address_and_is_answered) {
    const auto server = os::socket(ip::unix_name{}, ip::transport::udp);
    const auto client = os::socket(ip::unix_name{}, ip::transport::udp);
    ASSERT_TRUE(server && client && os::bind(*server, ip::unix_name{}) &&
                os::bind(*client, ip::unix_name{}));
    datagram ask;
    ask.from = os::getsockname(server->raw()).value();
    ASSERT_TRUE(send_reply(client->raw(), ask, hello));
    std::array<std::byte, 16> room{};
    const auto query = recv_datagram(server->raw(), room);
    ASSERT_TRUE(query);
    EXPECT_FALSE(query->to);
    EXPECT_TRUE(send_reply(server->raw(), *query, hello));
    EXPECT_TRUE(recv_datagram(client->raw(), room));
}

TEST(datagram, a_query_without_a_name_cannot_be_answered) {
    const auto s = os::socket(ip::unix_name{}, ip::transport::udp);
    ASSERT_TRUE(s);
    EXPECT_EQ(send_reply(s->raw(), datagram{}, hello).error(), std::errc::invalid_argument);
}

std::size_t open_descriptors() {
    const auto all = std::filesystem::directory_iterator{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(datagram, descriptors_that_a_peer_passes_unasked_are_closed) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    const fd left{ends[0]};
    const fd right{ends[1]};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(3 * sizeof(int))> control{};
    const std::array<int, 3> passed{0, 1, 2};
    iovec nothing{};
    msghdr message{};
    message.msg_iov = &nothing;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), passed.data(), sizeof passed);
    ASSERT_EQ(::sendmsg(left.raw(), &message, 0), 0);

    const auto before = open_descriptors();
    std::array<std::byte, 3> room{};
    ASSERT_TRUE(recv_datagram(right.raw(), room));
    EXPECT_EQ(open_descriptors(), before);
}

} // namespace
} // namespace portico::os
