#include "portico/ip/group.hpp"

#include <gtest/gtest.h>

namespace portico::ip {
namespace {

TEST(group, is_an_address_and_perhaps_an_interface) {
    const auto everywhere = parse_group("239.1.2.3");
    ASSERT_TRUE(everywhere);
    EXPECT_EQ(*everywhere, (group{address::v4(239, 1, 2, 3), ""}));
    const auto on_one = parse_group("ff02::1:2@eth0");
    ASSERT_TRUE(on_one);
    EXPECT_EQ(on_one->interface, "eth0");
    EXPECT_TRUE(on_one->which.zone().empty());
    EXPECT_EQ(parse_group("ff02:0::1:2%eth0"), *on_one);
}

TEST(group, reads_back_from_its_text) {
    for (const auto* text : {"239.1.2.3", "239.1.2.3@eth0", "ff02::1:2", "ff05::2@25eth0",
                             "ff02::1:2@7", "ff02::1@br-lan.4"}) {
        const auto read = parse_group(text);
        ASSERT_TRUE(read) << text;
        EXPECT_EQ(to_text(*read), text);
        EXPECT_EQ(parse_group(to_text(*read)), *read);
    }
}

struct wrong_group {
    const char* text;
    std::size_t at;
    std::size_t length;
    const char* what;
};

class wrong_groups : public testing::TestWithParam<wrong_group> {};

TEST_P(wrong_groups, are_pointed_at) {
    const auto& [text, at, length, what] = GetParam();
    const auto read = parse_group(text);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().what, what);
    EXPECT_EQ(read.error().at, at);
    EXPECT_EQ(read.error().length, length);
    EXPECT_FALSE(read.error().hint.empty());
}

INSTANTIATE_TEST_SUITE_P(
    of_each_kind, wrong_groups,
    testing::Values(
        wrong_group{"192.0.2.1", 0, 9, "192.0.2.1 is no group: it is the address of one host"},
        wrong_group{"fe80::1@eth0", 0, 7, "fe80::1 is no group: it is the address of one host"},
        wrong_group{"ff02::1@", 7, 1, "the name of the interface is missing"},
        wrong_group{"ff02::1@a/b", 9, 1, "'/' cannot be in the name of an interface"},
        wrong_group{"ff02::1@a@b", 9, 1, "'@' cannot be in the name of an interface"},
        wrong_group{"239.1.2.3@abcdefghijklmnopq", 25, 2,
                    "no interface name is longer than 15 bytes"}));

TEST(group, is_no_name) {
    const auto read = parse_group("all-nodes");
    ASSERT_FALSE(read);
    EXPECT_FALSE(read.error().hint.empty());
}

} // namespace
} // namespace portico::ip
