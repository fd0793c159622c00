#include "portico/race/memory.hpp"

#include <array>
#include <gtest/gtest.h>

namespace portico::race {
namespace {

using namespace std::chrono_literals;

const instant start_of_time{1h};
const auto first = ip::address::v4(192, 0, 2, 1);
const auto second = ip::address::v4(192, 0, 2, 2);

std::array<ip::destination, 2> places() {
    return {ip::destination{.address = first}, ip::destination{.address = second}};
}

bool remembers(memory& kept, instant now, std::string_view destination) {
    auto found = places();
    kept.apply(now, destination, found);
    return found[0].used_before || found[1].used_before;
}

TEST(race_memory, marks_only_the_winner_of_the_same_destination) {
    memory kept;
    kept.remember(start_of_time, "a:80", second, 12ms);
    auto found = places();
    kept.apply(start_of_time + 1s, "a:80", found);
    EXPECT_FALSE(found[0].used_before);
    EXPECT_FALSE(found[0].rtt_ns.has_value());
    EXPECT_TRUE(found[1].used_before);
    EXPECT_EQ(found[1].rtt_ns, 12'000'000);
    EXPECT_FALSE(remembers(kept, start_of_time + 1s, "a:81"));
}

TEST(race_memory, an_entry_ends_with_its_lifetime) {
    memory kept{8, 10min};
    kept.remember(start_of_time, "a:80", first, 1ms);
    EXPECT_TRUE(remembers(kept, start_of_time + 10min - 1ns, "a:80"));
    EXPECT_FALSE(remembers(kept, start_of_time + 10min, "a:80"));
    EXPECT_EQ(kept.size(), 0U);
}

TEST(race_memory, remembering_again_begins_a_new_lifetime_with_the_new_winner) {
    memory kept{8, 10min};
    kept.remember(start_of_time, "a:80", first, 1ms);
    kept.remember(start_of_time + 9min, "a:80", second, 2ms);
    auto found = places();
    kept.apply(start_of_time + 18min, "a:80", found);
    EXPECT_FALSE(found[0].used_before);
    EXPECT_TRUE(found[1].used_before);
    EXPECT_EQ(kept.size(), 1U);
}

TEST(race_memory, the_least_recently_used_destination_is_forgotten_first) {
    memory kept{2};
    kept.remember(start_of_time, "a:80", first, 1ms);
    kept.remember(start_of_time, "b:80", first, 1ms);
    EXPECT_TRUE(remembers(kept, start_of_time, "a:80")); // a use
    kept.remember(start_of_time, "c:80", first, 1ms);
    EXPECT_EQ(kept.size(), 2U);
    EXPECT_TRUE(remembers(kept, start_of_time, "a:80"));
    EXPECT_FALSE(remembers(kept, start_of_time, "b:80"));
    EXPECT_TRUE(remembers(kept, start_of_time, "c:80"));
}

TEST(race_memory, forgets_an_address_that_could_not_be_reached_and_no_other) {
    memory kept;
    kept.remember(start_of_time, "a:80", first, 1ms);
    kept.forget("a:80", second);
    kept.forget("b:80", first);
    EXPECT_TRUE(remembers(kept, start_of_time, "a:80"));
    kept.forget("a:80", first);
    EXPECT_FALSE(remembers(kept, start_of_time, "a:80"));
}

TEST(race_memory, forgets_everything_when_the_network_has_changed) {
    memory kept;
    kept.remember(start_of_time, "a:80", first, 1ms);
    kept.remember(start_of_time, "b:80", first, 1ms);
    kept.clear();
    EXPECT_EQ(kept.size(), 0U);
    EXPECT_FALSE(remembers(kept, start_of_time, "a:80"));
}

TEST(race_memory, has_bounds) {
    memory none{0};
    none.remember(start_of_time, "a:80", first, 1ms);
    EXPECT_EQ(none.size(), 0U);

    memory some{100};
    for (int i = 0; i < 10'000; ++i) {
        some.remember(start_of_time, std::to_string(i), first, 1ms);
    }
    some.remember(start_of_time, std::string(memory::max_destination + 1, 'a'), first, 1ms);
    EXPECT_EQ(some.size(), 100U);
}

TEST(race_memory, a_remembered_winner_comes_first_in_the_sorted_list) {
    memory kept;
    kept.remember(start_of_time, "a:80", second, 1ms);
    auto marked = places();
    kept.apply(start_of_time, "a:80", marked);
    std::vector<ip::destination> sorted{marked.begin(), marked.end()};
    ip::sort_destinations(sorted);
    EXPECT_EQ(sorted.front().address, second);
}

} // namespace
} // namespace portico::race
