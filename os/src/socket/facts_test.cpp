#include "portico/os/socket.hpp"

#include <gtest/gtest.h>

namespace portico::os {
namespace {

TEST(source_address, towards_a_loopback_address_is_a_loopback_address) {
    const auto source = source_address({ip::address::v4(127, 0, 0, 5), 80});
    ASSERT_TRUE(source);
    EXPECT_TRUE(source->is_loopback());
    EXPECT_TRUE(source_address({ip::address::v4(127, 0, 0, 5), 0})); // no port is needed
}

TEST(source_address, by_an_interface_is_one_of_it) {
    const auto source = source_address({ip::address::v4(127, 0, 0, 5), 80}, interface_index("lo"));
    ASSERT_TRUE(source);
    EXPECT_TRUE(source->is_loopback());
    EXPECT_EQ(
        source_address({ip::address::v4(127, 0, 0, 5), 80}, 4'000'000).map([](const auto& any) {
            return any.is_loopback();
        }),
        true); // no name to bind to: the routing table alone
}

TEST(source_address, in_an_unknown_zone_is_enodev) {
    const auto nowhere = ip::address::v6({0xfe, 0x80}, ip::zone::from_text("nonesuch0").value());
    EXPECT_EQ(source_address({nowhere, 80}).error(), std::errc::no_such_device);
}

TEST(interfaces, are_found_by_name_and_by_number) {
    const auto index = interface_index("lo");
    ASSERT_NE(index, 0U);
    EXPECT_EQ(interface_name(index), "lo");
    EXPECT_EQ(interface_index("nonesuch0"), 0U);
    EXPECT_EQ(interface_index("lo_and_much_too_long_a_name"), 0U);
    EXPECT_EQ(interface_index(""), 0U);
    EXPECT_EQ(interface_name(0), "");
    EXPECT_EQ(interface_name(4000000000), "");
}

} // namespace
} // namespace portico::os
