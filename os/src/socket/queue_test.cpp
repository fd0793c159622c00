#include "portico/os/queue.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <vector>

namespace portico::os {
namespace {

ip::any_endpoint loopback() {
    return ip::endpoint{ip::parse_address("127.0.0.1").value(), 0};
}

fd listening(const ip::any_endpoint& at, int backlog) {
    auto made = os::socket(at, ip::transport::tcp).value();
    EXPECT_TRUE(os::bind(made, at));
    EXPECT_TRUE(os::listen(made, backlog));
    return made;
}

fd client_of(const fd& server) {
    const auto at = getsockname(server.raw()).value();
    auto made = os::socket(at, ip::transport::tcp).value();
    static_cast<void>(os::connect(made, at)); // on loopback it is done at once, or as good as
    return made;
}

void counts_connections(const fd& server) {
    EXPECT_EQ(accept_queue_of(server.raw()), (accept_queue{0, 7}));
    EXPECT_FALSE(is_readable(server.raw()));
    const auto first = client_of(server);
    const auto second = client_of(server);
    EXPECT_EQ(accept_queue_of(server.raw()), (accept_queue{2, 7}));
    EXPECT_TRUE(is_readable(server.raw()));
    ASSERT_TRUE(accept4(server.raw()));
    EXPECT_EQ(accept_queue_of(server.raw()), (accept_queue{1, 7}));
}

TEST(accept_queue_of, counts_tcp_connections) {
    counts_connections(listening(loopback(), 7));
}

TEST(accept_queue_of, counts_unix_connections) {
    std::string name = (std::filesystem::temp_directory_path() / "queue.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const auto server = listening(ip::unix_name::path(name + "/s").value(), 7);
    if (const auto can = accept_queue_of(server.raw());
        !can && can.error() == std::errc::no_such_file_or_directory) {
        std::filesystem::remove_all(name);
        GTEST_SKIP() << "this kernel has no unix_diag";
    }
    counts_connections(server);
    std::filesystem::remove_all(name);
}

// Whoever is accepted is the one that waits no longer, whatever else goes on at its port.
void tells_connections_apart(const fd& server) {
    EXPECT_EQ(waiting_connections(server.raw()), std::vector<std::uint64_t>{});
    auto first = client_of(server);
    const auto one = waiting_connections(server.raw()).value();
    ASSERT_EQ(one.size(), 1U);
    const auto second = client_of(server);
    auto both = waiting_connections(server.raw()).value();
    ASSERT_EQ(both.size(), 2U);
    ASSERT_NE(both[0], both[1]);
    EXPECT_EQ(std::erase(both, one[0]), 1U);
    const auto accepted = accept4(server.raw());
    ASSERT_TRUE(accepted);
    EXPECT_EQ(waiting_connections(server.raw()), both);
    const auto third = client_of(server);
    EXPECT_EQ(waiting_connections(server.raw()).value().size(), 2U);
}

TEST(waiting_connections, tells_tcp_connections_apart) {
    tells_connections_apart(listening(loopback(), 7));
    tells_connections_apart(listening(ip::endpoint{ip::parse_address("::1").value(), 0}, 7));
}

TEST(waiting_connections, are_those_of_this_socket_alone) {
    const auto server = listening(loopback(), 7);
    auto at = std::get<ip::endpoint>(getsockname(server.raw()).value());
    at.address = ip::parse_address("127.0.0.2").value();
    const auto other = listening(at, 7);
    const auto client = client_of(other);
    EXPECT_EQ(waiting_connections(server.raw()).value().size(), 0U);
    EXPECT_EQ(waiting_connections(other.raw()).value().size(), 1U);
}

// It has sent its question and its end, and waits for the answer.
TEST(waiting_connections, have_one_that_has_said_all) {
    const auto server = listening(loopback(), 7);
    const auto client = client_of(server);
    const auto before = waiting_connections(server.raw()).value();
    ASSERT_TRUE(os::shutdown_send(client.raw()));
    EXPECT_EQ(waiting_connections(server.raw()), before);
    EXPECT_EQ(before.size(), 1U);
}

TEST(waiting_connections, tells_unix_connections_apart) {
    std::string name = (std::filesystem::temp_directory_path() / "queue.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const auto server = listening(ip::unix_name::path(name + "/s").value(), 7);
    if (const auto can = waiting_connections(server.raw());
        !can && can.error() == std::errc::no_such_file_or_directory) {
        std::filesystem::remove_all(name);
        GTEST_SKIP() << "this kernel has no unix_diag";
    }
    tells_connections_apart(server);
    std::filesystem::remove_all(name);
}

TEST(waiting_connections, is_for_listening_sockets_alone) {
    const auto datagrams = os::socket(loopback(), ip::transport::udp).value();
    EXPECT_EQ(waiting_connections(datagrams.raw()).error(), std::errc::invalid_argument);
    EXPECT_EQ(waiting_connections(-1).error(), std::errc::bad_file_descriptor);
}

TEST(accept_queue_of, is_for_listening_sockets_alone) {
    const auto plain = os::socket(loopback(), ip::transport::tcp).value();
    EXPECT_EQ(accept_queue_of(plain.raw()).error(), std::errc::invalid_argument);
    const auto datagrams = os::socket(loopback(), ip::transport::udp).value();
    EXPECT_EQ(accept_queue_of(datagrams.raw()).error(), std::errc::invalid_argument);
    EXPECT_EQ(accept_queue_of(-1).error(), std::errc::bad_file_descriptor);
}

TEST(peek_datagram, leaves_it_where_it_is) {
    const auto server = os::socket(loopback(), ip::transport::udp).value();
    ASSERT_TRUE(os::bind(server, loopback()));
    std::array<std::byte, 4> part{};
    EXPECT_EQ(peek_datagram(server.raw(), part).error(), std::errc::resource_unavailable_try_again);
    const auto client = os::socket(loopback(), ip::transport::udp).value();
    ASSERT_TRUE(os::connect(client, getsockname(server.raw()).value()));
    ASSERT_TRUE(os::send(client.raw(), std::as_bytes(std::span{"longer than four"})));
    for (int i = 0; i < 2; ++i) {
        const auto seen = peek_datagram(server.raw(), part);
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->size, sizeof "longer than four");
        EXPECT_EQ(part[0], std::byte{'l'});
        EXPECT_EQ(part[3], std::byte{'g'});
        EXPECT_EQ(seen->from, getsockname(client.raw()).value());
    }
}

TEST(peek_datagram, tells_a_datagram_from_its_copy) {
    const auto server = os::socket(loopback(), ip::transport::udp).value();
    ASSERT_TRUE(os::bind(server, loopback()));
    static_cast<void>(peek_datagram(server.raw(), {})); // from here on it is noted when they come
    const auto client = os::socket(loopback(), ip::transport::udp).value();
    ASSERT_TRUE(os::connect(client, getsockname(server.raw()).value()));
    std::array<std::byte, 8> room{};
    for (bool is_noted = false; !is_noted;) { // the kernel may take a moment to begin with that
        ASSERT_TRUE(os::send(client.raw(), std::as_bytes(std::span{"early"})));
        is_noted = peek_datagram(server.raw(), {}).value().came.has_value();
        ASSERT_TRUE(os::recv(server.raw(), room));
    }
    ASSERT_TRUE(os::send(client.raw(), std::as_bytes(std::span{"same"})));
    ASSERT_TRUE(os::send(client.raw(), std::as_bytes(std::span{"same"})));
    const auto first = peek_datagram(server.raw(), {}).value();
    ASSERT_TRUE(first.came);
    EXPECT_EQ(peek_datagram(server.raw(), {}).value().came, first.came);
    ASSERT_TRUE(os::recv(server.raw(), room));
    const auto second = peek_datagram(server.raw(), {}).value();
    ASSERT_TRUE(second.came);
    EXPECT_GT(*second.came, *first.came);
}

} // namespace
} // namespace portico::os
