#include "portico/os/socket.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace portico::os {
namespace {

ip::address link_local(std::string_view zone) {
    return ip::address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                           ip::zone::from_text(zone).value());
}

ip::any_endpoint there_and_back(const ip::any_endpoint& at) {
    const auto bytes = to_sockaddr(at);
    return bytes ? from_sockaddr(*bytes) : ip::any_endpoint{};
}

TEST(sockaddr, an_ipv4_endpoint_has_the_bytes_of_sockaddr_in) {
    const auto bytes = to_sockaddr(ip::endpoint{ip::address::v4(192, 0, 2, 7), 0x1234});
    ASSERT_TRUE(bytes);
    ASSERT_EQ(bytes->size, sizeof(sockaddr_in));
    sockaddr_in made{};
    std::memcpy(&made, bytes->data(), sizeof made);
    EXPECT_EQ(made.sin_family, AF_INET);
    EXPECT_EQ(ntohs(made.sin_port), 0x1234);
    EXPECT_EQ(ntohl(made.sin_addr.s_addr), 0xc0000207U);
}

TEST(sockaddr, ip_endpoints_come_back_as_they_were) {
    const ip::endpoint v4{ip::address::v4(192, 0, 2, 7), 65535};
    const ip::endpoint v6{ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}),
                          1};
    EXPECT_EQ(there_and_back(v4), ip::any_endpoint{v4});
    EXPECT_EQ(there_and_back(v6), ip::any_endpoint{v6});
}

TEST(sockaddr, a_mapped_address_stays_mapped) {
    const ip::endpoint mapped{ip::address::v6(ip::address::v4(192, 0, 2, 7).to_v6()), 80};
    EXPECT_EQ(there_and_back(mapped), ip::any_endpoint{mapped});
}

TEST(sockaddr, a_zone_may_be_a_name_or_a_number_and_comes_back_as_the_name) {
    const auto index = interface_index("lo");
    ASSERT_NE(index, 0U);
    const ip::endpoint by_name{link_local("lo"), 53};
    const ip::endpoint by_number{link_local(std::to_string(index)), 53};
    EXPECT_EQ(there_and_back(by_name), ip::any_endpoint{by_name});
    EXPECT_EQ(there_and_back(by_number), ip::any_endpoint{by_name});
}

TEST(sockaddr, a_zone_that_names_no_interface_is_enodev) {
    for (const char* zone : {"nonesuch0", "4000000000", "99999999999"}) {
        const auto bytes = to_sockaddr(ip::endpoint{link_local(zone), 53});
        ASSERT_FALSE(bytes) << zone;
        EXPECT_EQ(bytes.error(), std::errc::no_such_device) << zone;
    }
}

TEST(sockaddr, a_scope_whose_interface_is_gone_comes_back_as_its_number) {
    auto bytes = to_sockaddr(ip::endpoint{link_local("lo"), 53});
    ASSERT_TRUE(bytes);
    sockaddr_in6 changed{};
    std::memcpy(&changed, bytes->data(), sizeof changed);
    changed.sin6_scope_id = 4000000000;
    std::memcpy(bytes->data(), &changed, sizeof changed);
    EXPECT_EQ(from_sockaddr(*bytes),
              (ip::any_endpoint{ip::endpoint{link_local("4000000000"), 53}}));
}

TEST(sockaddr, unix_names_come_back_as_they_were) {
    using namespace std::string_view_literals;
    const std::string longest(ip::unix_name::max_path, 'p');
    for (const auto& name :
         {ip::unix_name::path("/tmp/x").value(), ip::unix_name::path("x").value(),
          ip::unix_name::path(longest).value(), ip::unix_name::abstract("x").value(),
          ip::unix_name::abstract("a\0b\0"sv).value(), ip::unix_name::abstract(longest).value(),
          ip::unix_name{}}) {
        EXPECT_EQ(there_and_back(name), ip::any_endpoint{name}) << name.text();
    }
}

TEST(sockaddr, an_abstract_name_is_as_long_as_its_size_says) {
    auto bytes = to_sockaddr(ip::unix_name::abstract("name").value());
    ASSERT_TRUE(bytes);
    bytes->size -= 2;
    EXPECT_EQ(from_sockaddr(*bytes), (ip::any_endpoint{ip::unix_name::abstract("na").value()}));
}

TEST(sockaddr, a_path_ends_at_its_size_or_at_its_zero_byte) {
    auto bytes = to_sockaddr(ip::unix_name::path("/tmp/x").value());
    ASSERT_TRUE(bytes);
    bytes->size -= 1; // the kernel may leave the terminator out
    EXPECT_EQ(from_sockaddr(*bytes), (ip::any_endpoint{ip::unix_name::path("/tmp/x").value()}));
    bytes->size = sizeof(sockaddr_un);
    EXPECT_EQ(from_sockaddr(*bytes), (ip::any_endpoint{ip::unix_name::path("/tmp/x").value()}));
}

TEST(sockaddr, a_path_without_room_for_its_terminator_is_not_called_unnamed) {
    auto bytes = to_sockaddr(ip::unix_name::path("/tmp/x").value());
    ASSERT_TRUE(bytes);
    sockaddr_un full{};
    full.sun_family = AF_UNIX;
    std::memset(full.sun_path, 'p', sizeof full.sun_path);
    std::memcpy(bytes->data(), &full, sizeof full);
    bytes->size = sizeof full;
    EXPECT_EQ(from_sockaddr(*bytes), ip::any_endpoint{});
}

TEST(sockaddr, nothing_and_strange_bytes_are_nothing) {
    const auto none = to_sockaddr(std::monostate{});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error(), std::errc::invalid_argument);

    EXPECT_EQ(from_sockaddr({}), ip::any_endpoint{});
    sockaddr_bytes strange;
    strange.storage.ss_family = AF_NETLINK;
    strange.size = sizeof strange.storage;
    EXPECT_EQ(from_sockaddr(strange), ip::any_endpoint{});
    strange.storage.ss_family = AF_INET6;
    strange.size = sizeof(sockaddr_in); // too short for its family
    EXPECT_EQ(from_sockaddr(strange), ip::any_endpoint{});
}

} // namespace
} // namespace portico::os
