#include "guard/binder.hpp"
#include "guard/binder_message.hpp"

#include "portico/os/fdpass.hpp"
#include "portico/os/sandbox.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>

namespace portico::app {
namespace {

using testing::HasSubstr;

// ---- what is said ----

binder_request request_for(int family, std::uint16_t port) {
    binder_request made;
    made.number = 0x0102030405060708;
    const auto at = ip::endpoint{
        ip::address::loopback(family == AF_INET ? ip::family::v4 : ip::family::v6), port};
    const auto bytes = os::to_sockaddr(at).value();
    made.length = bytes.size;
    std::memcpy(made.at.data(), bytes.data(), bytes.size);
    return made;
}

TEST(binder_message, reads_back_as_it_was_written) {
    for (const int family : {AF_INET, AF_INET6}) {
        const auto made = request_for(family, 443);
        EXPECT_EQ(parse_binder_request(to_bytes(made)), made);
        EXPECT_EQ(made.port(), 443);
    }
    const binder_reply reply{7, EACCES};
    EXPECT_EQ(parse_binder_reply(to_bytes(reply)), reply);
}

TEST(binder_message, of_another_size_or_sort_is_refused) {
    const auto bytes = to_bytes(request_for(AF_INET, 80));
    EXPECT_FALSE(parse_binder_request(std::span{bytes}.first(bytes.size() - 1)));
    EXPECT_FALSE(parse_binder_request({}));
    EXPECT_FALSE(parse_binder_request(to_bytes(binder_reply{1, 0})));
    EXPECT_FALSE(parse_binder_reply(std::span{bytes}.first(16)));
    auto wrong = request_for(AF_INET, 80);
    wrong.length = sizeof(sockaddr_in6);
    EXPECT_FALSE(parse_binder_request(to_bytes(wrong)));
    wrong.length = 0;
    EXPECT_FALSE(parse_binder_request(to_bytes(wrong)));
    wrong = request_for(AF_INET6, 80);
    wrong.at[0] = std::byte{AF_UNIX};
    EXPECT_FALSE(parse_binder_request(to_bytes(wrong)));
}

// ---- what is done ----

class binder_process : public testing::Test {
protected:
    void SetUp() override {
        const auto now = os::read_privileges();
        if (!now || !os::has_capability(now->permitted, CAP_NET_BIND_SERVICE)) {
            GTEST_SKIP() << "this test takes cap_net_bind_service";
        }
        // A port that is free for another address of this host.
        const ip::endpoint any{ip::parse_address("127.0.0.1").value(), 0};
        holder_ = os::socket(any, ip::transport::tcp).value();
        ASSERT_TRUE(os::bind(holder_, any));
        port_ = std::get<ip::endpoint>(os::getsockname(holder_.raw()).value()).port;
        auto made = binder::start({{port_, port_}}, std::nullopt);
        ASSERT_TRUE(made) << made.error();
        binder_.emplace(*std::move(made));
    }
    [[nodiscard]] ip::endpoint at(std::uint16_t port) const {
        return {ip::parse_address("127.0.0.2").value(), port};
    }
    os::sys_status bind(std::uint16_t port) {
        socket_ = os::socket(at(port), ip::transport::tcp).value();
        return binder_->bind(socket_, at(port));
    }
    static std::string status_of(pid_t which) {
        std::ostringstream text;
        text << std::ifstream{"/proc/" + std::to_string(which) + "/status"}.rdbuf();
        return text.str();
    }

    os::fd holder_;
    std::uint16_t port_ = 0;
    std::optional<binder> binder_;
    os::fd socket_;
};

TEST_F(binder_process, binds_what_it_is_for_and_nothing_else) {
    EXPECT_TRUE(bind(port_));
    EXPECT_EQ(ip::to_text(os::getsockname(socket_.raw()).value()),
              "127.0.0.2:" + std::to_string(port_));
    EXPECT_EQ(bind(port_ == 65535 ? 65534 : port_ + 1).error().value(), EACCES);
    EXPECT_EQ(bind(0).error().value(), EACCES);
    const auto taken = os::socket(at(port_), ip::transport::tcp).value();
    EXPECT_TRUE(bind(port_));
    EXPECT_EQ(binder_->bind(taken, at(port_)).error().value(), EADDRINUSE);
}

TEST_F(binder_process, has_one_capability_one_descriptor_and_a_filter) {
    const auto child = binder_->take_child();
    const auto status = status_of(child.pid());
    EXPECT_THAT(status, HasSubstr("Name:\tportico-binder\n"));
    EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000400\n"));
    EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000400\n"));
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
    if (os::call_filters_available()) {
        EXPECT_THAT(status, HasSubstr("Seccomp:\t2\n"));
    }
    const std::filesystem::directory_iterator all{"/proc/" + std::to_string(child.pid()) + "/fd"};
    EXPECT_EQ(std::distance(begin(all), end(all)), 1);
}

TEST_F(binder_process, refuses_what_it_cannot_read_and_goes_on) {
    const auto nonsense = to_bytes(binder_reply{1, 0});
    ASSERT_TRUE(os::send_descriptors(binder_->channel().raw(), nonsense, {}));
    pollfd answer{binder_->channel().raw(), POLLIN, 0};
    ASSERT_EQ(::poll(&answer, 1, 60'000), 1);
    std::array<std::byte, 64> room;
    const auto got = os::receive_descriptors(binder_->channel().raw(), room, 0);
    ASSERT_TRUE(got);
    EXPECT_EQ(parse_binder_reply(std::span{room}.first(got->size)),
              (binder_reply{binder_start, EINVAL}));
    EXPECT_TRUE(bind(port_));
}

TEST_F(binder_process, ends_when_nobody_has_its_channel) {
    auto child = binder_->take_child();
    const os::fd second{::fcntl(binder_->channel().raw(), F_DUPFD_CLOEXEC, 0)};
    binder_.reset();
    EXPECT_FALSE(child.has_ended()); // the next process may still ask
    ::shutdown(second.raw(), SHUT_RDWR);
    pollfd ended{child.process(), POLLIN, 0};
    ASSERT_EQ(::poll(&ended, 1, 60'000), 1);
    const auto report = child.reap();
    ASSERT_TRUE(report && *report);
    EXPECT_EQ((*report)->status(), 0);
}

TEST_F(binder_process, that_has_ended_is_told) {
    const auto child = binder_->take_child();
    ASSERT_TRUE(child.kill(SIGKILL));
    pollfd ended{child.process(), POLLIN, 0};
    ASSERT_EQ(::poll(&ended, 1, 60'000), 1);
    EXPECT_EQ(bind(port_).error().value(), EPIPE);
}

} // namespace
} // namespace portico::app
