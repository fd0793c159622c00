#include "portico/ip/listen_address.hpp"
#include "portico/ip/text_error.hpp"

#include <gtest/gtest.h>

namespace portico::ip {
namespace {

TEST(text_error, explain_draws_a_caret_under_the_wrong_characters) {
    const std::string text = "[fe80::1]:53";
    EXPECT_EQ(explain(text, parse_listen_address(text).error()),
              "  [fe80::1]:53\n"
              "   ^~~~~~~\n"
              "a link-local address needs a zone\n"
              "hint: name the interface, e.g. [fe80::1%eth0]:53");
}

TEST(text_error, explain_can_point_behind_the_end) {
    EXPECT_EQ(explain("localhost", text_error{9, 1, "the port is missing", ""}),
              "  localhost\n"
              "           ^\n"
              "the port is missing");
    EXPECT_EQ(explain("", text_error{0, 1, "empty", ""}), "  \n  ^\nempty");
    EXPECT_EQ(explain("ab", text_error{99, 99, "far", ""}), "  ab\n    ^\nfar");
}

TEST(text_error, a_caret_stays_under_its_character_whatever_stands_before_it) {
    EXPECT_EQ(explain("a\tb\n\xc3\xa4x", text_error{6, 1, "here", ""}), "  a?b???x\n"
                                                                        "        ^\n"
                                                                        "here");
}

TEST(text_error, the_underline_ends_with_the_text) {
    EXPECT_EQ(explain("abc", text_error{1, 50, "long", ""}), "  abc\n   ^~\nlong");
}

TEST(text_error, of_a_long_text_only_the_part_around_the_error_is_shown) {
    const std::string text = std::string(300, 'a') + "!" + std::string(300, 'b');
    EXPECT_EQ(explain(text, text_error{300, 1, "odd", ""}), "  ..." + std::string(40, 'a') + "!" +
                                                                std::string(55, 'b') + "...\n" +
                                                                std::string(45, ' ') + "^\nodd");
    EXPECT_EQ(explain(text, text_error{0, 1, "odd", ""}),
              "  " + std::string(96, 'a') + "...\n  ^\nodd");
    EXPECT_EQ(explain(text, text_error{601, 1, "odd", ""}),
              "  ..." + std::string(96, 'b') + "\n" + std::string(101, ' ') + "^\nodd");
}

} // namespace
} // namespace portico::ip
