#include "portico/wire/proxy_client.hpp"

#include "wire/peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::wire {
namespace {

using testing::HasSubstr;
using testing::Not;

via read(std::string_view text) {
    const auto made = parse_via(text);
    EXPECT_TRUE(made.has_value()) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(via{});
}

TEST(via, has_a_protocol_a_host_and_a_port) {
    EXPECT_EQ(read("socks5://proxy.example:9050"),
              (via{proxy_protocol::socks5, "proxy.example", 9050, {}}));
    EXPECT_EQ(read("http://192.0.2.1:3128/"), (via{proxy_protocol::http, "192.0.2.1", 3128, {}}));
    EXPECT_EQ(read("SOCKS5h://Proxy"), (via{proxy_protocol::socks5, "Proxy", 1080, {}}));
}

TEST(via, the_port_is_1080_for_both_protocols_as_curl_has_it) {
    EXPECT_EQ(read("socks5://p").port, 1080);
    EXPECT_EQ(read("http://p/").port, 1080);
    EXPECT_EQ(read("http://[::1]").port, 1080);
}

TEST(via, an_ipv6_address_stands_in_brackets) {
    EXPECT_EQ(read("socks5://[2001:DB8::1]:1081").host, "2001:db8::1");
    EXPECT_EQ(read("socks5://[fe80::1%25eth0]:1081").host, "fe80::1%eth0");
    EXPECT_EQ(read("socks5://[fe80::1%eth0]").host, "fe80::1%eth0");
}

TEST(via, user_name_and_password_are_percent_decoded) {
    EXPECT_EQ(read("http://jane:secret@p").who, (credentials{"jane", "secret"}));
    EXPECT_EQ(read("http://j%40ne:%3a%2F%25@p:1").who, (credentials{"j@ne", ":/%"}));
    EXPECT_EQ(read("http://jane@p").who, (credentials{"jane", ""}));
    EXPECT_EQ(read("http://jane:@p").who, (credentials{"jane", ""}));
    EXPECT_EQ(read("http://jane:a:b@p").who, (credentials{"jane", "a:b"}));
    EXPECT_EQ(read("http://jane:a:b@[::1]:5").host, "::1");
}

TEST(via, is_shown_without_the_credentials) {
    EXPECT_EQ(to_text(read("socks5h://jane:secret@[::1]")), "socks5://[::1]:1080");
    EXPECT_EQ(to_text(read("http://jane:secret@p:3128/")), "http://p:3128");
}

TEST(via, reads_back_what_it_shows) {
    for (const auto* text : {"socks5://[fe80::1%eth0]:9", "http://p:65535", "socks5://192.0.2.1:1",
                             "socks5://[fe80::1%2525eth0]:9"}) {
        EXPECT_EQ(read(to_text(read(text))), read(text)) << text;
    }
}

struct wrong_text {
    std::string text;
    std::size_t at;
    std::string what;
};

TEST(via, points_at_what_is_wrong) {
    for (const auto& [text, at, what] : std::vector<wrong_text>{
             {"", 0, "begins with its protocol"},
             {"proxy:1080", 0, "begins with its protocol"},
             {"://p", 0, "not supported"},
             {"https://p", 0, "not supported"},
             {"socks4://p", 0, "not supported"},
             {"socks5://", 9, "host is missing"},
             {"socks5://:1080", 9, "host is missing"},
             {"socks5://@p", 9, "user name is empty"},
             {"socks5://:x@p", 9, "user name is empty"},
             {"socks5://u@", 11, "host is missing"},
             {"socks5://p:", 11, "port is missing"},
             {"socks5://p:0", 11, "port 0"},
             {"socks5://p:65536", 11, "over 65535"},
             {"socks5://p:12a", 13, "not a digit"},
             {"socks5://p:-1", 11, "not a digit"},
             {"socks5://::1", 9, "not allowed in a host name"},
             {"socks5://2001:db8::1:1080", 13, "not allowed in a host name"},
             {"socks5://[::1", 13, "']' is missing"},
             {"socks5://[::g]", 0, ""},
             {"socks5://[192.0.2.1]", 10, "only IPv6"},
             {"socks5://[fe80::1]", 17, "needs a zone"},
             {"socks5://[::1]x", 14, "after ']'"},
             {"socks5://[::1]:", 15, "port is missing"},
             {"socks5://p/path", 10, "no path"},
             {"socks5://p?q", 10, "no path"},
             {"socks5://p#f", 10, "no path"},
             {"socks5://p q", 10, "not allowed"},
             {"socks5://p\n", 10, "not allowed"},
             {"socks5://%70", 9, "not allowed"},
             {"socks5://u:p/w@h", 12, "ends the host"},
             {"socks5://u@v@h", 10, "more than one '@'"},
             {"socks5://u%4@h", 10, "hexadecimal"},
             {"socks5://u%@h", 10, "hexadecimal"},
             {"socks5://u:%zz@h", 11, "hexadecimal"},
             {"socks5://u:a%00@h", 12, "control"},
             {"socks5://" + std::string(256, 'n'), 264, "255"},
         }) {
        const auto made = parse_via(text);
        ASSERT_FALSE(made.has_value()) << text;
        EXPECT_THAT(made.error().what, HasSubstr(what)) << text;
        if (at != 0) {
            EXPECT_EQ(made.error().at, at) << text;
        }
        EXPECT_LE(made.error().at, text.size()) << text;
        EXPECT_GE(made.error().length, 1U) << text;
    }
}

TEST(via, diagnostics_never_quote_the_password) {
    for (const auto* text : {"http://u:secret@", "http://u:secret@p:x", "http://u:secret/x@p",
                             "http://u:secret%@p", "http://u:secret@v@p", "ftp://u:secret@p"}) {
        const auto made = parse_via(text);
        ASSERT_FALSE(made.has_value()) << text;
        EXPECT_THAT(made.error().what + made.error().hint, Not(HasSubstr("secret"))) << text;
    }
}

TEST(proxy_client, speaks_the_protocol_of_its_text) {
    const auto to = proxy_target::make("a", 80).value();
    auto socks = proxy_client::make(read("socks5://p"), to).value();
    EXPECT_EQ(test::take_output(socks), (std::string{"\x05\x01\x00", 3}));
    auto http = proxy_client::make(read("http://p"), to).value();
    EXPECT_THAT(test::take_output(http), HasSubstr("CONNECT a:80"));
    EXPECT_EQ(http.handle_bytes(test::bytes_of("HTTP/1.1 200 OK\r\n\r\nx")), 19U);
    EXPECT_TRUE(http.is_done());
    socks.handle_eof();
    EXPECT_EQ(socks.failure()->why.code, errc::proxy_protocol);
    EXPECT_FALSE(proxy_client::make(read("http://a%3ab:c@p"), to).has_value());
}

} // namespace
} // namespace portico::wire
