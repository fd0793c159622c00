#include "portico/wire/socks5_server.hpp"

#include "portico/testkit/random.hpp"
#include "portico/wire/socks5_client.hpp"
#include "wire/peer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace portico::wire {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using test::bytes_of;
using test::text_of;
using testing::HasSubstr;
using why = socks5_refusal;

constexpr socks5_offer open_to_all{};
constexpr socks5_offer password_only{.no_authentication = false, .password = true};
constexpr socks5_offer both{.password = true};

const ip::endpoint here = ip::parse_endpoint("192.0.2.9:4000").value();
const auto hello = "\x05\x01\x00"s;
const auto hello_with_password = "\x05\x01\x02"s;
const auto jane = "\x01\x04jane\x06secret"s;
const auto to_name = "\x05\x01\x00\x03\x0b"s + "example.org" + "\x00\x50"s;
const auto to_v4 = "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"s;
const auto no_endpoint = "\x00\x01\x00\x00\x00\x00\x00\x00"s; // after version and code

// A driver that answers at once, and gives the client's bytes in pieces.
struct visit {
    socks5_server server;
    bool accepts = true;                          // credentials
    socks5_reply opens = socks5_reply::succeeded; // the destination
    std::optional<credentials> who{};             // as it was asked
    std::optional<socks5_request> wants{};        // as it was asked
    std::string said{};                           // to the client
    std::string left{};                           // of what the client said

    explicit visit(const socks5_offer& offer = open_to_all) : server{offer} {}

    void take_output(std::size_t at_once) {
        while (!server.poll_output().empty()) {
            const auto part =
                server.poll_output().first(std::min(at_once, server.poll_output().size()));
            said += text_of(part);
            server.handle_sent(part.size());
        }
    }
    void answer() {
        if (const auto* asked = server.poll_credentials()) {
            who = *asked;
            server.handle_credentials(accepts);
        }
        if (const auto* asked = server.poll_request()) {
            wants = *asked;
            if (opens == socks5_reply::succeeded) {
                server.handle_opened(here);
            } else {
                server.handle_not_opened(opens);
            }
        }
    }
    visit& hear(std::string_view text, std::size_t at_once = 1000) {
        left = text;
        while (!left.empty()) {
            const auto piece = left.substr(0, at_once);
            const auto used = server.handle_bytes(bytes_of(piece));
            left.erase(0, used);
            answer();
            take_output(at_once);
            if (used == 0) {
                break;
            }
        }
        return *this;
    }
    [[nodiscard]] std::string refusal() const {
        return server.refusal() ? std::string{to_text(server.refusal()->why)} : "none";
    }
};

// One that was refused, whichever way its bytes were cut.
visit turned_away(const std::string& text, const socks5_offer& offer = open_to_all) {
    visit whole{offer};
    whole.hear(text);
    EXPECT_TRUE(whole.server.refusal().has_value());
    EXPECT_FALSE(whole.server.is_done());
    for (std::size_t at_once = 1; at_once < text.size(); ++at_once) {
        visit cut{offer};
        cut.hear(text, at_once);
        EXPECT_EQ(cut.refusal(), whole.refusal()) << "in pieces of " << at_once;
        EXPECT_EQ(cut.said, whole.said) << "in pieces of " << at_once;
        EXPECT_EQ(cut.left, whole.left) << "in pieces of " << at_once;
    }
    for (const char c : whole.server.refusal().value_or(socks5_refused{}).text) {
        EXPECT_TRUE(c >= ' ' && c < '\x7f');
    }
    return whole;
}

// One that was served, whichever way its bytes were cut.
visit served(const std::string& text, const socks5_offer& offer = open_to_all) {
    visit whole{offer};
    whole.hear(text + "tunnel");
    for (std::size_t at_once = 1; at_once <= text.size() + 6; ++at_once) {
        visit cut{offer};
        cut.hear(text + "tunnel", at_once);
        EXPECT_TRUE(cut.server.is_done()) << "in pieces of " << at_once;
        EXPECT_EQ(cut.left, "tunnel") << "in pieces of " << at_once;
        EXPECT_EQ(cut.said, whole.said) << "in pieces of " << at_once;
        EXPECT_EQ(cut.who, whole.who) << "in pieces of " << at_once;
        EXPECT_EQ(cut.wants->to, whole.wants->to) << "in pieces of " << at_once;
        EXPECT_EQ(cut.wants->command, whole.wants->command) << "in pieces of " << at_once;
    }
    return whole;
}

std::string destination_of(const std::string& address) {
    const auto got = served(hello + "\x05\x01\x00"s + address);
    return got.wants ? got.wants->to.text() : "";
}

std::string name_field(std::string_view name) {
    return '\x03' + std::string(1, static_cast<char>(name.size())) + std::string{name} +
           "\x00\x50"s;
}

TEST(socks5_server, connects_a_client_without_authentication) {
    const auto got = served(hello + to_v4);
    EXPECT_EQ(got.said, "\x05\x00"s + "\x05\x00\x00\x01\xc0\x00\x02\x09\x0f\xa0"s);
    EXPECT_EQ(got.wants->command, socks5_command::connect);
    EXPECT_FALSE(got.who);
}

TEST(socks5_server, takes_names_and_addresses_of_both_families) {
    EXPECT_EQ(destination_of("\x01\xc0\x00\x02\x01\x01\xbb"s), "192.0.2.1:443");
    EXPECT_EQ(destination_of("\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01\x00\x50"s),
              "[2001:db8::1]:80");
    EXPECT_EQ(destination_of(name_field("example.org")), "example.org:80");
    EXPECT_EQ(destination_of(name_field("x")), "x:80");
    EXPECT_EQ(destination_of(name_field(std::string(255, 'n'))), std::string(255, 'n') + ":80");
}

TEST(socks5_server, a_name_that_is_an_address_is_that_address) {
    EXPECT_EQ(destination_of(name_field("127.0.0.1")), "127.0.0.1:80");
    EXPECT_EQ(destination_of(name_field("::1")), "[::1]:80");
    const auto got = served(hello + "\x05\x01\x00"s + name_field("::ffff:127.0.0.1"));
    EXPECT_TRUE(std::get<ip::address>(got.wants->to.host()).is_v4_mapped());
}

TEST(socks5_server, refuses_names_that_could_mean_something_else) {
    for (const auto& name : {""s, "a b"s, "a\0b"s, "a\r\n"s, "user@a"s, "a:80"s, "[::1]"s, "a/b"s,
                             "fe80::1%eth0"s, "m\xc3\xbcnchen.example"s, "\x7f"s}) {
        const auto got = turned_away(hello + "\x05\x01\x00"s + name_field(name));
        EXPECT_EQ(got.refusal(), "bad_name") << name;
        EXPECT_EQ(got.said, "\x05\x00\x05\x01"s + no_endpoint) << name;
        EXPECT_EQ(got.left, "") << name;
    }
}

TEST(socks5_server, asks_who_it_is_and_then_serves) {
    const auto got = served(hello_with_password + jane + to_name, password_only);
    ASSERT_TRUE(got.who);
    EXPECT_EQ(got.who->user, "jane");
    EXPECT_EQ(got.who->password, "secret");
    EXPECT_EQ(got.said, "\x05\x02\x01\x00"s + "\x05\x00\x00\x01\xc0\x00\x02\x09\x0f\xa0"s);
}

TEST(socks5_server, credentials_may_be_long_or_have_no_password) {
    const auto longest = '\x01' + "\xff"s + std::string(255, 'u') + '\xff' + std::string(255, 'p');
    const auto got = served(hello_with_password + longest + to_name, password_only);
    EXPECT_EQ(got.who->user, std::string(255, 'u'));
    EXPECT_EQ(got.who->password, std::string(255, 'p'));
    const auto none = served(hello_with_password + "\x01\x01u\x00"s + to_name, password_only);
    EXPECT_EQ(none.who->password, "");
}

TEST(socks5_server, prefers_the_password_when_both_are_offered) {
    EXPECT_TRUE(served("\x05\x02\x00\x02"s + jane + to_name, both).who);
    EXPECT_TRUE(served("\x05\x03\x01\x02\x00"s + jane + to_name, both).who);
    EXPECT_FALSE(served(hello + to_name, both).who);
    EXPECT_FALSE(served("\x05\x02\x00\x02"s + to_name, open_to_all).who);
}

TEST(socks5_server, the_longest_greeting_is_read) {
    const auto many = "\x05\xff"s + std::string(254, '\x80') + '\0';
    EXPECT_TRUE(served(many + to_v4).server.is_done());
}

TEST(socks5_server, without_an_acceptable_method_says_so) {
    for (const auto& [greeting, offer] :
         {std::pair{"\x05\x00"s, open_to_all}, std::pair{"\x05\x01\x02"s, open_to_all},
          std::pair{"\x05\x02\x01\x80"s, both}, std::pair{"\x05\x01\x00"s, password_only},
          std::pair{"\x05\x02\x00\x02"s, socks5_offer{.no_authentication = false}}}) {
        const auto got = turned_away(greeting, offer);
        EXPECT_EQ(got.refusal(), "no_acceptable_method");
        EXPECT_EQ(got.said, "\x05\xff"s);
    }
}

TEST(socks5_server, wrong_credentials_are_told_and_end_it) {
    visit got{password_only};
    got.accepts = false;
    got.hear(hello_with_password + jane + to_name, 3);
    EXPECT_EQ(got.refusal(), "wrong_credentials");
    EXPECT_EQ(got.said, "\x05\x02\x01\x01"s);
    EXPECT_EQ(got.left, to_name);
    EXPECT_THAT(got.server.refusal()->text, HasSubstr("jane"));
    EXPECT_EQ(got.server.refusal()->text.find("secret"), std::string::npos);
}

TEST(socks5_server, authentication_is_of_its_own_version_and_has_a_user) {
    for (const auto& text : {"\x05\x04jane\x06secret"s, "\x00\x04"s, "\x01\x00\x06secret"s}) {
        const auto got = turned_away(hello_with_password + text, password_only);
        EXPECT_EQ(got.refusal(), "bad_authentication");
        EXPECT_EQ(got.said, "\x05\x02\x01\x01"s);
    }
}

TEST(socks5_server, takes_nothing_while_it_asks) {
    socks5_server server{password_only};
    const auto all = hello_with_password + jane + to_name + "tunnel";
    auto rest = std::string_view{all};
    rest.remove_prefix(server.handle_bytes(bytes_of(rest)));
    EXPECT_EQ(rest, to_name + "tunnel");
    ASSERT_NE(server.poll_credentials(), nullptr);
    EXPECT_EQ(server.handle_bytes(bytes_of(rest)), 0U);
    EXPECT_EQ(server.poll_request(), nullptr);
    server.handle_opened(here); // was not the question
    server.handle_not_opened(socks5_reply::general_failure);
    server.handle_credentials(true);
    EXPECT_EQ(server.poll_credentials(), nullptr);

    rest.remove_prefix(server.handle_bytes(bytes_of(rest)));
    EXPECT_EQ(rest, "tunnel");
    ASSERT_NE(server.poll_request(), nullptr);
    EXPECT_EQ(server.handle_bytes(bytes_of(rest)), 0U);
    server.handle_credentials(false); // was not the question
    EXPECT_FALSE(server.is_done());
    server.handle_opened(here);
    EXPECT_TRUE(server.is_done());
    EXPECT_FALSE(server.refusal());
    EXPECT_EQ(server.poll_request(), nullptr);
    EXPECT_EQ(server.handle_bytes(bytes_of(rest)), 0U);
}

TEST(socks5_server, opens_udp_for_a_client_that_may_not_know_its_port) {
    const auto got = served(hello + "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"s);
    EXPECT_EQ(got.wants->command, socks5_command::udp_associate);
    EXPECT_EQ(got.wants->to.text(), "0.0.0.0:0");
    const auto known = served(hello + "\x05\x03\x00\x01\xc0\x00\x02\x01\x10\x00"s);
    EXPECT_EQ(known.wants->to.text(), "192.0.2.1:4096");
}

TEST(socks5_server, commands_that_are_not_served_are_told_apart) {
    const auto rest = "\x00\x01\xc0\x00\x02\x01\x00\x50"s;
    const auto refused_with_7 = "\x05\x00\x05\x07"s + no_endpoint;
    const auto bind = turned_away(hello + "\x05\x02"s + rest);
    EXPECT_EQ(bind.refusal(), "bind");
    EXPECT_EQ(bind.said, refused_with_7);
    const auto udp = turned_away(hello + "\x05\x03"s + rest, {.udp = false});
    EXPECT_EQ(udp.refusal(), "udp_not_offered");
    EXPECT_EQ(udp.said, refused_with_7);
    for (const char code : "\x00\x04\x83\xf0"sv) {
        const auto unknown = turned_away(hello + '\x05' + code + rest);
        EXPECT_EQ(unknown.refusal(), "unknown_command");
        EXPECT_EQ(unknown.said, refused_with_7);
    }
}

TEST(socks5_server, an_unknown_type_of_address_is_told) {
    for (const char type : "\x00\x02\x05\xff"sv) {
        const auto got = turned_away(hello + "\x05\x01\x00"s + type + "rest");
        EXPECT_EQ(got.refusal(), "unknown_address_type");
        EXPECT_EQ(got.said, "\x05\x00\x05\x08"s + no_endpoint);
    }
}

TEST(socks5_server, a_request_is_of_version_5_with_a_zero_and_a_port) {
    const auto general_failure = "\x05\x00\x05\x01"s + no_endpoint;
    const auto version = turned_away(hello + "\x04"s + to_v4.substr(1));
    EXPECT_EQ(version.refusal(), "bad_request");
    EXPECT_EQ(version.said, general_failure);
    auto reserved = to_v4;
    reserved[2] = 1;
    EXPECT_EQ(turned_away(hello + reserved).refusal(), "bad_request");
    auto port = to_v4;
    port.back() = 0;
    EXPECT_EQ(turned_away(hello + port).refusal(), "bad_port");
    EXPECT_EQ(turned_away(hello + port).said, general_failure);
}

TEST(socks5_server, another_protocol_is_named_and_gets_no_answer) {
    for (const auto& [text, words] :
         {std::pair{"\x04\x01\x00\x50\xc0\x00\x02\x01\x00"s, "SOCKS 4"s},
          std::pair{"CONNECT a:1 HTTP/1.1\r\n"s, "HTTP"s},
          std::pair{"GET / HTTP/1.1\r\n"s, "HTTP"s}, std::pair{"\x16\x03\x01\x02"s, "TLS"s},
          std::pair{"\x00"s, "byte 0"s}}) {
        const auto got = turned_away(text);
        EXPECT_EQ(got.refusal(), "not_socks5");
        EXPECT_EQ(got.said, "");
        EXPECT_EQ(got.left, text.substr(1));
        EXPECT_THAT(got.server.refusal()->text, HasSubstr(words));
    }
}

TEST(socks5_server, a_destination_that_was_not_opened_is_told) {
    for (int code = 1; code <= 8; ++code) {
        visit got;
        got.opens = static_cast<socks5_reply>(code);
        got.hear(hello + to_name + "early", 2);
        EXPECT_EQ(got.refusal(), "not_opened");
        EXPECT_EQ(got.said, "\x05\x00\x05"s + static_cast<char>(code) + no_endpoint);
        EXPECT_EQ(got.server.refusal()->text,
                  "example.org:80 was not opened: " + std::string{to_text(got.opens)});
    }
}

TEST(socks5_server, tells_the_bound_endpoint_in_its_own_family) {
    for (const auto& [bound, bytes] :
         {std::pair{"192.0.2.9:4000"s, "\x01\xc0\x00\x02\x09\x0f\xa0"s},
          std::pair{"[::ffff:192.0.2.9]:4000"s, "\x01\xc0\x00\x02\x09\x0f\xa0"s},
          std::pair{"[fe80::1%eth0]:1"s,
                    "\x04\xfe\x80"s + std::string(13, '\0') + "\x01\x00\x01"s}}) {
        socks5_server server{open_to_all};
        server.handle_bytes(bytes_of(hello));
        server.handle_bytes(bytes_of(to_v4));
        server.handle_opened(ip::parse_endpoint(bound).value());
        EXPECT_EQ(text_of(server.poll_output()), "\x05\x00\x05\x00\x00"s + bytes);
    }
}

TEST(socks5_server, an_end_before_the_request_is_a_refusal_and_after_it_is_not) {
    const auto all = hello_with_password + jane + to_name;
    for (std::size_t size = 0; size <= all.size(); ++size) {
        visit got{password_only};
        got.hear(all.substr(0, size), 1);
        const bool done = size == all.size();
        got.server.handle_eof();
        EXPECT_EQ(got.refusal(), done ? "none" : "cut_off") << size;
        EXPECT_EQ(got.server.is_done(), done) << size;
    }
    socks5_server asking{open_to_all};
    asking.handle_bytes(bytes_of(hello));
    asking.handle_bytes(bytes_of(to_v4));
    asking.handle_eof();
    EXPECT_NE(asking.poll_request(), nullptr);
    EXPECT_FALSE(asking.refusal());
}

TEST(socks5_server, does_not_say_more_than_was_taken_back) {
    socks5_server server{open_to_all};
    server.handle_bytes(bytes_of(hello));
    server.handle_sent(1);
    EXPECT_EQ(text_of(server.poll_output()), "\x00"s);
    server.handle_sent(1000);
    EXPECT_TRUE(server.poll_output().empty());
}

TEST(socks5_server, maps_each_kind_of_failure_to_a_reply) {
    const auto reply = [](std::error_code code) {
        return socks5_reply_for({code, operation::connect, side::peer, {}});
    };
    const auto of = [&](std::errc code) { return reply(std::make_error_code(code)); };
    EXPECT_EQ(of(std::errc::connection_refused), socks5_reply::connection_refused);
    EXPECT_EQ(of(std::errc::network_unreachable), socks5_reply::network_unreachable);
    EXPECT_EQ(of(std::errc::network_down), socks5_reply::network_unreachable);
    EXPECT_EQ(of(std::errc::host_unreachable), socks5_reply::host_unreachable);
    EXPECT_EQ(of(std::errc::timed_out), socks5_reply::ttl_expired);
    EXPECT_EQ(of(std::errc::permission_denied), socks5_reply::not_allowed);
    EXPECT_EQ(of(std::errc::operation_not_permitted), socks5_reply::not_allowed);
    EXPECT_EQ(of(std::errc::operation_not_supported), socks5_reply::command_not_supported);
    EXPECT_EQ(of(std::errc::address_family_not_supported),
              socks5_reply::address_type_not_supported);
    EXPECT_EQ(of(std::errc::too_many_files_open), socks5_reply::general_failure);
    EXPECT_EQ(reply(errc::name_not_found), socks5_reply::host_unreachable);
    EXPECT_EQ(reply(errc::no_address), socks5_reply::host_unreachable);
    EXPECT_EQ(reply(errc::proxy_refused), socks5_reply::general_failure);
    EXPECT_EQ(reply({}), socks5_reply::general_failure);
    EXPECT_EQ(reply({ECONNREFUSED, std::system_category()}), socks5_reply::connection_refused);
}

TEST(socks5_server, each_refusal_and_reply_has_a_text_of_its_own) {
    std::set<std::string_view> texts{""};
    for (std::size_t i = 0; i < socks5_refusals; ++i) {
        texts.insert(to_text(static_cast<why>(i)));
    }
    EXPECT_EQ(texts.size(), socks5_refusals + 1);
    EXPECT_EQ(to_text(why::cut_off), "cut_off");
    for (int code = 0; code <= 8; ++code) {
        EXPECT_TRUE(texts.insert(to_text(static_cast<socks5_reply>(code))).second);
    }
    EXPECT_EQ(to_text(socks5_reply::ttl_expired), "TTL expired");
    EXPECT_EQ(to_text(socks5_command::connect), "CONNECT");
    EXPECT_EQ(to_text(socks5_command::udp_associate), "UDP ASSOCIATE");
}

// ---- with our own client ----

std::string after_talking(visit& serving, std::string_view host,
                          const std::optional<credentials>& who) {
    auto client = socks5_client::make(proxy_target::make(host, 80).value(), who).value();
    for (int turn = 0; turn < 8; ++turn) {
        serving.hear(test::take_output(client, 2), 2);
        client.handle_bytes(bytes_of(std::exchange(serving.said, {})));
    }
    return client.is_done() ? "done" : client.failure() ? client.failure()->text : "silent";
}

TEST(socks5_server, serves_our_own_client) {
    for (const auto* host : {"example.org", "192.0.2.1", "2001:db8::1"}) {
        visit plain{};
        EXPECT_EQ(after_talking(plain, host, {}), "done");
        EXPECT_EQ(plain.wants->to, proxy_target::make(host, 80).value());
        visit named{password_only};
        EXPECT_EQ(after_talking(named, host, credentials{"jane", "secret"}), "done");
        EXPECT_EQ(named.who, (credentials{"jane", "secret"}));
    }
}

TEST(socks5_server, refuses_our_own_client_so_that_it_understands) {
    visit stranger{password_only};
    EXPECT_THAT(after_talking(stranger, "a", {}), HasSubstr("who asks"));
    visit wrong{password_only};
    wrong.accepts = false;
    EXPECT_THAT(after_talking(wrong, "a", credentials{"jane", "x"}), HasSubstr("did not accept"));
    visit closed;
    closed.opens = socks5_reply::connection_refused;
    EXPECT_THAT(after_talking(closed, "a", {}), HasSubstr("connection refused"));
}

// ---- any bytes ----

TEST(socks5_server, random_bytes_end_the_same_way_however_they_are_cut) {
    testkit::seeded_random bits;
    for (int turn = 0; turn < 3000; ++turn) {
        auto text = turn % 2 == 0 ? hello : "\x05\x02\x02\x00"s + jane;
        text += turn % 3 == 0 ? "\x05\x01\x00\x03"s : ""s;
        for (auto count = bits.below(300); count != 0; --count) {
            text += static_cast<char>(bits.below(bits.chance(1, 7) ? 256 : 6));
        }
        visit whole{both};
        whole.hear(text);
        visit cut{both};
        cut.hear(text, 1 + bits.below(9));
        EXPECT_EQ(whole.refusal(), cut.refusal()) << "turn " << turn;
        EXPECT_EQ(whole.said, cut.said) << "turn " << turn;
        EXPECT_EQ(whole.left, cut.left) << "turn " << turn;
        EXPECT_LE(text.size() - whole.left.size(), socks5_server::most_bytes);
    }
}

} // namespace
} // namespace portico::wire
