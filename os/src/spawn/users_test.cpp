#include "portico/os/users.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::os {
namespace {

TEST(getpwnam, root_is_known_everywhere) {
    const auto root = getpwnam("root");
    ASSERT_TRUE(root && *root);
    EXPECT_EQ((*root)->name, "root");
    EXPECT_EQ((*root)->user, 0U);
    EXPECT_EQ((*root)->group, 0U);
    EXPECT_EQ((*root)->home.front(), '/');
    EXPECT_FALSE((*root)->shell.empty());
}

TEST(getpwnam, a_user_whom_nobody_knows_is_no_error) {
    const auto none = getpwnam("no-such-user-here");
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

TEST(getpwuid, gives_the_name) {
    const auto root = getpwuid(0);
    ASSERT_TRUE(root && *root);
    EXPECT_EQ((*root)->name, "root");
    const auto none = getpwuid(4'000'000'000);
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

TEST(getgrnam, gives_the_number) {
    EXPECT_EQ(getgrnam("root").value(), 0U);
    EXPECT_EQ(getgrnam("no-such-group-here").value(), std::nullopt);
}

TEST(getgrouplist, has_the_primary_group) {
    EXPECT_THAT(getgrouplist("root", 0), testing::Contains(0U));
    EXPECT_THAT(getgrouplist("no-such-user-here", 70'001), testing::ElementsAre(70'001U));
}

} // namespace
} // namespace portico::os
