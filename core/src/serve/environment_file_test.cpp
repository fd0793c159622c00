#include "portico/serve/environment_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<variable> read(std::string_view text) {
    auto all = parse_environment_file(text);
    EXPECT_TRUE(all) << all.error().front().what;
    return all.value_or(std::vector<variable>{});
}

// The value of the only variable.
std::string value(std::string_view text) {
    const auto all = read(text);
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? "none" : all.front().value;
}

file_fault only_fault(std::string_view text) {
    const auto all = parse_environment_file(text);
    EXPECT_FALSE(all);
    EXPECT_EQ(all ? 0U : all.error().size(), 1U);
    return all ? file_fault{} : all.error().front();
}

TEST(environment_file, has_a_variable_in_a_line) {
    EXPECT_THAT(read("A=1\nB_2=two words\n"),
                ElementsAre(variable{"A", "1"}, variable{"B_2", "two words"}));
    EXPECT_THAT(read(""), IsEmpty());
}

TEST(environment_file, may_do_without_a_line_end_at_its_end) {
    EXPECT_EQ(value("A=1"), "1");
    EXPECT_EQ(value("A="), "");
    EXPECT_EQ(value("A=x\\"), "x");
    EXPECT_EQ(value("A=\"x\""), "x");
}

TEST(environment_file, comments_and_empty_lines_are_passed_over) {
    EXPECT_THAT(read("# A=1\n ; B=2 \\\n\n \t\r\nC=3\n#"), ElementsAre(variable{"C", "3"}));
}

TEST(environment_file, a_sign_within_a_value_begins_no_comment) {
    EXPECT_EQ(value("A=1 # one"), "1 # one");
    EXPECT_EQ(value("A=#1"), "#1");
    EXPECT_EQ(value("A=b=c"), "b=c");
}

TEST(environment_file, blanks_around_are_left_out) {
    EXPECT_THAT(read("  A \t=  b  c \t\r\n"), ElementsAre(variable{"A", "b  c"}));
    EXPECT_EQ(value("A=b\\ \\ \t"), "b  ");
}

TEST(environment_file, an_unquoted_value_keeps_its_quotes) {
    EXPECT_EQ(value("A=say \"yes\" and 'no'"), "say \"yes\" and 'no'");
}

TEST(environment_file, a_backslash_takes_the_meaning_from_the_next_character) {
    EXPECT_EQ(value("A=\\\"b\\\\c\\d"), "\"b\\cd");
}

TEST(environment_file, a_backslash_at_the_end_joins_two_lines) {
    EXPECT_EQ(value("A=one \\\ntwo"), "one two");
    EXPECT_EQ(value("A=\"one \\\ntwo\""), "one two");
}

TEST(environment_file, double_quotes_keep_blanks_and_lines) {
    EXPECT_EQ(value("A=\" b\nc \"  "), " b\nc ");
    EXPECT_EQ(value("A=\"\\\"\\\\\\`\\$\\n'\""), "\"\\`$\\n'");
}

TEST(environment_file, single_quotes_keep_everything) {
    EXPECT_EQ(value("A='$b \\\n\"c\\'"), "$b \\\n\"c\\");
}

TEST(environment_file, quoted_parts_are_put_together) {
    EXPECT_EQ(value("A='one'\"two\" 'three' four\\ "), "onetwothreefour ");
}

TEST(environment_file, no_variable_is_put_in) {
    EXPECT_EQ(value("A=$HOME"), "$HOME");
}

TEST(environment_file, bytes_are_kept_as_they_are) {
    EXPECT_EQ(value("\xef\xbb\xbf"
                    "A=\xc3\xa4\xff\x01"),
              "\xc3\xa4\xff\x01");
}

TEST(environment_file, a_line_without_an_equals_sign_is_a_fault) {
    EXPECT_EQ(only_fault("A=1\n  B 2\nC=3"),
              (file_fault{2, 3, "there is no '=' in this line",
                          "write NAME=value; a comment begins with '#'"}));
}

TEST(environment_file, a_name_that_is_none_is_a_fault) {
    EXPECT_THAT(only_fault("2A=1").what, HasSubstr("no name of a variable"));
    EXPECT_THAT(only_fault("A B=1").what, HasSubstr("no name of a variable"));
    EXPECT_THAT(only_fault("=1").what, HasSubstr("no name before '='"));
    EXPECT_EQ(only_fault("export A=1").hint, "leave 'export' out");
}

TEST(environment_file, a_quote_that_is_not_closed_is_a_fault_where_it_begins) {
    const auto why = only_fault("A=1\nB= \"2\nC=3\n");
    EXPECT_EQ(why.line, 2U);
    EXPECT_EQ(why.column, 4U);
    EXPECT_THAT(why.what, HasSubstr("not closed"));
    EXPECT_EQ(only_fault("A='").column, 3U);
    EXPECT_EQ(only_fault("A=\"\\\"").column, 3U);
}

TEST(environment_file, a_zero_byte_is_a_fault) {
    using namespace std::literals;
    EXPECT_THAT(only_fault("A=b\0c"sv).what, HasSubstr("zero byte"));
}

TEST(environment_file, all_faults_are_told_up_to_a_limit) {
    const auto two = parse_environment_file("one\nA=1\ntwo\n");
    ASSERT_FALSE(two);
    EXPECT_EQ(two.error().size(), 2U);
    EXPECT_EQ(two.error()[1].line, 3U);
    std::string many;
    for (int i = 0; i < 100; ++i) {
        many += "bad\n";
    }
    EXPECT_EQ(parse_environment_file(many).error().size(), most_faults);
}

TEST(environment_file, what_is_written_is_read_back) {
    const std::vector<variable> all{
        {"A", ""}, {"B", " \t'\"`$\\\n\r#;=\\n"}, {"_c9", "\xff\x01\\"}, {"A", "again"}};
    EXPECT_EQ(read(to_environment_file(all)), all);
}

} // namespace
} // namespace portico::serve
