#include "portico/os/socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace portico::os {
namespace {

ip::endpoint loopback(ip::family which, std::uint16_t port = 0) {
    return {ip::address::loopback(which), port};
}

bool has_v6_loopback() {
    const auto s = os::socket(loopback(ip::family::v6), ip::transport::tcp);
    return s && os::bind(*s, loopback(ip::family::v6));
}

void wait_for(int s, short events) {
    pollfd waiting{s, events, 0};
    ASSERT_EQ(::poll(&waiting, 1, -1), 1);
}

class tcp : public ::testing::TestWithParam<ip::family> {
protected:
    void SetUp() override {
        if (GetParam() == ip::family::v6 && !has_v6_loopback()) {
            GTEST_SKIP() << "::1 cannot be bound here";
        }
    }
};
INSTANTIATE_TEST_SUITE_P(both_families, tcp, ::testing::Values(ip::family::v4, ip::family::v6),
                         [](const auto& each) {
                             return std::string{each.param == ip::family::v4 ? "v4" : "v6"};
                         });

TEST_P(tcp, sockets_do_not_block_and_are_not_inherited) {
    const auto s = os::socket(loopback(GetParam()), ip::transport::tcp);
    ASSERT_TRUE(s);
    EXPECT_NE(::fcntl(s->raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(s->raw(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(tcp, a_connection_knows_both_its_names) {
    const auto listener = os::socket(loopback(GetParam()), ip::transport::tcp);
    ASSERT_TRUE(listener);
    ASSERT_TRUE(os::bind(*listener, loopback(GetParam())));
    ASSERT_TRUE(os::listen(*listener, 1));
    const auto bound = os::getsockname(listener->raw());
    ASSERT_TRUE(bound);
    EXPECT_NE(std::get<ip::endpoint>(*bound).port, 0);

    const auto nobody_yet = os::accept4(listener->raw());
    ASSERT_FALSE(nobody_yet);
    EXPECT_EQ(nobody_yet.error(), std::errc::operation_would_block);

    const auto client = os::socket(loopback(GetParam()), ip::transport::tcp);
    ASSERT_TRUE(client);
    const auto begun = os::connect(*client, *bound);
    EXPECT_TRUE(begun || begun.error() == std::errc::operation_in_progress);
    wait_for(client->raw(), POLLOUT);
    EXPECT_TRUE(os::so_error(client->raw()));

    wait_for(listener->raw(), POLLIN);
    const auto accepted = os::accept4(listener->raw());
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->peer, os::getsockname(client->raw()).value());
    EXPECT_EQ(os::getpeername(client->raw()).value(), *bound);
    EXPECT_NE(::fcntl(accepted->socket.raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(accepted->socket.raw(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(tcp, a_refused_connection_is_told_by_so_error_once) {
    // Bound and not listening: nobody else can take the port, and it refuses.
    const auto closed = os::socket(loopback(GetParam()), ip::transport::tcp);
    ASSERT_TRUE(closed && os::bind(*closed, loopback(GetParam())));
    const auto client = os::socket(loopback(GetParam()), ip::transport::tcp);
    ASSERT_TRUE(client);
    const auto begun = os::connect(*client, os::getsockname(closed->raw()).value());
    ASSERT_FALSE(begun);
    ASSERT_EQ(begun.error(), std::errc::operation_in_progress);
    wait_for(client->raw(), POLLOUT);
    const auto ended = os::so_error(client->raw());
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error(), std::errc::connection_refused);
    EXPECT_TRUE(os::so_error(client->raw())); // taken and cleared
}

TEST(socket, a_second_bind_to_one_port_is_address_in_use) {
    const auto first = os::socket(loopback(ip::family::v4), ip::transport::udp);
    const auto second = os::socket(loopback(ip::family::v4), ip::transport::udp);
    ASSERT_TRUE(first && second && os::bind(*first, loopback(ip::family::v4)));
    const auto again = os::bind(*second, os::getsockname(first->raw()).value());
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error(), std::errc::address_in_use);
}

TEST(socket, unix_sockets_are_named_abstractly_or_by_the_kernel) {
    for (const auto over : {ip::transport::tcp, ip::transport::udp}) {
        const auto s = os::socket(ip::unix_name{}, over);
        ASSERT_TRUE(s);
        EXPECT_EQ(os::getsockname(s->raw()).value(), ip::any_endpoint{ip::unix_name{}});
        ASSERT_TRUE(os::bind(*s, ip::unix_name{})); // the kernel makes up an abstract name
        const auto name = os::getsockname(s->raw());
        ASSERT_TRUE(name);
        EXPECT_TRUE(std::get<ip::unix_name>(*name).is_abstract());
    }
}

TEST(socket, a_unix_stream_is_connected_at_once) {
    const auto listener = os::socket(ip::unix_name{}, ip::transport::tcp);
    ASSERT_TRUE(listener && os::bind(*listener, ip::unix_name{}) && os::listen(*listener, 1));
    const auto client = os::socket(ip::unix_name{}, ip::transport::tcp);
    ASSERT_TRUE(client);
    EXPECT_TRUE(os::connect(*client, os::getsockname(listener->raw()).value()));
    const auto accepted = os::accept4(listener->raw());
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->peer, ip::any_endpoint{ip::unix_name{}});
}

TEST(socket, nothing_is_no_kind_of_socket) {
    const auto s = os::socket(std::monostate{}, ip::transport::tcp);
    ASSERT_FALSE(s);
    EXPECT_EQ(s.error(), std::errc::invalid_argument);
}

TEST(socket, errors_keep_their_number) {
    EXPECT_EQ(os::listen(fd{}, 1).error(), std::errc::bad_file_descriptor);
    EXPECT_EQ(os::getsockname(-1).error(), std::errc::bad_file_descriptor);
    EXPECT_EQ(os::so_error(-1).error(), std::errc::bad_file_descriptor);
}

} // namespace
} // namespace portico::os
