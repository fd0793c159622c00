// portico.toml(5), the guide and the example tell of the keys that there are, and what they show is
// right.

#include "config/config.hpp"
#include "config/keys.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <sstream>

namespace portico::app {
namespace {

using testing::HasSubstr;

std::string source(const std::string& name) {
    std::ifstream from{PORTICO_SOURCES "/" + name};
    std::ostringstream text;
    text << from.rdbuf();
    return text.str();
}

// The entry of each key: ".It Ic listen No = ..." and what follows, up to the next one.
std::map<std::pair<table, std::string>, std::string> entries() {
    std::map<std::pair<table, std::string>, std::string> all;
    std::istringstream page{source("docs/man/portico.toml.5")};
    auto in = table::service;
    std::string* entry = nullptr;
    for (std::string line; std::getline(page, line);) {
        std::smatch found;
        if (line.starts_with(".Sh ")) {
            in = line == ".Sh THE LOG"       ? table::log
                 : line == ".Sh THE PROCESS" ? table::serve
                 : line == ".Sh THE METRICS" ? table::metrics
                                             : table::service;
            entry = nullptr;
        } else if (std::regex_match(line, found, std::regex{R"(\.It Ic ([a-z-]+) No = (.*))"})) {
            entry = &all[{in, found[1]}];
        }
        if (entry != nullptr) {
            *entry += line + '\n';
        }
    }
    return all;
}

TEST(man_page, has_each_key_and_no_other) {
    const auto told = entries();
    for (const auto& each : all_keys()) {
        EXPECT_TRUE(told.contains({each.in, std::string{each.name}}))
            << each.name << " of " << to_text(each.in) << " has no entry";
    }
    EXPECT_EQ(told.size(), all_keys().size());
}

TEST(man_page, tells_the_type_and_the_words_and_the_range_of_each_key) {
    struct {
        const key& which;
        std::string operator()(text_slot) const {
            std::string words;
            for (const auto& each : which.words) {
                words += (words.empty() ? "\\(dq" : " | \\(dq") + std::string{each} + "\\(dq";
            }
            return words.empty() ? "Ar text\n" : words + '\n';
        }
        std::string operator()(list_slot) const {
            return which.form == list_form::pairs ? "Brq Ar NAME No = Ar text , No ...\n"
                                                  : "Ar texts\n";
        }
        std::string operator()(truth_slot) const { return "Ar bool\n"; }
        std::string operator()(span_slot) const { return "Ar time\n"; }
        std::string operator()(number_slot) const { return "Ar number\n"; }
    } type{all_keys().front()};
    const auto told = entries();
    for (const auto& each : all_keys()) {
        const auto& entry = told.at({each.in, std::string{each.name}});
        const auto how = std::visit(decltype(type){each}, each.at);
        EXPECT_THAT(entry, HasSubstr(" No = " + how)) << each.name;
        for (const auto& word : each.words) {
            EXPECT_THAT(entry, testing::ContainsRegex("\\.[CP][mq] .*" + std::string{word}))
                << each.name;
        }
        if (std::holds_alternative<number_slot>(each.at) && each.name != "chargen-limit") {
            EXPECT_THAT(entry, HasSubstr(std::to_string(each.most))) << each.name;
        }
    }
}

std::vector<std::string> blocks(const std::string& text, const std::string& begin,
                                const std::string& end) {
    std::vector<std::string> all;
    for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
        at += begin.size();
        const auto stop = text.find(end, at);
        all.push_back(text.substr(at, stop - at));
    }
    return all;
}

TEST(man_page, shows_files_that_are_right) {
    auto shown =
        blocks(source("docs/man/portico.toml.5"), ".Bd -literal -offset indent\n", ".Ed\n");
    EXPECT_EQ(shown.size(), 3U);
    const auto guide = blocks(source("docs/guide/serving.md"), "\n\n```toml\n", "```\n");
    EXPECT_GE(guide.size(), 1U);
    shown.insert(shown.end(), guide.begin(), guide.end());
    // What shows no service stands beside one.
    const std::string other = "[service.other]\nlisten = ':65000'\nbuiltin = 'echo'\n";
    for (const auto& each : shown) {
        const auto read = parse_config({{"shown", each}, {"other", other}});
        EXPECT_TRUE(read) << to_text(read.error()) << each;
    }
}

TEST(man_page, the_guide_shows_what_is_said_of_a_broken_file) {
    const auto guide = source("docs/guide/serving.md");
    const auto broken = blocks(guide, "<!-- broken -->\n```toml\n", "```\n");
    const auto said = blocks(guide, "the configuration is wrong:\n", "```\n");
    ASSERT_EQ(broken.size(), 1U);
    ASSERT_EQ(said.size(), 1U);
    const auto read = parse_config({{"portico.toml", broken.front()}});
    ASSERT_FALSE(read);
    EXPECT_EQ(to_text(read.error()), said.front());
}

TEST(man_page, the_example_is_right) {
    const auto read = read_config(PORTICO_SOURCES "/examples/serve/portico.toml");
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_GE(read->services.size(), 5U);
    EXPECT_EQ(read->files.size(), 2U);
}

} // namespace
} // namespace portico::app
