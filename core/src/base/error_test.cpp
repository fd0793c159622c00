#include "portico/base/error.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace portico {
namespace {

TEST(error, the_text_names_operation_endpoint_and_cause) {
    error why{std::make_error_code(std::errc::connection_refused), operation::connect, side::peer,
              *ip::parse_endpoint("[2001:db8::1]:80")};
    EXPECT_EQ(to_text(why), "connect [2001:db8::1]:80: Connection refused");
    why.at = *ip::unix_name::path("/run/x.sock");
    EXPECT_EQ(to_text(why), "connect unix:/run/x.sock: Connection refused");
    why.at = ip::unix_name{};
    EXPECT_EQ(to_text(why), "connect: Connection refused");
    why.at = {};
    EXPECT_EQ(to_text(why), "connect: Connection refused");
    why.op = operation::none;
    EXPECT_EQ(to_text(why), "Connection refused");
    why.at = *ip::parse_endpoint("1.2.3.4:80");
    EXPECT_EQ(to_text(why), "1.2.3.4:80: Connection refused");
}

TEST(error, an_exit_code_says_whether_to_try_again) {
    EXPECT_EQ(exit_code(side::caller), 100);
    EXPECT_EQ(exit_code(side::system), 111);
    EXPECT_EQ(exit_code(side::peer), 111);
    EXPECT_EQ(exit_code(side::portico), 101);
}

TEST(error, every_operation_has_a_name_of_its_own) {
    std::set<std::string_view> names;
    for (auto i = static_cast<int>(operation::none); i <= static_cast<int>(operation::inspect);
         ++i) {
        names.insert(to_text(static_cast<operation>(i)));
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(operation::inspect) + 1);
    EXPECT_EQ(to_text(operation::none), "");
    EXPECT_EQ(to_text(operation::inspect), "inspect");
    EXPECT_EQ(to_text(static_cast<operation>(200)), "?");
}

TEST(error, every_side_has_a_name) {
    EXPECT_EQ(to_text(side::caller), "caller");
    EXPECT_EQ(to_text(side::system), "system");
    EXPECT_EQ(to_text(side::peer), "peer");
    EXPECT_EQ(to_text(side::portico), "portico");
    EXPECT_EQ(to_text(static_cast<side>(200)), "?");
}

TEST(error, every_code_of_ours_has_a_message_of_its_own) {
    std::set<std::string> messages;
    for (int i = 1; i <= static_cast<int>(errc::not_inherited); ++i) {
        const std::error_code code = static_cast<errc>(i);
        EXPECT_EQ(&code.category(), &portico_category());
        EXPECT_EQ(code.message().find("unknown"), std::string::npos) << i;
        messages.insert(code.message());
    }
    EXPECT_EQ(messages.size(), static_cast<std::size_t>(errc::not_inherited));
    EXPECT_EQ(portico_category().message(99), "unknown portico error 99");
    EXPECT_STREQ(portico_category().name(), "portico");
}

TEST(error, every_code_of_ours_has_a_name_of_one_word) {
    std::set<std::string_view> names;
    for (int i = 1; i <= static_cast<int>(errc::not_inherited); ++i) {
        const auto name = name_of(static_cast<errc>(i));
        EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
        names.insert(name);
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(errc::not_inherited));
    EXPECT_EQ(name_of(errc::all_attempts_failed), "all_attempts_failed");
    EXPECT_EQ(name_of(errc::not_inherited), "not_inherited");
    EXPECT_EQ(name_of(static_cast<errc>(99)), "");
}

TEST(error, zero_is_no_error) {
    EXPECT_FALSE(error{}.code);
    EXPECT_TRUE(make_error_code(errc::no_address));
}

TEST(error, is_small) {
    EXPECT_LE(sizeof(error), 160U);
}

} // namespace
} // namespace portico
