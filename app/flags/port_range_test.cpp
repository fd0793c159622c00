#include "flags/port_range.hpp"

#include <gtest/gtest.h>

namespace portico::app {
namespace {

TEST(port_range, is_one_port_or_from_one_to_another) {
    EXPECT_EQ(parse_port_range("80"), (port_range{80, 80}));
    EXPECT_EQ(parse_port_range("1-1023"), (port_range{1, 1023}));
    EXPECT_EQ(parse_port_range("65535-65535"), (port_range{65535, 65535}));
    for (const std::string each :
         {"", "0", "65536", "80-", "-80", "80-79", "1-2-3", " 80", "http"}) {
        EXPECT_FALSE(parse_port_range(each)) << each;
        EXPECT_NE(port_range_fault(each), "");
    }
}

TEST(port_range, contains_its_ends) {
    const std::vector<port_range> some{{80, 80}, {443, 445}};
    EXPECT_EQ(to_text(some), "80, 443 to 445");
    for (const std::uint16_t each : std::vector<std::uint16_t>{80, 443, 444, 445}) {
        EXPECT_TRUE(contains(some, each));
    }
    for (const std::uint16_t each : std::vector<std::uint16_t>{0, 79, 81, 442, 446, 65535}) {
        EXPECT_FALSE(contains(some, each));
    }
}

} // namespace
} // namespace portico::app
