#include "portico/os/netlink.hpp"

#include <gtest/gtest.h>
#include <random>

namespace portico::os {
namespace {

using namespace std::chrono_literals;

link link_of(std::uint32_t index, std::string name) {
    link made;
    made.index = index;
    made.name = std::move(name);
    return made;
}

link_address address_of(std::uint32_t owner, std::uint8_t last) {
    link_address made;
    made.link = owner;
    made.address = ip::address::v4(192, 0, 2, last);
    made.prefix_length = 24;
    return made;
}

link_address link_local_of(std::uint32_t owner) {
    link_address made;
    made.link = owner;
    made.address = ip::address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                   ip::zone::from_index(owner));
    made.prefix_length = 64;
    return made;
}

snapshot made_of(const std::vector<change>& changes) {
    snapshot made;
    for (const auto& each : changes) {
        made.apply(each);
    }
    return made;
}

TEST(snapshot, is_the_same_in_whatever_order_it_came_about) {
    EXPECT_EQ(made_of({link_set{link_of(1, "a")}, link_set{link_of(2, "b")},
                       address_set{address_of(2, 1)}, address_set{address_of(1, 2)},
                       address_set{address_of(1, 1)}}),
              made_of({link_set{link_of(2, "b")}, link_set{link_of(1, "a")},
                       address_set{address_of(1, 1)}, address_set{address_of(1, 2)},
                       address_set{address_of(2, 1)}}));
}

TEST(snapshot, a_change_that_is_there_already_has_no_effect) {
    auto known = made_of({link_set{link_of(1, "a")}, address_set{address_of(1, 1)}});
    EXPECT_FALSE(known.apply(link_set{link_of(1, "a")}));
    EXPECT_FALSE(known.apply(address_set{address_of(1, 1)}));
    EXPECT_FALSE(known.apply(link_removed{9, "x"}));
    EXPECT_FALSE(known.apply(address_removed{address_of(1, 9)}));
}

TEST(snapshot, a_link_local_address_gets_the_name_of_its_link_and_follows_a_renaming) {
    auto known = made_of({link_set{link_of(1, "a")}, address_set{link_local_of(1)}});
    EXPECT_EQ(known.addresses[0].address.zone().text(), "a");
    EXPECT_FALSE(known.apply(address_set{link_local_of(1)})); // with a number it is the same one
    EXPECT_TRUE(known.apply(link_set{link_of(1, "b")}));
    EXPECT_EQ(known.addresses[0].address.zone().text(), "b");
    EXPECT_TRUE(known.apply(address_removed{link_local_of(1)}));
    EXPECT_TRUE(known.addresses.empty());
}

TEST(snapshot, a_removed_link_takes_its_addresses_along) {
    auto known = made_of({link_set{link_of(1, "a")}, link_set{link_of(2, "b")},
                          address_set{address_of(1, 1)}, address_set{address_of(2, 1)}});
    EXPECT_TRUE(known.apply(link_removed{1, "a"}));
    EXPECT_EQ(known, made_of({link_set{link_of(2, "b")}, address_set{address_of(2, 1)}}));
}

TEST(snapshot, one_ipv4_address_towards_two_peers_is_two) {
    auto first = address_of(1, 1);
    first.peer = ip::address::v4(198, 51, 100, 1);
    auto second = first;
    second.peer = ip::address::v4(198, 51, 100, 2);
    EXPECT_EQ(made_of({address_set{first}, address_set{second}}).addresses.size(), 2U);
}

TEST(difference, of_a_snapshot_to_itself_is_nothing) {
    const auto known = made_of({link_set{link_of(1, "a")}, address_set{link_local_of(1)}});
    EXPECT_TRUE(difference(known, known).empty());
}

TEST(difference, removes_before_it_adds_and_addresses_before_their_link) {
    const auto before = made_of({link_set{link_of(1, "a")}, address_set{address_of(1, 1)}});
    const auto after = made_of({link_set{link_of(2, "b")}, address_set{address_of(2, 1)}});
    EXPECT_EQ(difference(before, after),
              (std::vector<change>{address_removed{address_of(1, 1)}, link_removed{1, "a"},
                                   link_set{link_of(2, "b")}, address_set{address_of(2, 1)}}));
}

TEST(difference, a_lifetime_that_has_run_down_is_no_change_and_a_renewed_one_is) {
    auto fresh = address_of(1, 1);
    fresh.valid = 100s;
    fresh.preferred = 50s;
    auto older = fresh;
    older.valid = 90s;
    older.preferred = 40s;
    auto endless = fresh;
    endless.valid.reset();
    const auto at = [](const link_address& which) { return made_of({address_set{which}}); };
    EXPECT_TRUE(difference(at(fresh), at(older)).empty());
    EXPECT_EQ(difference(at(older), at(fresh)), (std::vector<change>{address_set{fresh}}));
    EXPECT_EQ(difference(at(fresh), at(endless)).size(), 1U);
    EXPECT_EQ(difference(at(endless), at(fresh)).size(), 1U);
}

TEST(difference, a_flag_is_a_change) {
    auto tentative = address_of(1, 1);
    tentative.tentative = true;
    EXPECT_EQ(
        difference(made_of({address_set{tentative}}), made_of({address_set{address_of(1, 1)}})),
        (std::vector<change>{address_set{address_of(1, 1)}}));
}

TEST(difference, applied_to_the_earlier_snapshot_makes_the_later_one) {
    constexpr std::uint32_t seed = 20260214;
    SCOPED_TRACE(seed);
    std::mt19937 random{seed};
    const auto random_change = [&]() -> change {
        const std::uint32_t owner = random() % 4;
        auto where = random() % 3 == 0 ? link_local_of(owner)
                                       : address_of(owner, static_cast<std::uint8_t>(random() % 5));
        where.deprecated = random() % 2 == 0;
        switch (random() % 8) {
        case 0:
            return link_removed{owner, ""};
        case 1:
        case 2:
            return link_set{link_of(owner, random() % 2 == 0 ? "a" : "b")};
        case 3:
            return address_removed{where};
        default:
            return address_set{where};
        }
    };
    snapshot later;
    for (int round = 0; round < 2000; ++round) {
        const auto earlier = later;
        for (auto steps = random() % 6; steps > 0; --steps) {
            later.apply(random_change());
        }
        auto made = earlier;
        for (const auto& each : difference(earlier, later)) {
            EXPECT_TRUE(made.apply(each));
        }
        ASSERT_EQ(made, later) << "round " << round;
    }
}

} // namespace
} // namespace portico::os
