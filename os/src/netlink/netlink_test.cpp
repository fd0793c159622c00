#include "portico/os/netlink.hpp"

#include <algorithm>
#include <fcntl.h>
#include <gtest/gtest.h>

namespace portico::os {
namespace {

TEST(take_snapshot, has_the_loopback_interface) {
    const auto taken = take_snapshot();
    ASSERT_TRUE(taken) << taken.error().message();
    const auto* lo = taken->find_link(interface_index("lo"));
    ASSERT_NE(lo, nullptr);
    EXPECT_EQ(lo->name, "lo");
    EXPECT_TRUE(lo->loopback);
    EXPECT_TRUE(lo->mac.empty());
    EXPECT_GT(lo->mtu, 0U);
    if (lo->up) {
        EXPECT_TRUE(
            std::any_of(taken->addresses.begin(), taken->addresses.end(), [&](const auto& each) {
                return each.link == lo->index &&
                       each.address == ip::address::loopback(ip::family::v4) &&
                       each.prefix_length == 8 && each.scope == address_scope::host;
            }));
    }
}

TEST(take_snapshot, is_sorted_and_every_address_has_its_link) {
    const auto taken = take_snapshot();
    ASSERT_TRUE(taken);
    EXPECT_TRUE(std::is_sorted(taken->links.begin(), taken->links.end(),
                               [](const auto& a, const auto& b) { return a.index < b.index; }));
    for (const auto& each : taken->addresses) {
        EXPECT_NE(taken->find_link(each.link), nullptr);
    }
}

TEST(monitor, has_no_news_when_nothing_happens_and_does_not_block) {
    auto made = monitor::open();
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_NE(::fcntl(made->raw(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_TRUE(made->read_changes()); // others may change the machine meanwhile
}

} // namespace
} // namespace portico::os
