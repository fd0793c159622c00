#include "portico/testkit/dns_server.hpp"

#include "dns_message.hpp"
#include "portico/os/clock.hpp"
#include "portico/testkit/random.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <stdexcept>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace portico::testkit {
namespace {

using bytes = std::vector<std::byte>;
using kind = dns_answer::kind;

bytes make_query(std::uint16_t id, const std::string& name, std::uint16_t type) {
    bytes made{std::byte(id >> 8), std::byte(id & 0xff), std::byte{1}, std::byte{0},
               std::byte{0},       std::byte{1},         std::byte{0}, std::byte{0},
               std::byte{0},       std::byte{0},         std::byte{0}, std::byte{0}};
    for (std::size_t at = 0; at <= name.size();) {
        const auto dot = std::min(name.find('.', at), name.size());
        made.push_back(std::byte(dot - at));
        for (; at < dot; ++at) {
            made.push_back(std::byte(name[at]));
        }
        ++at;
    }
    for (const int each : {0, type >> 8, type & 0xff, 0, 1}) {
        made.push_back(std::byte(each));
    }
    return made;
}

// A resolver with one question at a time.
class asker {
public:
    explicit asker(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket_.raw(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    }
    void ask(const bytes& query) const {
        EXPECT_EQ(::send(socket_.raw(), query.data(), query.size(), 0),
                  static_cast<ssize_t>(query.size()));
    }
    [[nodiscard]] bytes hear() const {
        bytes reply(1500);
        const auto size = ::recv(socket_.raw(), reply.data(), reply.size(), 0);
        reply.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        return reply;
    }

private:
    os::fd socket_;
};

unsigned code(const bytes& reply) {
    return std::to_integer<unsigned>(reply.at(3)) & 0x0f;
}
unsigned answers(const bytes& reply) {
    return std::to_integer<unsigned>(reply.at(7));
}
unsigned id(const bytes& reply) {
    return std::to_integer<unsigned>(reply.at(1));
}

const dns_script script{
    {{"both.test", dns_type::a}, {.addresses = {"192.0.2.1", "192.0.2.2"}}},
    {{"both.test", dns_type::aaaa}, {.addresses = {"2001:db8::1"}}},
    {{"v4.test", dns_type::a}, {.addresses = {"192.0.2.4"}}},
    {{"broken.test", dns_type::a}, {.how = kind::server_failure}},
    {{"secret.test", dns_type::a}, {.how = kind::refused}},
    {{"mute.test", dns_type::a}, {.how = kind::silence}},
    {{"late.test", dns_type::a},
     {.addresses = {"192.0.2.9"}, .delay = std::chrono::milliseconds{60}}},
};

TEST(dns_server, answers_both_families_from_its_script) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    resolver.ask(make_query(1, "both.test", 1));
    const auto v4 = resolver.hear();
    EXPECT_EQ(code(v4), 0U);
    EXPECT_EQ(answers(v4), 2U);
    const bytes last{v4.end() - 4, v4.end()};
    EXPECT_EQ(last, (bytes{std::byte{192}, std::byte{0}, std::byte{2}, std::byte{2}}));
    resolver.ask(make_query(2, "both.test", 28));
    const auto v6 = resolver.hear();
    EXPECT_EQ(answers(v6), 1U);
    EXPECT_EQ(v6.back(), std::byte{1});
    const std::vector<std::pair<std::string, dns_type>> both{{"both.test", dns_type::a},
                                                             {"both.test", dns_type::aaaa}};
    EXPECT_EQ(server.asked(), both);
}

TEST(dns_server, a_name_is_known_in_any_case_of_letters) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    resolver.ask(make_query(1, "V4.TeSt", 1));
    EXPECT_EQ(answers(resolver.hear()), 1U);
}

TEST(dns_server, a_known_name_without_this_type_is_an_empty_answer) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    resolver.ask(make_query(1, "v4.test", 28));
    const auto reply = resolver.hear();
    EXPECT_EQ(code(reply), 0U);
    EXPECT_EQ(answers(reply), 0U);
}

TEST(dns_server, says_every_kind_of_no) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    const std::pair<const char*, unsigned> cases[] = {
        {"nobody.test", 3}, {"broken.test", 2}, {"secret.test", 5}};
    for (const auto& [name, expected] : cases) {
        resolver.ask(make_query(1, name, 1));
        EXPECT_EQ(code(resolver.hear()), expected) << name;
    }
}

TEST(dns_server, silence_holds_up_nobody_else) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    resolver.ask(make_query(1, "mute.test", 1));
    resolver.ask(make_query(2, "v4.test", 1));
    EXPECT_EQ(id(resolver.hear()), 2U);
}

TEST(dns_server, a_late_answer_comes_after_its_delay_and_after_others) {
    const dns_server server{script, 0};
    const asker resolver{server.port()};
    const auto before = os::now();
    resolver.ask(make_query(1, "late.test", 1));
    resolver.ask(make_query(2, "v4.test", 1));
    EXPECT_EQ(id(resolver.hear()), 2U);
    EXPECT_EQ(id(resolver.hear()), 1U);
    EXPECT_GE(os::now() - before, std::chrono::milliseconds{60});
}

TEST(dns_server, a_script_with_an_address_of_the_wrong_family_is_refused) {
    const dns_script wrong{{{"x.test", dns_type::aaaa}, {.addresses = {"192.0.2.1"}}}};
    EXPECT_THROW(dns_server(wrong, 0), std::runtime_error);
}

TEST(dns_server, says_where_a_service_is) {
    const dns_script services{
        {{"_x._tcp.test", dns_type::srv},
         {.services = {{1, 2, 0x0304, "a.test"}, {5, 0, 80, "."}}, .lifetime = 0x01020304}}};
    const dns_server server{services, 0};
    const asker resolver{server.port()};
    resolver.ask(make_query(1, "_x._tcp.test", 33));
    const auto reply = resolver.hear();
    EXPECT_EQ(answers(reply), 2U);
    // After the header and the question; its name is that of the question.
    const bytes records{reply.begin() + 12 + 14 + 4, reply.end()};
    bytes expected;
    const std::string text{"\xc0\x0c\0\x21\0\1\1\2\3\4\0\x0e\0\1\0\2\3\4\1a\4test\0"
                           "\xc0\x0c\0\x21\0\1\1\2\3\4\0\x07\0\5\0\0\0\x50\0",
                           45};
    for (const char each : text) {
        expected.push_back(static_cast<std::byte>(each));
    }
    EXPECT_EQ(records, expected);
}

TEST(dns_server, another_answer_holds_from_the_next_question_on) {
    dns_server server{script, 0};
    const asker resolver{server.port()};
    server.say({"v4.test", dns_type::a}, {.how = kind::server_failure});
    resolver.ask(make_query(1, "v4.test", 1));
    EXPECT_EQ(code(resolver.hear()), 2U);
    server.say({"new.test", dns_type::a}, {.addresses = {"192.0.2.7"}});
    resolver.ask(make_query(2, "new.test", 1));
    EXPECT_EQ(answers(resolver.hear()), 1U);
    EXPECT_THROW(server.say({"x.test", dns_type::a}, {.addresses = {"::1"}}), std::runtime_error);
}

TEST(dns_server, refuses_services_that_it_could_not_say) {
    for (const auto* target : {"", "a..test", ".a", "a.", ".."}) {
        const dns_script wrong{{{"x.test", dns_type::srv}, {.services = {{1, 1, 1, target}}}}};
        EXPECT_THROW(dns_server(wrong, 0), std::runtime_error) << target;
    }
    const dns_answer many{.services = std::vector<dns_service>(30, {1, 1, 1, "a.test"})};
    EXPECT_THROW(dns_server({{{"x.test", dns_type::srv}, many}}, 0), std::runtime_error);
}

TEST(dns_message, whatever_comes_is_a_question_or_nothing) {
    seeded_random random;
    for (int i = 0; i < 20'000; ++i) {
        auto message = make_query(7, "some.name.test", 28);
        for (auto changes = random.below(4); changes > 0; --changes) {
            message[random.below(message.size())] = std::byte(random.below(256));
        }
        message.resize(random.below(message.size() + 1));
        if (const auto asked = read_question(message)) {
            EXPECT_LE(asked->name.size(), message.size());
            EXPECT_EQ(read_question(make_reply(*asked, {})), std::nullopt) << "a reply is no query";
        }
    }
}

} // namespace
} // namespace portico::testkit
