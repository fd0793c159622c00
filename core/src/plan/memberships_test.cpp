#include "portico/plan/memberships.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace portico::plan {
namespace {

const ip::address v4 = ip::address::v4(239, 1, 2, 3);
const ip::address v6 = ip::parse_address("ff02::1:2%x").value().with_zone({});
const std::vector<group_interface> host{{1, "lo", false}, {2, "eth0"}, {3, "eth1"}};

using wanted = std::set<membership>;

wanted of(const std::vector<ip::group>& groups, std::string_view bound_to = {}) {
    return memberships(groups, bound_to, host);
}

TEST(memberships, are_on_every_interface_that_can) {
    EXPECT_EQ(of({{v6, ""}}), (wanted{{v6, 2}, {v6, 3}}));
    EXPECT_EQ(of({}), wanted{});
}

TEST(memberships, are_on_the_interface_that_is_named) {
    EXPECT_EQ(of({{v6, "eth1"}, {v4, "2"}}), (wanted{{v6, 3}, {v4, 2}}));
    EXPECT_EQ(of({{v6, "eth7"}}), wanted{});
    EXPECT_EQ(of({{v4, "lo"}}), (wanted{{v4, 1}}));
}

TEST(memberships, of_a_bound_socket_are_on_its_interface) {
    EXPECT_EQ(of({{v4, ""}}, "eth0"), (wanted{{v4, 2}}));
    EXPECT_EQ(of({{v4, "eth1"}}, "eth0"), wanted{});
    EXPECT_EQ(of({{v4, ""}}, "lo"), wanted{});
}

TEST(memberships, of_a_group_that_is_named_twice_are_single) {
    EXPECT_EQ(of({{v4, ""}, {v4, "eth0"}}).size(), 2U);
}

} // namespace
} // namespace portico::plan
