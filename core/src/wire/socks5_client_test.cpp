#include "portico/wire/socks5_client.hpp"

#include "wire/peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::wire {
namespace {

using namespace std::string_literals;
using test::feed;
using test::take_output;
using testing::HasSubstr;

proxy_target target(std::string_view host, std::uint16_t port = 80) {
    return proxy_target::make(host, port).value();
}

socks5_client client(std::string_view host, const std::optional<credentials>& who = {}) {
    return socks5_client::make(target(host), who).value();
}

const std::optional<credentials> jane = credentials{"jane", "secret"};
const auto granted = "\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90"s;

// What a client says to `answer`, whichever way the answer is cut.
std::string conversation(std::string_view host, const std::optional<credentials>& who,
                         const std::string& answer) {
    std::string first;
    for (std::size_t at_once = 1; at_once <= answer.size() + 6; ++at_once) {
        auto asking = client(host, who);
        std::string said;
        const auto left = feed(asking, answer + "tunnel", at_once, said);
        EXPECT_TRUE(asking.is_done()) << "in pieces of " << at_once;
        EXPECT_EQ(left, "tunnel") << "in pieces of " << at_once;
        EXPECT_TRUE(first.empty() || first == said) << "in pieces of " << at_once;
        first = said;
    }
    return first;
}

const proxy_failure& failure_after(socks5_client& asking, std::string_view answer) {
    std::string said;
    feed(asking, answer, 3, said);
    EXPECT_FALSE(asking.is_done());
    EXPECT_TRUE(asking.failure().has_value());
    EXPECT_TRUE(take_output(asking).empty());
    EXPECT_EQ(asking.handle_bytes(test::bytes_of("more")), 0U);
    static const proxy_failure none{};
    return asking.failure() ? *asking.failure() : none;
}

TEST(socks5_client, asks_for_a_name_without_resolving_it) {
    EXPECT_EQ(conversation("example.org", {}, "\x05\x00"s + granted),
              "\x05\x01\x00"s + "\x05\x01\x00\x03\x0b"s + "example.org" + "\x00\x50"s);
}

TEST(socks5_client, asks_for_an_ipv4_address) {
    EXPECT_EQ(conversation("192.0.2.1", {}, "\x05\x00"s + granted),
              "\x05\x01\x00"s + "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"s);
}

TEST(socks5_client, asks_for_an_ipv6_address) {
    EXPECT_EQ(conversation("2001:db8::1", {}, "\x05\x00"s + granted),
              "\x05\x01\x00"s + "\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') +
                  "\x01\x00\x50"s);
}

TEST(socks5_client, tells_who_asks_when_the_proxy_wants_to_know) {
    EXPECT_EQ(conversation("a", jane, "\x05\x02\x01\x00"s + granted),
              "\x05\x02\x00\x02"s + "\x01\x04jane\x06secret"s + "\x05\x01\x00\x03\x01"s + "a" +
                  "\x00\x50"s);
}

TEST(socks5_client, keeps_the_password_when_the_proxy_does_not_ask) {
    EXPECT_EQ(conversation("a", jane, "\x05\x00"s + granted),
              "\x05\x02\x00\x02"s + "\x05\x01\x00\x03\x01"s + "a" + "\x00\x50"s);
}

TEST(socks5_client, passes_over_a_bound_address_of_any_type) {
    conversation("a", {}, "\x05\x00\x05\x00\x00\x04"s + std::string(16, 'x') + "\x01\x02"s);
    conversation("a", {}, "\x05\x00\x05\x00\x00\x03\x04"s + "name" + "\x01\x02"s);
    conversation("a", {}, "\x05\x00\x05\x00\x00\x03\x00\x01\x02"s);
    conversation("a", {}, "\x05\x00\x05\x00\x00\x03\xff"s + std::string(255, 'x') + "\x01\x02"s);
}

TEST(socks5_client, sends_its_output_in_parts) {
    auto asking = client("a", jane);
    EXPECT_EQ(take_output(asking, 1), "\x05\x02\x00\x02"s);
    asking.handle_sent(1000); // more than there is
    EXPECT_TRUE(asking.poll_output().empty());
}

TEST(socks5_client, says_each_refusal_in_words) {
    for (const auto& [code, words] : std::vector<std::pair<char, std::string>>{
             {1, "general failure"},
             {2, "not allowed"},
             {3, "network unreachable"},
             {4, "host unreachable"},
             {5, "connection refused"},
             {6, "time to live expired"},
             {7, "CONNECT"},
             {8, "type of address"},
             {9, "unknown failure (reply code 9)"},
         }) {
        auto asking = client("a");
        const auto& failure = failure_after(asking, "\x05\x00\x05"s + code);
        EXPECT_EQ(failure.why.code, errc::proxy_refused);
        EXPECT_EQ(failure.why.op, operation::proxy);
        EXPECT_EQ(failure.why.who, side::peer);
        EXPECT_THAT(failure.text, HasSubstr(words));
    }
}

TEST(socks5_client, a_proxy_that_wants_a_password_is_told_to_the_user) {
    auto asking = client("a");
    const auto& failure = failure_after(asking, "\x05\xff"s);
    EXPECT_EQ(failure.why.code, errc::proxy_refused);
    EXPECT_EQ(failure.why.who, side::caller);
    EXPECT_THAT(failure.text, HasSubstr("socks5://user:password@host"));
}

TEST(socks5_client, a_wrong_password_is_the_callers) {
    auto asking = client("a", jane);
    const auto& failure = failure_after(asking, "\x05\x02\x01\x01"s);
    EXPECT_EQ(failure.why.code, errc::proxy_refused);
    EXPECT_EQ(failure.why.who, side::caller);
    EXPECT_EQ(failure.text.find("secret"), std::string::npos);
}

TEST(socks5_client, a_method_that_was_not_offered_breaks_the_protocol) {
    for (const auto* answer : {"\x05\x02", "\x05\x01", "\x05\x80"}) {
        auto asking = client("a");
        EXPECT_EQ(failure_after(asking, answer).why.code, errc::proxy_protocol);
    }
}

TEST(socks5_client, another_protocol_is_named) {
    auto http = client("a");
    EXPECT_THAT(failure_after(http, "HTTP/1.1 400 Bad").text, HasSubstr("try http://"));
    auto socks4 = client("a");
    EXPECT_EQ(failure_after(socks4, "\x00\x5b"s).why.code, errc::proxy_protocol);
    auto later = client("a");
    EXPECT_EQ(failure_after(later, "\x05\x00\x04\x00"s).why.code, errc::proxy_protocol);
    auto type = client("a");
    EXPECT_EQ(failure_after(type, "\x05\x00\x05\x00\x00\x02\x00"s).why.code, errc::proxy_protocol);
}

TEST(socks5_client, an_end_before_the_answer_is_a_failure_and_after_it_is_not) {
    const auto whole = "\x05\x00"s + granted;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        auto asking = client("a");
        asking.handle_bytes(test::bytes_of(whole.substr(0, size)));
        asking.handle_eof();
        ASSERT_TRUE(asking.failure().has_value()) << size;
        EXPECT_EQ(asking.failure()->why.code, errc::proxy_protocol);
    }
    auto asking = client("a");
    asking.handle_bytes(test::bytes_of(whole));
    asking.handle_eof();
    EXPECT_TRUE(asking.is_done());
    EXPECT_FALSE(asking.failure().has_value());
}

TEST(socks5_client, credentials_have_their_limits) {
    EXPECT_FALSE(socks5_client::make(target("a"), credentials{"", "x"}));
    EXPECT_FALSE(socks5_client::make(target("a"), credentials{std::string(256, 'u'), "x"}));
    EXPECT_FALSE(socks5_client::make(target("a"), credentials{"u", std::string(256, 'x')}));
    EXPECT_TRUE(socks5_client::make(target("a"),
                                    credentials{std::string(255, 'u'), std::string(255, 'x')}));
    EXPECT_TRUE(socks5_client::make(target("a"), credentials{"u", ""}));
}

TEST(proxy_target, is_an_address_or_a_name) {
    EXPECT_EQ(target("example.org", 443).text(), "example.org:443");
    EXPECT_EQ(target("192.0.2.1").text(), "192.0.2.1:80");
    EXPECT_EQ(target("2001:DB8:0::1").text(), "[2001:db8::1]:80");
    EXPECT_EQ(target(std::string(255, 'n')).text(), std::string(255, 'n') + ":80");
}

TEST(proxy_target, refuses_what_could_mean_something_else_to_a_proxy) {
    for (const auto* host : {"", "a b", "a\r\nX: y", "a\n", "a/b", "user@a", "a:80", "a?b", "a#b",
                             "[::1]", "a%00", "a\x7f", "m\xc3\xbcnchen.example", "a<b"}) {
        const auto made = proxy_target::make(host, 80);
        ASSERT_FALSE(made.has_value()) << host;
        EXPECT_EQ(made.error().why.code, std::errc::invalid_argument);
        EXPECT_EQ(made.error().why.who, side::caller);
        EXPECT_EQ(made.error().text.find_first_of("\r\n"), std::string::npos);
    }
    EXPECT_FALSE(proxy_target::make(std::string(256, 'n'), 80));
    EXPECT_THAT(proxy_target::make("m\xc3\xbcnchen.example", 80).error().text, HasSubstr("xn--"));
    EXPECT_THAT(proxy_target::make("fe80::1%eth0", 80).error().text, HasSubstr("zone"));
}

} // namespace
} // namespace portico::wire
