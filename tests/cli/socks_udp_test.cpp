// UDP ASSOCIATE of portico listen --socks, by a client that is written out here (RFC 1928 section
// 7).

#include "listening.hpp"

#include "portico/testkit/dns_server.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace portico {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testkit::run_command;

constexpr auto loopbacks = "127.0.0.0/8:*,[::1]:*";

std::string bytes_of(std::uint16_t port) {
    return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
}
std::string bytes_of(const ip::endpoint& at) {
    std::string made;
    const auto add = [&](char kind, const auto& bytes) {
        made = kind;
        for (const auto each : bytes) {
            made += static_cast<char>(each);
        }
    };
    if (at.address.is_v4()) {
        add(1, at.address.to_v4());
    } else {
        add(4, at.address.to_v6());
    }
    return made + bytes_of(at.port);
}
std::string named(const std::string& name, std::uint16_t port) {
    return "\3"s + static_cast<char>(name.size()) + name + bytes_of(port);
}
std::string whole(const std::string& to, const std::string& data, char fragment = 0) {
    return "\0\0"s + fragment + to + data;
}

// Receiving ends after a safety net of a minute, which only a failing test reaches.
os::fd datagrams_at(const std::string& address, std::uint16_t port = 0) {
    const ip::endpoint at{ip::parse_address(address).value(), port};
    auto made = blocking(os::socket(at, ip::transport::udp).value());
    EXPECT_TRUE(os::bind(made, at));
    const timeval net{60, 0};
    EXPECT_EQ(::setsockopt(made.raw(), SOL_SOCKET, SO_RCVTIMEO, &net, sizeof net), 0);
    return made;
}
ip::endpoint name_of(const os::fd& socket) {
    return std::get<ip::endpoint>(os::getsockname(socket.raw()).value());
}

struct arrived {
    std::string text;
    ip::any_endpoint from;
};
arrived take_from(const os::fd& socket) {
    std::string room(65'536, '\0');
    pollfd asked{socket.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&asked, 1, 60'000), 1);
    const auto got = os::recv_datagram(socket.raw(), std::as_writable_bytes(std::span{room}));
    if (!got) {
        return {::strerrorname_np(got.error().value()), {}};
    }
    room.resize(got->size);
    return {room, got->from};
}
void send_to(const os::fd& socket, const ip::any_endpoint& to, const std::string& text) {
    os::datagram where;
    where.from = to;
    EXPECT_EQ(os::send_reply(socket.raw(), where, std::as_bytes(std::span{text})).value_or(0),
              text.size());
}

// A client with its association.
struct client {
    client(const listening& server, const std::string& address, std::uint16_t said = 0)
        : control{connect_to(server.at(address))}, socket{datagrams_at(address, said)},
          at{associate(address, said)} {}

    void say(const std::string& to, const std::string& data, char fragment = 0) const {
        send_to(socket, at, whole(to, data, fragment));
    }
    [[nodiscard]] std::string hear() const { return take_from(socket).text; }

    os::fd control;
    os::fd socket;
    ip::endpoint at;

private:
    [[nodiscard]] ip::endpoint associate(const std::string& address, std::uint16_t said) const {
        const bool is_v6 = address.find(':') != std::string::npos;
        const ip::endpoint from{ip::address::any(is_v6 ? ip::family::v6 : ip::family::v4), said};
        put(control, "\5\1\0\5\3\0"s + bytes_of(from));
        const std::size_t size = 2 + 4 + (is_v6 ? 16 : 4) + 2;
        std::string told;
        while (told.size() < size) {
            told += take(control);
        }
        EXPECT_EQ(told.substr(0, 6), "\5\0\5\0\0"s + (is_v6 ? '\4' : '\1'));
        const auto port =
            static_cast<std::uint16_t>(static_cast<unsigned char>(told[size - 2]) << 8 |
                                       static_cast<unsigned char>(told[size - 1]));
        EXPECT_EQ(told.substr(5), bytes_of(ip::endpoint{ip::parse_address(address).value(), port}));
        return {ip::parse_address(address).value(), port};
    }
};

class socks_datagrams : public command_test {
protected:
    void TearDown() override {
        static_cast<void>(run_command("ip link del va"));
        command_test::TearDown();
    }
};

// ---- what goes through ----

TEST_F(socks_datagrams, go_to_both_families_by_both_and_come_back) {
    listening echo{{":0", "--udp", "--echo", "-q"}};
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const auto port = static_cast<std::uint16_t>(std::stoul(echo.port()));
    for (const auto* each : {"127.0.0.1", "::1"}) {
        const client one{server, each};
        for (const auto* target : {"127.0.0.1", "127.0.0.9", "::1"}) {
            const auto to = bytes_of(ip::endpoint{ip::parse_address(target).value(), port});
            one.say(to, "question");
            EXPECT_EQ(one.hear(), whole(to, "question")) << each << ' ' << target;
        }
        const auto v4 = bytes_of(echo.at("127.0.0.1"));
        one.say(bytes_of(echo.at("::ffff:127.0.0.1")), "mapped");
        EXPECT_EQ(one.hear(), whole(v4, "mapped"));
        one.say(named("127.0.0.1", port), "literal");
        EXPECT_EQ(one.hear(), whole(v4, "literal"));
        one.say(named("localhost", port), "name");
        EXPECT_THAT(one.hear(), testing::EndsWith("name"));
        const std::string large(60'000, 'x');
        one.say(v4, large);
        EXPECT_EQ(one.hear(), whole(v4, large));
        one.say(v4, "");
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("UDP ASSOCIATE 0.0.0.0:0; datagrams at 127.0.0.1:"));
}

TEST_F(socks_datagrams, of_one_client_come_from_one_port_of_each_family) {
    const auto first = datagrams_at("127.0.0.1");
    const auto second = datagrams_at("127.0.0.1");
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const client one{server, "::1"};
    one.say(bytes_of(name_of(first)), "a");
    one.say(bytes_of(name_of(second)), "b");
    EXPECT_EQ(take_from(first).from, take_from(second).from);
}

// ---- who is let through ----

TEST_F(socks_datagrams, are_taken_from_the_client_alone) {
    const auto target = datagrams_at("127.0.0.1");
    const auto to = bytes_of(name_of(target));
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const client one{server, "127.0.0.1"};
    send_to(datagrams_at("127.0.0.2"), one.at, whole(to, "another host"));
    one.say(to, "first");
    EXPECT_EQ(take_from(target).text, "first");
    // Now its port is known.
    send_to(datagrams_at("127.0.0.1"), one.at, whole(to, "another program"));
    one.say(to, "second");
    EXPECT_EQ(take_from(target).text, "second");
    // One that says its port is heard from there only.
    const auto spare = name_of(datagrams_at("127.0.0.1")).port;
    const client other{server, "127.0.0.1", spare};
    send_to(datagrams_at("127.0.0.1"), other.at, whole(to, "another port"));
    other.say(to, "third");
    EXPECT_EQ(take_from(target).text, "third");
    EXPECT_TRUE(server->wait_for_err("datagrams were dropped.* dropped.foreign=3"));
}

TEST_F(socks_datagrams, come_only_from_where_the_client_has_sent_to) {
    const auto target = datagrams_at("127.0.0.1");
    const auto stranger = datagrams_at("127.0.0.1");
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const client one{server, "127.0.0.1"};
    one.say(bytes_of(name_of(target)), "question");
    const auto asked = take_from(target);
    send_to(stranger, asked.from, "from a stranger");
    send_to(target, asked.from, "answer");
    EXPECT_EQ(one.hear(), whole(bytes_of(name_of(target)), "answer"));
    EXPECT_TRUE(server->wait_for_err("dropped.unasked=1"));
}

TEST_F(socks_datagrams, remember_so_many_destinations_and_no_more) {
    std::vector<os::fd> targets;
    for (int i = 0; i < 257; ++i) {
        targets.push_back(datagrams_at("127.0.0.1"));
    }
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const client one{server, "127.0.0.1"};
    arrived asked;
    for (const auto& each : targets) {
        one.say(bytes_of(name_of(each)), "question");
        asked = take_from(each);
    }
    send_to(targets.front(), asked.from, "forgotten");
    send_to(targets[1], asked.from, "known");
    EXPECT_EQ(one.hear(), whole(bytes_of(name_of(targets[1])), "known"));
    EXPECT_TRUE(server->wait_for_err("dropped.unasked=1"));
}

TEST_F(socks_datagrams, that_are_fragments_or_malformed_are_dropped) {
    const auto target = datagrams_at("127.0.0.1");
    const auto to = bytes_of(name_of(target));
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    const client one{server, "127.0.0.1"};
    one.say(to, "fragment", 1);
    one.say(to, "last fragment", '\x81');
    for (const auto& each :
         {""s, "\0"s, "\0\0\0"s, "\0\0\0\1\x7f"s, "\0\0\0\2xxxxxx"s, "\1\0\0"s + to + "x",
          whole(bytes_of(ip::endpoint{ip::address::loopback(ip::family::v4), 0}), "x"),
          whole(named("", 1), "x"), whole(named("a/b", 1), "x"), "\0\0\0\3\xff"s + "cut"}) {
        send_to(one.socket, one.at, each);
    }
    one.say(to, "good");
    EXPECT_EQ(take_from(target).text, "good");
    EXPECT_TRUE(server->wait_for_err("dropped.malformed=10 dropped.fragment=2"));
}

TEST_F(socks_datagrams, go_nowhere_that_is_not_allowed) {
    const auto target = datagrams_at("127.0.0.1");
    const auto port = name_of(target).port;
    listening server{
        {":0", "--socks", "--allow-to", "127.0.0.1:*,*:*", "--deny-to", "*.example:*"}};
    const client one{server, "127.0.0.1"};
    for (const auto* each :
         {"127.0.0.2", "::1", "64:ff9b::7f00:2", "169.254.169.254", "255.255.255.255", "0.0.0.0"}) {
        one.say(bytes_of(ip::endpoint{ip::parse_address(each).value(), port}), each);
    }
    one.say(named("target.example", port), "a name");
    one.say(bytes_of(name_of(target)), "good");
    EXPECT_EQ(take_from(target).text, "good");
    EXPECT_TRUE(server->wait_for_err("dropped.not_allowed=7"));
    EXPECT_TRUE(server->wait_for_err("not_allowed.loopback=3"));
}

TEST_F(socks_datagrams, go_outside_without_a_rule_and_never_to_the_host_itself) {
    const testkit::peer_network there;
    testkit::must_run("ip addr add 192.0.2.1/24 dev va");
    testkit::must_run("ip addr add 2001:db8::1/64 dev va nodad");
    there.must_run("ip addr add 192.0.2.2/24 dev vb");
    there.must_run("ip addr add 2001:db8::2/64 dev vb nodad");
    testkit::replace_file("/etc/hosts", "127.0.0.1 localhost loopback.example\n"
                                        "::1 loopback.example\n"
                                        "192.0.2.1 own.example\n"
                                        "127.0.0.1 both.example\n"
                                        "192.0.2.2 both.example\n");
    auto program = there.prefix();
    program.insert(program.end(), {command, "listen", ":0", "--udp", "--echo", "-q"});
    process outside{program};
    const auto port = static_cast<std::uint16_t>(
        std::stoul(outside.wait_for_out(R"(listening udp \S+:(\d+)\n)").value_or("0")));
    // Somebody is there, who must not be reached.
    const ip::endpoint any{ip::address::any(ip::family::v6), port};
    const auto inside = blocking(os::socket(any, ip::transport::udp).value());
    ASSERT_TRUE(os::set_v6only(inside, false) && os::bind(inside, any));
    listening server{{":0", "--socks", "--allow-to", "*:*"}};
    client one{server, "::1"};
    const auto at = [&](const char* address) {
        return bytes_of(ip::endpoint{ip::parse_address(address).value(), port});
    };
    for (const auto* each :
         {"192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::c000:201", "2001:db8::1", "127.0.0.1", "::1",
          "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1", "0.0.0.0", "::"}) {
        one.say(at(each), each);
    }
    one.say(named("loopback.example", port), "inside");
    one.say(named("own.example", port), "own");
    EXPECT_TRUE(server->wait_for_err("dropped.not_allowed=13"));
    EXPECT_TRUE(server->wait_for_err("not_allowed.own_address=5"));
    for (const auto* each : {"192.0.2.2", "2001:db8::2"}) {
        one.say(at(each), each);
        EXPECT_EQ(one.hear(), whole(at(each), each));
    }
    // Of its addresses only one may be reached.
    one.say(named("both.example", port), "both");
    EXPECT_EQ(one.hear(), whole(at("192.0.2.2"), "both"));
    std::array<std::byte, 16> room{};
    EXPECT_EQ(::recv(inside.raw(), room.data(), room.size(), MSG_DONTWAIT), -1);
    one.control.reset();
    EXPECT_TRUE(server->wait_for_err("16 datagrams in, 3 out, 13 dropped"));
}

// ---- names ----

TEST_F(socks_datagrams, wait_for_their_name_which_is_asked_for_once) {
    testkit::dns_server names{
        {{{"target.example", testkit::dns_type::a},
          {.addresses = {"127.0.0.1"}, .delay = std::chrono::milliseconds{100}}},
         {{"inside.example", testkit::dns_type::a}, {.addresses = {"169.254.169.254"}}}}};
    testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    const auto target = datagrams_at("127.0.0.1");
    const auto port = name_of(target).port;
    listening server{{":0", "--socks", "--allow-to", loopbacks, "--allow-to", "*.example:*"}};
    const client one{server, "127.0.0.1"};
    for (const auto* each : {"one", "two", "three"}) {
        one.say(named("target.example", port), each);
    }
    for (const auto* each : {"one", "two", "three"}) {
        EXPECT_EQ(take_from(target).text, each);
    }
    one.say(named("target.example", port), "four");
    const auto asked = take_from(target);
    EXPECT_EQ(asked.text, "four");
    send_to(target, asked.from, "answer");
    EXPECT_EQ(one.hear(), whole(bytes_of(name_of(target)), "answer"));
    const auto all = names.asked();
    EXPECT_EQ(std::count_if(all.begin(), all.end(),
                            [](const auto& each) {
                                return each == std::pair{"target.example"s, testkit::dns_type::a};
                            }),
              1);
    one.say(named("nowhere.example", port), "x");
    EXPECT_TRUE(server->wait_for_err("dropped.unresolved=1"));
    one.say(named("inside.example", port), "x");
    EXPECT_TRUE(server->wait_for_err("dropped.not_allowed=1"));
    EXPECT_TRUE(server->wait_for_err("not_allowed.link_local=1"));
}

TEST_F(socks_datagrams, that_wait_for_a_name_are_bounded) {
    const testkit::dns_server names{
        {{{"slow.example", testkit::dns_type::a},
          {.addresses = {"127.0.0.1"}, .delay = std::chrono::milliseconds{300}}}}};
    testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    const auto target = datagrams_at("127.0.0.1");
    listening server{{":0", "--socks", "--allow-to", loopbacks, "--allow-to", "*.example:*"}};
    const client one{server, "127.0.0.1"};
    for (int i = 0; i < 20; ++i) {
        one.say(named("slow.example", name_of(target).port), std::to_string(i));
    }
    for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(take_from(target).text, std::to_string(i));
    }
    EXPECT_TRUE(server->wait_for_err("dropped.waiting=4"));
}

// ---- the end ----

TEST_F(socks_datagrams, end_with_the_connection) {
    listening echo{{":0", "--udp", "--echo", "-q"}};
    listening server{{":0", "--socks", "--allow-to", loopbacks}};
    client one{server, "127.0.0.1"};
    const auto to = bytes_of(echo.at("127.0.0.1"));
    put(one.control, "words that mean nothing");
    one.say(to, "before");
    EXPECT_EQ(one.hear(), whole(to, "before"));
    one.control.reset();
    EXPECT_TRUE(server->wait_for_err("1 datagrams in, 1 out"));
    ASSERT_TRUE(os::connect(one.socket, one.at));
    put(one.socket, whole(to, "after"));
    EXPECT_EQ(take(one.socket), "ECONNREFUSED");
}

TEST_F(socks_datagrams, end_when_there_were_none_for_a_while) {
    listening server{{":0", "--socks", "--idle-limit", "200ms"}};
    const client one{server, "::1"};
    EXPECT_FALSE(read_to_end(one.control).ended);
    EXPECT_TRUE(server->wait_for_err("idle; 0 datagrams in"));
}

TEST_F(socks_datagrams, end_when_the_way_out_is_gone) {
    const testkit::peer_network there;
    listening server{{":0", "--socks", "--egress-device", "va"}};
    const client one{server, "127.0.0.1"};
    testkit::must_run("ip link set va down");
    EXPECT_EQ(take(one.control), "ECONNRESET");
    const auto later = connect_to(server.at("127.0.0.1"));
    put(later, "\5\1\0\5\3\0\1\0\0\0\0\0\0"s);
    EXPECT_EQ(read_to_end(later).text, "\5\0\5\3\0\1\0\0\0\0\0\0"s);
}

TEST_F(socks_datagrams, leave_no_descriptor) {
    listening echo{{":0", "--udp", "--echo", "-q"}};
    listening server{{":0", "--socks", "-q", "--allow-to", loopbacks}};
    const auto open = [&] {
        const std::filesystem::directory_iterator all{"/proc/" + std::to_string(server->pid()) +
                                                      "/fd"};
        return std::distance(begin(all), end(all));
    };
    const auto before = open();
    for (int i = 0; i < 200; ++i) {
        const client one{server, "127.0.0.1"};
        const auto to = bytes_of(echo.at(i % 2 == 0 ? "127.0.0.1" : "::1"));
        one.say(to, "question");
        EXPECT_EQ(one.hear(), whole(to, "question"));
    }
    for (int i = 0; i < 1000 && open() > before; ++i) {
        ::usleep(10'000); // until the last ones have been closed
    }
    EXPECT_LE(open(), before);
    EXPECT_EQ(server.end(), 0);
}

TEST_F(socks_datagrams, are_not_offered_by_a_unix_socket) {
    const auto path = file("socks");
    process server{{command, "listen", "unix:" + path, "--socks"}};
    ASSERT_TRUE(server.wait_for_out("listening unix:"));
    const auto one = connect_to(ip::parse_unix_name(path).value());
    put(one, "\5\1\0\5\3\0\1\0\0\0\0\0\0"s);
    EXPECT_EQ(read_to_end(one).text, "\5\0\5\7\0\1\0\0\0\0\0\0"s);
    EXPECT_TRUE(server.wait_for_err("udp_not_offered"));
}

} // namespace
} // namespace portico
