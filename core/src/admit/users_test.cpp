#include "portico/admit/users.hpp"

#include <gtest/gtest.h>

namespace portico::admit {
namespace {

TEST(users, know_the_password_of_each_and_no_other) {
    const auto all =
        users::parse("# people\n\nann:secret\r\nbob:with:colons and spaces \n").value();
    EXPECT_EQ(all.size(), 2U);
    EXPECT_TRUE(all.knows("ann", "secret"));
    EXPECT_TRUE(all.knows("bob", "with:colons and spaces "));
    for (const auto* each : {"", "secre", "secret ", "secreT", "with:colons and spaces "}) {
        EXPECT_FALSE(all.knows("ann", each)) << each;
    }
    EXPECT_FALSE(all.knows("eve", "secret"));
    EXPECT_FALSE(all.knows("eve", ""));
    EXPECT_FALSE(all.knows("", ""));
    EXPECT_FALSE(all.knows("# people", ""));
}

TEST(users, a_zero_byte_makes_no_password_longer_or_shorter) {
    using namespace std::string_view_literals;
    const auto all = users::parse("ann:secret").value();
    EXPECT_FALSE(all.knows("ann", "secret\0"sv));
    EXPECT_FALSE(all.knows("ann"sv, "secret\0x"sv));
}

TEST(users, the_longest_texts_count_to_their_last_byte) {
    const std::string longest(users::longest, 'x');
    const auto all = users::parse(longest + ':' + longest).value();
    EXPECT_TRUE(all.knows(longest, longest));
    EXPECT_FALSE(all.knows(longest, longest.substr(1) + 'y'));
    EXPECT_FALSE(all.knows(longest, longest + 'x'));
}

TEST(users, all_lines_that_are_wrong_are_told_without_their_passwords) {
    const auto wrong = users::parse("ann:secret\nbob\n:secret\ncarl:\nann:other\nd\x01:secret\n" +
                                    std::string(256, 'x') + ":secret\ne:" + std::string(256, 'x'));
    ASSERT_FALSE(wrong);
    std::vector<std::size_t> lines;
    for (const auto& each : wrong.error()) {
        lines.push_back(each.line);
        EXPECT_EQ(each.what.find("secret"), std::string::npos) << each.what;
    }
    EXPECT_EQ(lines, (std::vector<std::size_t>{2, 3, 4, 5, 6, 7, 8}));
}

TEST(users, a_file_without_any_is_wrong) {
    EXPECT_FALSE(users::parse(""));
    EXPECT_FALSE(users::parse("# nobody\n"));
}

} // namespace
} // namespace portico::admit
