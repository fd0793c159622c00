#include "portico/ip/unix_name.hpp"

#include <gtest/gtest.h>

#include <random>
#include <type_traits>

namespace portico::ip {
namespace {

static_assert(std::is_trivially_copyable_v<unix_name> && std::regular<unix_name>);
static_assert(unix_name{}.empty() && !unix_name{}.is_abstract());

// What is read from behind "unix:".
unix_name parsed(std::string_view text) {
    const auto made = parse_unix_name(text);
    EXPECT_TRUE(made) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(unix_name{});
}

TEST(unix_name, a_name_has_at_most_107_bytes) {
    EXPECT_TRUE(unix_name::path(std::string(107, 'a')));
    EXPECT_FALSE(unix_name::path(std::string(108, 'a')));
    EXPECT_FALSE(unix_name::path(""));
    EXPECT_FALSE(unix_name::path(std::string_view{"a\0b", 3}));
    EXPECT_TRUE(unix_name::abstract(std::string(107, 'a')));
    EXPECT_FALSE(unix_name::abstract(std::string(108, 'a')));
    EXPECT_FALSE(unix_name::abstract(""));
    EXPECT_TRUE(unix_name::abstract(std::string_view{"a\0b", 3}));
}

TEST(unix_name, a_path_is_not_the_abstract_name) {
    EXPECT_NE(*unix_name::path("x"), *unix_name::abstract("x"));
    const std::hash<unix_name> hash;
    EXPECT_NE(hash(*unix_name::path("x")), hash(*unix_name::abstract("x")));
    EXPECT_EQ(hash(*unix_name::path("x")), hash(parsed("x")));
}

TEST(unix_name, text_is_read_and_written) {
    EXPECT_EQ(to_text(parsed("/run/x.sock")), "unix:/run/x.sock");
    EXPECT_EQ(to_text(parsed("///run/x.sock")), "unix:/run/x.sock");
    EXPECT_EQ(to_text(parsed("x.sock")), "unix:x.sock");
    EXPECT_EQ(to_text(parsed("@name")), "unix:@name");
    EXPECT_EQ(to_text(parsed("@a:b/c")), "unix:@a:b/c");
    EXPECT_EQ(to_text(unix_name{}), "unix:");
    EXPECT_EQ(parsed("/tmp/a b").text(), "/tmp/a b");
    EXPECT_EQ(parsed("/tmp/\xc3\xa4").text(), "/tmp/\xc3\xa4");
}

TEST(unix_name, bytes_that_cannot_be_seen_are_written_as_their_value) {
    EXPECT_EQ(to_text(*unix_name::abstract(std::string_view{"a\0\n", 3})), "unix:@a\\x00\\x0a");
    EXPECT_EQ(to_text(*unix_name::path("/a b,c\\d")), "unix:/a\\x20b\\x2cc\\x5cd");
    EXPECT_EQ(to_text(*unix_name::path("@x")), "unix:\\x40x");
    EXPECT_EQ(to_text(*unix_name::path("//x")), "unix:/\\x2fx");
    EXPECT_EQ(parsed("/a\\q\\x4").text(), "/a\\q\\x4"); // only \xNN is an escape
}

TEST(unix_name, every_value_reads_back_as_the_equal_value) {
    constexpr std::uint64_t seed = 108;
    std::mt19937_64 random{seed};
    constexpr std::string_view often = "/@\\x,: a";
    for (int round = 0; round < 20000; ++round) {
        std::string bytes;
        for (auto left = random() % 107 + 1; left > 0; --left) {
            bytes += random() % 2 == 0 ? often[random() % often.size()]
                                       : static_cast<char>(random() % 256);
        }
        const auto which = round % 2 == 0 ? unix_name::abstract(bytes) : unix_name::path(bytes);
        if (!which) {
            ASSERT_NE(bytes.find('\0'), std::string::npos);
            continue;
        }
        const auto text = to_text(*which);
        ASSERT_EQ(parsed(text.substr(5)), *which) << "seed " << seed << ": " << text;
    }
}

TEST(unix_name, bad_text_is_pointed_at) {
    struct {
        std::string text;
        std::size_t at;
        std::size_t length;
        std::string_view what;
    } const cases[] = {
        {"", 0, 1, "has no name"},
        {"@", 0, 1, "abstract name after '@' is empty"},
        {"//run/x", 0, 2, "three in the URL form"},
        {"/a,b", 2, 1, "',' separates addresses"},
        {"/a\nb", 2, 1, "control character"},
        {"/a\x7f", 2, 1, "control character"},
        {"/a\\x00b", 2, 4, "zero byte"},
        {"/" + std::string(107, 'a'), 107, 1, "longer than 107"},
        {"/" + std::string(120, 'a'), 107, 14, "longer than 107"},
        {"///" + std::string(107, 'a'), 109, 1, "longer than 107"},
        {"@" + std::string(108, 'a'), 108, 1, "longer than 107"},
    };
    for (const auto& each : cases) {
        const auto made = parse_unix_name(each.text);
        ASSERT_FALSE(made) << each.text;
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_EQ(made.error().length, each.length) << each.text << ": " << made.error().what;
        EXPECT_NE(made.error().what.find(each.what), std::string::npos)
            << each.text << ": " << made.error().what;
    }
}

} // namespace
} // namespace portico::ip
