#include "portico/wire/http_request.hpp"

#include <gtest/gtest.h>
#include <string>

namespace portico::wire {
namespace {

using state = http_request::state;

state state_of(std::string_view text) {
    return read_http_request(text).is;
}

TEST(http_request, a_get_has_its_path) {
    const std::string text = "GET /metrics HTTP/1.1\r\nHost: [::1]:9108\r\nAccept: */*\r\n\r\n";
    EXPECT_EQ(state_of(text), state::get);
    EXPECT_EQ(read_http_request(text).path, "/metrics");
    EXPECT_EQ(read_http_request("GET /metrics?a=/b HTTP/1.0\n\n").path, "/metrics");
    EXPECT_EQ(read_http_request("GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n").path, "/");
}

TEST(http_request, is_incomplete_up_to_the_empty_line) {
    const std::string text = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    for (std::size_t size = 0; size < text.size(); ++size) {
        EXPECT_EQ(state_of(std::string_view{text}.substr(0, size)), state::incomplete) << size;
    }
}

TEST(http_request, other_methods_are_told_apart) {
    EXPECT_EQ(state_of("HEAD /metrics HTTP/1.1\r\n\r\n"), state::other_method);
    EXPECT_EQ(state_of("OPTIONS * HTTP/1.1\r\n\r\n"), state::other_method);
    EXPECT_EQ(state_of("get / HTTP/1.1\r\n\r\n"), state::other_method) << "methods have a case";
    EXPECT_EQ(state_of("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), state::other_method);
}

TEST(http_request, what_is_not_http_is_seen_in_its_line) {
    for (const std::string text :
         {"\n", "\r\n", "GET\n", "GET /\r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/1.2\r\n",
          "GET  HTTP/1.1\r\n", "GET x HTTP/1.1\r\n", "GET / x HTTP/1.1\r\n", "GET /\t HTTP/1.1\n",
          "G(T / HTTP/1.1\r\n", " GET / HTTP/1.1\r\n", "GET http://a/ HTTP/1.1\r\n",
          "GET /\xff HTTP/1.1\r\n", "GET / HTTP/1.1\r\nno colon\r\n",
          "GET / HTTP/1.1\r\nA: b\r\n folded\r\n", "GET / HTTP/1.1\r\nA : b\r\n",
          "GET / HTTP/1.1\r\nA: b\x01\r\n", "GET / HTTP/1.1\r\n: b\r\n"}) {
        EXPECT_EQ(state_of(text), state::malformed) << text;
    }
}

TEST(http_request, a_head_has_a_longest_size) {
    const std::string line = "GET / HTTP/1.1\r\n";
    const std::string field = "A: " + std::string(1000, 'b') + "\r\n";
    std::string text = line;
    while (text.size() < http_request::max_size) {
        EXPECT_EQ(state_of(text), state::incomplete);
        text += field;
    }
    EXPECT_EQ(state_of(text), state::too_long);
    EXPECT_EQ(state_of(text + "\r\n"), state::too_long);
    const auto fits = line + "A: " + std::string(http_request::max_size - line.size() - 7, 'b');
    EXPECT_EQ(state_of(fits + "\r\n\r\n"), state::get);
    EXPECT_EQ(state_of(fits + "b\r\n\r\n"), state::too_long);
}

} // namespace
} // namespace portico::wire
