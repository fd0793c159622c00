#include "flags/duration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(duration, a_number_alone_is_seconds) {
    EXPECT_EQ(parse_duration("5"), seconds{5});
    EXPECT_EQ(parse_duration("0.25"), milliseconds{250});
    EXPECT_EQ(parse_duration("0"), seconds{0});
}

TEST(duration, a_number_has_a_unit) {
    EXPECT_EQ(parse_duration("500ms"), milliseconds{500});
    EXPECT_EQ(parse_duration("5s"), seconds{5});
    EXPECT_EQ(parse_duration("1.5m"), seconds{90});
    EXPECT_EQ(parse_duration("2h"), seconds{7200});
    EXPECT_EQ(parse_duration("100d"), seconds{8'640'000});
}

TEST(duration, what_is_none_is_told_how_to_write_one) {
    for (const auto* each : {"", "s", "-1s", "nan", "five"}) {
        EXPECT_THAT(parse_duration(each).error(), HasSubstr("a bare number is seconds")) << each;
    }
    EXPECT_THAT(parse_duration("5 s").error(), HasSubstr("the unknown unit ' s'"));
    EXPECT_THAT(parse_duration("5min").error(), HasSubstr("use ms, s, m, h or d"));
    EXPECT_THAT(parse_duration("101d").error(), HasSubstr("longer than 100 days"));
}

} // namespace
} // namespace portico::app
