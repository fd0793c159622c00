#include "portico/serve/error_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

namespace portico::serve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

// Each line, with "+N" when N bytes were cut off.
std::vector<std::string> lines(line_splitter& splitter, std::string_view bytes) {
    std::vector<std::string> all;
    while (const auto line = splitter.poll_line(bytes)) {
        all.push_back(std::string{line->text} +
                      (line->cut == 0 ? "" : "+" + std::to_string(line->cut)));
    }
    EXPECT_TRUE(bytes.empty());
    return all;
}

TEST(line_splitter, tells_each_line) {
    line_splitter splitter{10};
    EXPECT_THAT(lines(splitter, "one\ntwo\r\nthree\n"), ElementsAre("one", "two", "three"));
    EXPECT_FALSE(splitter.poll_rest());
}

TEST(line_splitter, a_line_may_come_in_parts) {
    line_splitter splitter{10};
    EXPECT_THAT(lines(splitter, "o"), IsEmpty());
    EXPECT_THAT(lines(splitter, "n"), IsEmpty());
    EXPECT_THAT(lines(splitter, "e\ntw"), ElementsAre("one"));
    const auto rest = splitter.poll_rest();
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->text, "tw");
}

TEST(line_splitter, empty_lines_are_passed_over) {
    line_splitter splitter{10};
    EXPECT_THAT(lines(splitter, "\n\r\n\none\n\n"), ElementsAre("one"));
    EXPECT_FALSE(splitter.poll_rest());
}

TEST(line_splitter, what_is_longer_is_cut_and_counted) {
    line_splitter splitter{4};
    EXPECT_THAT(lines(splitter, "four\nfiver\n1234567"), ElementsAre("four", "five+1"));
    EXPECT_THAT(lines(splitter, "89\nnext\n"), ElementsAre("1234+5", "next"));
}

TEST(line_splitter, bytes_within_a_line_are_kept) {
    using namespace std::literals;
    line_splitter splitter{10};
    EXPECT_THAT(lines(splitter, "a\0b\r\xff\n"sv), ElementsAre("a\0b\r\xff"s));
}

constexpr instant at(duration since) {
    return instant{1h} + since;
}

int taken(line_budget& budget, instant now, int asked) {
    int count = 0;
    for (int i = 0; i < asked; ++i) {
        count += budget.take(now) ? 1 : 0;
    }
    return count;
}

TEST(line_budget, has_a_burst_and_a_rate) {
    line_budget budget{10, 50, at(0s)};
    EXPECT_EQ(taken(budget, at(0s), 100), 50);
    EXPECT_EQ(taken(budget, at(99ms), 100), 0);
    EXPECT_EQ(taken(budget, at(100ms), 100), 1);
    EXPECT_EQ(taken(budget, at(1100ms), 100), 10);
    EXPECT_EQ(taken(budget, at(1h), 100), 50);
}

TEST(line_budget, loses_no_part_of_a_line_to_frequent_questions) {
    line_budget budget{10, 1, at(0s)};
    EXPECT_TRUE(budget.take(at(0s)));
    int count = 0;
    for (auto now = at(1ms); now <= at(10s); now += 1ms) {
        count += budget.take(now) ? 1 : 0;
    }
    EXPECT_EQ(count, 100);
}

TEST(line_budget, time_that_goes_back_gives_nothing) {
    line_budget budget{10, 1, at(1s)};
    EXPECT_TRUE(budget.take(at(1s)));
    EXPECT_FALSE(budget.take(at(0s)));
    EXPECT_FALSE(budget.take(at(1050ms)));
    EXPECT_TRUE(budget.take(at(1100ms)));
}

} // namespace
} // namespace portico::serve
