#include "portico/testkit/prebound.hpp"

#include "portico/os/socket.hpp"
#include "portico/testkit/process.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <poll.h>

namespace portico::testkit {
namespace {

class prebound : public testing::TestWithParam<ip::family> {};
INSTANTIATE_TEST_SUITE_P(families, prebound, testing::Values(ip::family::v4, ip::family::v6),
                         [](const auto& which) { return std::string{to_text(which.param)}; });

// The errno of a connection to this port, 0 when it is accepted.
int connect_to(ip::family which, std::uint16_t port) {
    const ip::endpoint to{ip::address::loopback(which), port};
    const auto s = os::socket(to, ip::transport::tcp);
    if (!s) {
        return s.error().value();
    }
    if (const auto done = os::connect(*s, to); done || done.error().value() != EINPROGRESS) {
        return done ? 0 : done.error().value();
    }
    pollfd ready{s->raw(), POLLOUT, 0};
    ::poll(&ready, 1, -1);
    const auto ended = os::so_error(s->raw());
    return ended ? 0 : ended.error().value();
}

TEST_P(prebound, the_port_is_taken_and_its_text_names_it) {
    const auto held = bind_free_port(GetParam());
    EXPECT_TRUE(held.text.ends_with(":" + std::to_string(held.port))) << held.text;
    const ip::endpoint same{ip::address::loopback(GetParam()), held.port};
    const auto second = os::socket(same, ip::transport::tcp);
    ASSERT_TRUE(second);
    const auto bound = os::bind(*second, same);
    ASSERT_FALSE(bound);
    EXPECT_EQ(bound.error().value(), EADDRINUSE);
}

TEST_P(prebound, a_bound_port_refuses_and_a_listening_one_accepts) {
    const auto held = bind_free_port(GetParam());
    EXPECT_EQ(connect_to(GetParam(), held.port), ECONNREFUSED);
    const auto open = listen_on_free_port(GetParam());
    EXPECT_EQ(connect_to(GetParam(), open.port), 0);
}

TEST_P(prebound, a_program_can_be_handed_the_socket) {
    const auto open = listen_on_free_port(GetParam());
    process_options how;
    how.inherit = {open.socket.raw()};
    process shell{{"sh", "-c", "readlink /proc/self/fd/3"}, how};
    EXPECT_EQ(shell.wait(), 0);
    EXPECT_TRUE(shell.out().starts_with("socket:")) << shell.out();
}

TEST(prebound_udp, a_datagram_socket_has_a_port_of_its_own) {
    const auto first = bind_free_port(ip::family::v6, ip::transport::udp);
    const auto second = bind_free_port(ip::family::v6, ip::transport::udp);
    EXPECT_NE(first.port, second.port);
}

} // namespace
} // namespace portico::testkit
