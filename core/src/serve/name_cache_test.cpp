#include "portico/serve/name_cache.hpp"

#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using std::chrono::seconds;

ip::address address(std::uint8_t last) {
    return ip::parse_address("192.0.2." + std::to_string(last)).value();
}

const instant start{};

TEST(name_cache, a_name_is_believed_for_its_time) {
    name_cache names{{.capacity = 10, .known = seconds{10}, .none = seconds{2}}};
    EXPECT_EQ(names.find(start, address(1)), std::nullopt);
    names.keep(start, address(1), "a.test");
    names.keep(start, address(2), "");
    EXPECT_EQ(names.find(start + seconds{1}, address(1)), "a.test");
    EXPECT_EQ(names.find(start + seconds{1}, address(2)), "");
    EXPECT_EQ(names.find(start + seconds{2}, address(2)), std::nullopt) << "none, for less time";
    EXPECT_EQ(names.find(start + seconds{9}, address(1)), "a.test");
    EXPECT_EQ(names.find(start + seconds{10}, address(1)), std::nullopt);
    EXPECT_EQ(names.size(), 0U);
}

TEST(name_cache, who_was_used_longest_ago_makes_room) {
    name_cache names{{.capacity = 3}};
    for (const auto each : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
        names.keep(start, address(each), std::to_string(each));
    }
    EXPECT_EQ(names.find(start, address(1)), "1");
    names.keep(start, address(4), "4");
    EXPECT_EQ(names.size(), 3U);
    EXPECT_EQ(names.find(start, address(2)), std::nullopt);
    EXPECT_EQ(names.find(start, address(1)), "1");
    names.keep(start, address(3), "three");
    EXPECT_EQ(names.size(), 3U);
    EXPECT_EQ(names.find(start, address(3)), "three");
}

TEST(name_cache, without_room_nothing_is_kept) {
    name_cache names{{.capacity = 0}};
    names.keep(start, address(1), "a.test");
    EXPECT_EQ(names.find(start, address(1)), std::nullopt);
}

} // namespace
} // namespace portico::serve
