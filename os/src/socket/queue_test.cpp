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

} // namespace
} // namespace portico::os
