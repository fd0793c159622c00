#include "config/keys.hpp"

#include "verb.hpp"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace portico::app {
namespace {

using testing::HasSubstr;

// The options of `portico listen`, as CLI11 knows them.
class keys : public testing::Test {
protected:
    keys() { add_listen(command, call); }

    [[nodiscard]] const CLI::Option* flag(std::string_view name) const {
        for (const auto* each : command.get_subcommand("listen")->get_options()) {
            if (each->check_lname(std::string{name})) {
                return each;
            }
        }
        return nullptr;
    }

    // Keys of a service that are flags as well.
    [[nodiscard]] std::vector<std::pair<key, const CLI::Option*>> shared() const {
        std::vector<std::pair<key, const CLI::Option*>> all;
        for (const auto& each : all_keys()) {
            if (const auto* option = flag(each.name)) {
                all.emplace_back(each, option);
            }
        }
        return all;
    }

    CLI::App command;
    invocation call;
};

TEST_F(keys, every_flag_of_listen_has_its_key) {
    const std::set<std::string_view> no_setting{"help", "help-all"};
    for (const auto* each : command.get_subcommand("listen")->get_options()) {
        auto names = each->get_lnames();
        if (names.empty()) {
            names = each->get_snames();
        }
        for (const auto& name : names) { // ADDR has none: it is listen
            const auto is_other = std::any_of(other_names().begin(), other_names().end(),
                                              [&](const auto& one) { return one.flag == name; });
            EXPECT_TRUE(find_key(table::service, name) != nullptr ||
                        find_key(table::serve, name) != nullptr || is_other ||
                        no_setting.contains(name))
                << "--" << name << " has no key, and no other name in app/config/keys.cpp";
        }
    }
}

TEST_F(keys, every_key_of_a_service_is_a_flag) {
    const std::set<std::string_view> otherwise{
        "listen",  // ADDR
        "family",  // -4, -6
        "builtin", // --echo and so on
        "program", // -- PROGRAM
    };
    for (const auto& each : all_keys()) {
        if (each.in == table::service && !otherwise.contains(each.name)) {
            EXPECT_NE(flag(each.name), nullptr) << each.name;
        }
    }
}

TEST_F(keys, other_names_are_flags_that_are_no_keys) {
    const auto* listen = command.get_subcommand("listen");
    for (const auto& each : other_names()) {
        EXPECT_EQ(find_key(table::service, each.flag), nullptr) << each.flag;
        const auto name = (each.flag.size() == 1 ? "-" : "--") + std::string{each.flag};
        EXPECT_NE(listen->get_option_no_throw(name), nullptr) << name;
    }
}

TEST_F(keys, a_key_takes_a_value_when_its_flag_does) {
    ASSERT_GT(shared().size(), 30U);
    for (const auto& [each, option] : shared()) {
        EXPECT_EQ(std::holds_alternative<truth_slot>(each.at),
                  option->get_items_expected_max() == 0)
            << each.name;
    }
}

TEST_F(keys, a_key_takes_the_words_and_the_range_that_its_flag_takes) {
    std::size_t words = 0;
    std::size_t ranges = 0;
    for (const auto& [each, option] : shared()) {
        const auto type = option->get_type_name(); // "TEXT:{v1,v2}", "UINT:INT in [1 - 1024]"
        if (const auto begin = type.find('{'); begin != std::string::npos) {
            std::string listed;
            for (const auto& word : each.words) {
                listed += (listed.empty() ? "" : ",") + std::string{word};
            }
            EXPECT_EQ('{' + listed + '}', type.substr(begin)) << each.name;
            ++words;
        } else {
            EXPECT_TRUE(each.words.empty()) << each.name;
        }
        if (std::holds_alternative<number_slot>(each.at)) {
            EXPECT_THAT(type, HasSubstr(" in [" + std::to_string(each.least) + " - " +
                                        std::to_string(each.most) + "]"))
                << each.name;
            ++ranges;
        }
    }
    EXPECT_GE(words, 3U);
    EXPECT_GE(ranges, 7U);
}

TEST_F(keys, commas_separate_in_a_key_when_they_do_in_its_flag) {
    for (const auto& [each, option] : shared()) {
        EXPECT_EQ(each.form == list_form::commas, option->get_delimiter() == ',') << each.name;
    }
}

TEST_F(keys, no_key_is_there_twice) {
    std::set<std::pair<table, std::string_view>> seen;
    for (const auto& each : all_keys()) {
        EXPECT_TRUE(seen.emplace(each.in, each.name).second) << each.name;
    }
}

TEST_F(keys, each_key_has_a_place_of_its_own) {
    for (const auto& each : all_keys()) {
        settings in;
        EXPECT_FALSE(is_set(each, in)) << each.name;
        settings other;
        std::visit(
            [&](const auto& at) {
                using type = std::remove_cvref_t<decltype(at)>;
                if constexpr (std::is_same_v<type, number_slot>) {
                    at.set(other, each.most - 1);
                } else if constexpr (std::is_same_v<type, truth_slot>) {
                    at(other) = true;
                } else if constexpr (std::is_same_v<type, list_slot>) {
                    at(other) = {"x"};
                } else {
                    at(other) = {};
                    if constexpr (std::is_same_v<type, text_slot>) {
                        at(other) = "x";
                    } else {
                        at(other) = std::chrono::seconds{1};
                    }
                }
            },
            each.at);
        copy(each, other, in);
        for (const auto& one : all_keys()) {
            EXPECT_EQ(is_set(one, in), &one == &each) << one.name << " by " << each.name;
        }
        reset(each, in);
        EXPECT_FALSE(is_set(each, in)) << each.name;
    }
}

} // namespace
} // namespace portico::app
