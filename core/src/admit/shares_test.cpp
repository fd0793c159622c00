#include "portico/admit/shares.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <vector>

namespace portico::admit {
namespace {

std::size_t take_all(shares& of, std::size_t who) {
    std::size_t times = 0;
    while (of.take(who)) {
        ++times;
    }
    return times;
}

TEST(shares, one_alone_has_all) {
    shares all{10};
    const auto one = all.join(1);
    EXPECT_EQ(take_all(all, one), 10U);
    EXPECT_FALSE(all.has_room(one));
    all.give_back(one);
    EXPECT_TRUE(all.has_room(one));
    EXPECT_EQ(all.taken(), 9U);
}

TEST(shares, whoever_comes_last_finds_its_own) {
    shares all{80};
    std::vector<std::size_t> members;
    for (int i = 0; i < 4; ++i) {
        members.push_back(all.join(1));
    }
    EXPECT_EQ(take_all(all, members[0]), 50U); // its own, and all that is for whoever comes first
    EXPECT_EQ(take_all(all, members[1]), 10U);
    EXPECT_EQ(take_all(all, members[2]), 10U);
    EXPECT_EQ(take_all(all, members[3]), 10U);
    all.give_back(members[0]); // one of all
    EXPECT_TRUE(all.take(members[3]));
    EXPECT_FALSE(all.take(members[0]));
}

TEST(shares, what_comes_back_to_a_share_is_for_its_owner) {
    shares all{8};
    const auto one = all.join(1);
    const auto other = all.join(1);
    EXPECT_EQ(take_all(all, one), 6U);
    EXPECT_EQ(take_all(all, other), 2U);
    all.give_back(other);
    EXPECT_FALSE(all.take(one));
    EXPECT_TRUE(all.take(other));
}

TEST(shares, several_are_taken_at_once_or_none) {
    shares all{10};
    const auto four = all.join(4);
    EXPECT_EQ(take_all(all, four), 2U);
    EXPECT_EQ(all.taken(), 8U);
    all.give_back(four);
    EXPECT_EQ(all.taken(), 4U);
}

TEST(shares, who_leaves_takes_nothing_with_it) {
    shares all{8};
    const auto one = all.join(2);
    const auto other = all.join(1);
    EXPECT_EQ(take_all(all, one), 3U);
    all.leave(one);
    EXPECT_EQ(all.taken(), 0U);
    EXPECT_EQ(take_all(all, other), 8U);
    EXPECT_EQ(all.join(1), one); // its place
}

TEST(shares, with_less_than_there_was_nobody_loses_what_it_has) {
    shares all{8};
    const auto one = all.join(1);
    EXPECT_EQ(take_all(all, one), 8U);
    all.set_total(4);
    for (int i = 0; i < 4; ++i) {
        all.give_back(one);
        EXPECT_FALSE(all.has_room(one));
    }
    all.give_back(one);
    EXPECT_TRUE(all.has_room(one));
}

TEST(shares, nothing_is_given_back_twice) {
    shares all{2};
    const auto one = all.join(1);
    all.give_back(one);
    EXPECT_EQ(all.taken(), 0U);
    EXPECT_EQ(take_all(all, one), 2U);
}

// Whatever happens: no more is taken than there is, and whoever has less than its own gets more.
TEST(shares, a_random_walk_keeps_the_promise) {
    std::mt19937 random{7};
    for (int walk = 0; walk < 50; ++walk) {
        constexpr std::size_t count = 5;
        const std::size_t total = 20 + random() % 100;
        shares all{total};
        std::vector<std::size_t> has(count);
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(all.join(1), i);
        }
        const auto own = total / 2 / count;
        for (int step = 0; step < 500; ++step) {
            const auto who = random() % count;
            if (random() % 3 == 0 && has[who] > 0) {
                all.give_back(who);
                --has[who];
            } else if (const bool is_owed = has[who] < own; all.take(who)) {
                ++has[who];
            } else {
                ASSERT_FALSE(is_owed);
            }
            std::size_t sum = 0;
            for (const auto each : has) {
                sum += each;
            }
            ASSERT_EQ(sum, all.taken());
            ASSERT_LE(sum, total);
        }
    }
}

} // namespace
} // namespace portico::admit
