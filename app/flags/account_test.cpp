#include "flags/account.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::app {
namespace {

using testing::StartsWith;

TEST(account, is_a_name_or_a_number) {
    for (const std::string each : {"root", "0"}) {
        const auto found = find_user(each);
        ASSERT_TRUE(found && *found) << each;
        EXPECT_EQ((*found)->name, "root");
        EXPECT_EQ((*found)->user, 0U);
        EXPECT_EQ(find_group(each), 0U);
    }
}

TEST(account, that_has_no_name_is_a_number_still) {
    const auto found = find_user("3999999999");
    ASSERT_TRUE(found) << found.error();
    EXPECT_FALSE(*found);
    EXPECT_EQ(find_group("3999999999"), 3'999'999'999U);
}

TEST(account, that_is_not_there_is_told) {
    EXPECT_THAT(find_user("no-such-user").error(),
                StartsWith("there is no user 'no-such-user' on this host"));
    EXPECT_THAT(find_group("no-such-group").error(),
                StartsWith("there is no group 'no-such-group' on this host"));
    EXPECT_EQ(find_user("4294967295").error(), "4294967295 is no number of a user");
    EXPECT_EQ(find_group("4294967295").error(), "4294967295 is no number of a group");
    EXPECT_FALSE(find_user("4294967296"));
    EXPECT_FALSE(find_user("-1"));
}

} // namespace
} // namespace portico::app
