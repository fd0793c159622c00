#include "dial/target.hpp"

#include <gmock/gmock.h>

namespace portico::run {
namespace {

using testing::HasSubstr;

dial_request of(std::string host, std::string port = {}) {
    dial_request made;
    made.host = std::move(host);
    made.port = std::move(port);
    return made;
}

std::string refusal(const dial_request& request) {
    const auto read = read_relay_target(request);
    EXPECT_FALSE(read) << request.host;
    return read ? "" : read.error().text;
}

TEST(relay_target, a_service_is_read_and_everything_else_as_for_dialling) {
    const auto service = read_relay_target(of("srv:_x._tcp.example.org."));
    ASSERT_TRUE(service);
    EXPECT_EQ(service->service->text, "_x._tcp.example.org");
    EXPECT_EQ(service->title, "srv:_x._tcp.example.org");
    EXPECT_TRUE(service->wants_v4 && service->wants_v6);
    const auto plain = read_relay_target(of("example.org", "80"));
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->service);
    EXPECT_EQ(plain->title, "example.org:80");
}

TEST(relay_target, its_targets_are_of_the_families_that_may_be_used) {
    auto request = of("srv:_x._tcp.example.org");
    request.from = ip::endpoint{ip::address::loopback(ip::family::v6), 0};
    EXPECT_FALSE(read_relay_target(request)->wants_v4);
    request.only = ip::family::v4;
    EXPECT_THAT(refusal(request), HasSubstr("is not of the only family"));
}

TEST(relay_target, a_service_that_cannot_be_reached_so_is_refused) {
    EXPECT_THAT(refusal(of("srv:x")), HasSubstr("write it like _imap._tcp.example.org"));
    EXPECT_THAT(refusal(of("srv:_x._udp.example.org")), HasSubstr("over udp"));
    auto request = of("srv:_x._tcp.example.org");
    request.via = "socks5://[::1]:1080";
    EXPECT_THAT(refusal(request), HasSubstr("cannot go through a proxy"));
    EXPECT_FALSE(read_request(of("srv:_x._tcp.example.org", "80"))) << "only relays take one";
}

} // namespace
} // namespace portico::run
