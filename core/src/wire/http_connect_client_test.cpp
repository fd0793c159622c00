#include "portico/wire/http_connect_client.hpp"

#include "wire/peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::wire {
namespace {

using test::bytes_of;
using test::feed;
using test::take_output;
using testing::HasSubstr;

http_connect_client client(std::string_view host, const std::optional<credentials>& who = {}) {
    return http_connect_client::make(proxy_target::make(host, 443).value(), who).value();
}

// Whether the answer opens the tunnel right at its end, whichever way it is cut.
bool opens(const std::string& answer) {
    bool all = true;
    for (std::size_t at_once = 1; at_once <= answer.size() + 6; ++at_once) {
        auto asking = client("a");
        std::string said;
        const auto left = feed(asking, answer + "tunnel", at_once, said);
        all = all && asking.is_done() && left == "tunnel" && !asking.failure();
    }
    return all;
}

proxy_failure failure_after(std::string_view answer, const std::optional<credentials>& who = {}) {
    auto asking = client("a", who);
    std::string said;
    feed(asking, answer, 7, said);
    EXPECT_FALSE(asking.is_done());
    EXPECT_TRUE(take_output(asking).empty());
    EXPECT_EQ(asking.handle_bytes(bytes_of("more")), 0U);
    return asking.failure().value_or(proxy_failure{});
}

TEST(http_connect_client, asks_for_a_name_without_resolving_it) {
    auto asking = client("example.org");
    EXPECT_EQ(take_output(asking, 5),
              "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
}

TEST(http_connect_client, asks_for_an_address_in_its_brackets) {
    auto asking = client("2001:db8::1");
    EXPECT_THAT(take_output(asking), HasSubstr("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"));
}

// The examples of RFC 7617 section 2 and RFC 4648 section 10.
TEST(http_connect_client, tells_who_asks) {
    const auto header = [](const credentials& who) {
        auto asking = client("a", who);
        return take_output(asking);
    };
    EXPECT_THAT(header({"Aladdin", "open sesame"}),
                HasSubstr("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
    EXPECT_THAT(header({"f", ""}), HasSubstr("Basic Zjo=\r\n"));
    EXPECT_THAT(header({"fo", ""}), HasSubstr("Basic Zm86\r\n"));
    EXPECT_THAT(header({"f", "ob\xff"}), HasSubstr("Basic ZjpvYv8=\r\n"));
}

TEST(http_connect_client, any_2xx_opens_the_tunnel_at_the_end_of_its_head) {
    EXPECT_TRUE(opens("HTTP/1.1 200 Connection established\r\n\r\n"));
    EXPECT_TRUE(opens("HTTP/1.0 200\r\n\r\n"));
    EXPECT_TRUE(opens("HTTP/1.1 204 \r\nVia: x\r\nContent-Length: 0\r\n\r\n"));
    EXPECT_TRUE(opens("HTTP/1.1 299 Odd\n\n"));
    // RFC 9110 section 9.3.6: what it says about content means nothing.
    EXPECT_TRUE(
        opens("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

TEST(http_connect_client, interim_answers_are_passed_over) {
    EXPECT_TRUE(opens("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                      "HTTP/1.1 200 OK\r\n\r\n"));
}

TEST(http_connect_client, any_other_status_is_a_failure_with_the_status_line) {
    for (const auto* line :
         {"HTTP/1.1 403 Forbidden", "HTTP/1.1 502 Bad Gateway", "HTTP/1.1 302 Found",
          "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 999 Odd", "HTTP/1.1 000 Odd"}) {
        const auto failure = failure_after(std::string{line} + "\r\n\r\n<html>");
        EXPECT_EQ(failure.why.code, errc::proxy_refused) << line;
        EXPECT_EQ(failure.why.who, side::peer) << line;
        EXPECT_EQ(failure.text, std::string{"the proxy answered: "} + line);
    }
}

TEST(http_connect_client, a_proxy_that_wants_a_password_is_told_to_the_user) {
    const auto* answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    const auto asked = failure_after(answer);
    EXPECT_EQ(asked.why.who, side::caller);
    EXPECT_THAT(asked.text, HasSubstr("http://user:password@host"));
    const auto wrong = failure_after(answer, credentials{"jane", "secret"});
    EXPECT_EQ(wrong.why.who, side::caller);
    EXPECT_THAT(wrong.text, HasSubstr("did not accept"));
    EXPECT_EQ(wrong.text.find("secret"), std::string::npos);
}

TEST(http_connect_client, what_a_proxy_writes_cannot_reach_the_terminal) {
    const auto failure = failure_after("HTTP/1.1 403 \x1b[2J\a\xff evil\r\n\r\n");
    EXPECT_EQ(failure.text, "the proxy answered: HTTP/1.1 403 ?[2J?? evil");
    const auto longer = failure_after("HTTP/1.1 500 " + std::string(5000, 'x') + "\r\n");
    EXPECT_LT(longer.text.size(), 300U);
}

TEST(http_connect_client, what_is_not_http_breaks_the_protocol) {
    for (const auto* answer :
         {"\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1200 OK\r\n",
          "http/1.1 200 OK\r\n", "HTTP/1.x 200 OK\r\n", " HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n"}) {
        EXPECT_EQ(failure_after(answer).why.code, errc::proxy_protocol) << answer;
    }
    EXPECT_THAT(failure_after("\x05\xff\n").text, HasSubstr("try socks5://"));
}

TEST(http_connect_client, heads_have_a_bound_together) {
    const std::string line = "X-Fill: " + std::string(90, 'x') + "\r\n";
    std::string answer = "HTTP/1.1 200 OK\r\n";
    while (answer.size() + line.size() + 2 <= http_connect_client::max_head) {
        answer += line;
    }
    auto asking = client("a");
    EXPECT_EQ(asking.handle_bytes(bytes_of(answer + "\r\n")), answer.size() + 2);
    EXPECT_TRUE(asking.is_done());

    EXPECT_EQ(failure_after(answer + line + "\r\n").why.code, errc::proxy_protocol);
    EXPECT_EQ(failure_after(std::string(20'000, 'x')).why.code, errc::proxy_protocol);
    std::string interim;
    while (interim.size() <= http_connect_client::max_head) {
        interim += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    EXPECT_EQ(failure_after(interim).why.code, errc::proxy_protocol);
}

TEST(http_connect_client, an_end_before_the_answer_is_a_failure_and_after_it_is_not) {
    const std::string whole = "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        auto asking = client("a");
        asking.handle_bytes(bytes_of(whole.substr(0, size)));
        asking.handle_eof();
        ASSERT_TRUE(asking.failure().has_value()) << size;
        EXPECT_EQ(asking.failure()->why.code, errc::proxy_protocol);
    }
    auto asking = client("a");
    asking.handle_bytes(bytes_of(whole));
    asking.handle_eof();
    EXPECT_TRUE(asking.is_done());
    EXPECT_FALSE(asking.failure().has_value());
}

TEST(http_connect_client, credentials_have_their_limits) {
    const auto to = proxy_target::make("a", 80).value();
    EXPECT_FALSE(http_connect_client::make(to, credentials{"", "x"}));
    EXPECT_FALSE(http_connect_client::make(to, credentials{"a:b", "x"}));
    EXPECT_FALSE(http_connect_client::make(to, credentials{"a\r\nX: y", "x"}));
    EXPECT_FALSE(http_connect_client::make(to, credentials{"a", "x\n"}));
    EXPECT_TRUE(http_connect_client::make(to, credentials{"a", "x:y z"}));
}

} // namespace
} // namespace portico::wire
