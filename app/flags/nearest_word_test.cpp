#include "flags/nearest_word.hpp"

#include <gtest/gtest.h>

namespace portico::app {
namespace {

const std::vector<std::string> words{"nagle", "listen", "max-connections", "to", "tcp"};

TEST(nearest_word, is_one_slip_away) {
    for (const auto* typed : {"nagl", "naggle", "nsgle", "nagel", "angle"}) {
        EXPECT_EQ(nearest_word(typed, words), "nagle") << typed;
    }
    for (const auto* typed : {"ngl", "nagxy", "anlge"}) {
        EXPECT_EQ(nearest_word(typed, words), "") << typed;
    }
}

TEST(nearest_word, may_have_more_slips_when_it_is_longer) {
    EXPECT_EQ(nearest_word("max_conections", words), "max-connections");
    EXPECT_EQ(nearest_word("lsiten", words), "listen");
    EXPECT_EQ(nearest_word("maximum", words), "");
}

TEST(nearest_word, is_told_by_the_name_before_an_equals_sign) {
    EXPECT_EQ(nearest_word("nagl=aaaaaaaaaaaaaaaa", words), "nagle");
}

TEST(nearest_word, is_none_for_nothing) {
    EXPECT_EQ(nearest_word("", words), "");
    EXPECT_EQ(nearest_word("x", {}), "");
}

} // namespace
} // namespace portico::app
