// Who may come in to `portico listen`, and how many: rules, limits by prefix, the limit of all; and
// who the client is when a proxy says so.

#include "listening.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <sys/socket.h>

namespace portico {
namespace {

using testing::HasSubstr;
using testkit::run_command;

class admission_command : public command_test {
protected:
    void SetUp() override {
        command_test::SetUp();
        if (!IsSkipped()) {
            testkit::add_own_address("192.0.2.1");
            testkit::add_own_address("2001:db8::1");
        }
    }
};

os::fd connect_from(const std::string& local, const ip::endpoint& to) {
    auto made = blocking(os::socket(to, ip::transport::tcp).value());
    EXPECT_TRUE(os::bind(made, ip::endpoint{ip::parse_address(local).value(), 0}));
    const auto done = os::connect(made, to);
    EXPECT_TRUE(done) << done.error().message();
    return made;
}

// What a client from that address gets to hear from a service that speaks first.
std::string greeting(const listening& server, const std::string& from, const std::string& to) {
    return read_to_end(connect_from(from, server.at(to))).text;
}

constexpr auto reset = "";

// ---- rules ----

// The services that run inside the command, and the relay, have doors of their own.
class rules : public admission_command, public testing::WithParamInterface<bool> {
protected:
    [[nodiscard]] std::vector<std::string> with(std::vector<std::string> options) {
        if (GetParam()) {
            target_ = std::make_unique<listening>(
                std::vector<std::string>{"127.0.0.1:0", "-q", "--", "printf", "hi"});
            options.insert(options.end(), {"--to", "127.0.0.1:" + target_->port()});
        } else {
            options.insert(options.end(), {"--", "printf", "hi"});
        }
        options.insert(options.begin(), ":0");
        return options;
    }

private:
    std::unique_ptr<listening> target_;
};

INSTANTIATE_TEST_SUITE_P(command, rules, testing::Bool(),
                         [](const auto& each) { return each.param ? "relay" : "program"; });

TEST_P(rules, the_smallest_block_that_holds_the_client_decides) {
    listening server{with({"--deny", "127.0.0.0/8,2001:db8::/32", "--allow", "127.0.0.9"})};
    EXPECT_EQ(greeting(server, "127.0.0.1", "127.0.0.1"), reset);
    EXPECT_EQ(greeting(server, "127.0.0.9", "127.0.0.1"), "hi");
    EXPECT_EQ(greeting(server, "2001:db8::1", "2001:db8::1"), reset);
    EXPECT_EQ(greeting(server, "::1", "::1"), reset); // some are allowed, and it is none of them
    EXPECT_TRUE(server->wait_for_err("the rule deny 127.0.0.0/8"));
    EXPECT_TRUE(server->wait_for_err("no rule allows it"));
    EXPECT_EQ(server.end(), 0);
}

TEST_P(rules, so_many_at_once_from_a_prefix) {
    const target_here target;
    auto options = std::vector<std::string>{":0", "--max-per", "/24=2,/64=1"};
    options.insert(options.end(), GetParam()
                                      ? std::initializer_list<std::string>{"--to", target.name()}
                                      : std::initializer_list<std::string>{"--echo"});
    listening server{options};
    std::vector<os::fd> far; // of the target
    const auto let_in = [&](const std::string& from, const std::string& to) {
        auto client = connect_from(from, server.at(to));
        put(client, "in");
        if (GetParam()) {
            far.push_back(target.accept());
            put(far.back(), take(far.back()));
        }
        EXPECT_EQ(take(client), "in");
        return client;
    };
    const auto expect_reset = [&](const std::string& from, const std::string& to) {
        EXPECT_EQ(take(connect_from(from, server.at(to))), "ECONNRESET");
    };
    auto first = let_in("127.0.0.1", "127.0.0.1");
    const auto second = let_in("127.0.0.2", "127.0.0.1");
    expect_reset("127.0.0.3", "127.0.0.1");
    const auto other = let_in("127.0.1.1", "127.0.0.1");
    const auto v6 = let_in("::1", "::1");
    expect_reset("::1", "::1");
    EXPECT_TRUE(server->wait_for_err("error.type=limited .*too many at once from its IPv4 /24"));
    EXPECT_TRUE(server->wait_for_err("too many at once from its IPv6 /64"));
    // Who has gone makes room.
    close_with_reset(first);
    EXPECT_TRUE(server->wait_for_err("ECONNRESET"));
    const auto again = let_in("127.0.0.3", "127.0.0.1");
}

TEST_P(rules, so_many_in_a_time_from_a_prefix) {
    listening server{with({"--rate", "/32=1/1h+3"})};
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(greeting(server, "127.0.0.1", "127.0.0.1"), "hi");
    }
    EXPECT_EQ(greeting(server, "127.0.0.1", "127.0.0.1"), reset);
    EXPECT_EQ(greeting(server, "127.0.0.2", "127.0.0.1"), "hi");
    EXPECT_TRUE(server->wait_for_err("too many in a short time from its IPv4 /32"));
}

TEST_P(rules, a_full_service_refuses_when_it_is_told_to) {
    const target_here silent;
    auto options =
        std::vector<std::string>{":0", "--max-connections", "1", "--when-full", "refuse"};
    options.insert(options.end(), GetParam()
                                      ? std::initializer_list<std::string>{"--to", silent.name()}
                                      : std::initializer_list<std::string>{"--echo"});
    listening server{options};
    auto first = connect_to(server.at("127.0.0.1"));
    if (GetParam()) {
        put(silent.accept(), "in");
    } else {
        put(first, "in");
    }
    EXPECT_EQ(take(first), "in");
    const auto second = connect_to(server.at("::1"));
    EXPECT_EQ(take(second), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("error.type=full .*as many connections are open as may be"));
    EXPECT_THAT(server->err(), Not(HasSubstr("EACCES")));
}

TEST_F(admission_command, rules_hold_for_datagrams_too) {
    listening server{{":0", "--udp", "--echo", "-v", "--deny", "127.0.0.9"}};
    const auto ask = [&](const std::string& from) {
        auto made = blocking(os::socket(server.at("127.0.0.1"), ip::transport::udp).value());
        EXPECT_TRUE(os::bind(made, ip::endpoint{ip::parse_address(from).value(), 0}));
        EXPECT_TRUE(os::connect(made, server.at("127.0.0.1")));
        put(made, "query");
        return made;
    };
    const auto denied = ask("127.0.0.9");
    EXPECT_TRUE(server->wait_for_err("reason=denied"));
    EXPECT_EQ(take(ask("127.0.0.1")), "query");
}

TEST_F(admission_command, bad_rules_are_explained) {
    const auto wrong = [&](const std::string& options) {
        const auto got = run_command(command + " listen :0 --echo " + options);
        EXPECT_EQ(got.status, 100) << got.output;
        return got.output;
    };
    EXPECT_THAT(wrong("--deny 10.0.0.1/8"), HasSubstr("--deny: '10.0.0.1/8'"));
    EXPECT_THAT(wrong("--deny 10.0.0.1/8"), HasSubstr("10.0.0.0/8"));
    EXPECT_THAT(wrong("--allow somewhere"), HasSubstr("--allow: 'somewhere'"));
    EXPECT_THAT(wrong("--max-per /16=3"), HasSubstr("/32 or /24 (IPv4)"));
    EXPECT_THAT(wrong("--max-per /64=0"), HasSubstr("a number from 1 on"));
    EXPECT_THAT(wrong("--rate /64=5"), HasSubstr("a slash and a time"));
    EXPECT_THAT(wrong("--rate /64=5/never"), HasSubstr("--rate: '/64=5/never'"));
    EXPECT_THAT(wrong("--rate /64=5/1s+x"), HasSubstr("the number after +"));
    EXPECT_THAT(wrong("--rate /64=1/99d"), HasSubstr("--rate: '/64=1/99d'"));
    EXPECT_THAT(wrong("--when-full drop"), HasSubstr("--when-full"));
}

// ---- the limit of all threads together ----

TEST_F(admission_command, threads_share_the_limit_and_wait_for_room) {
    const target_here target;
    listening server{
        {"127.0.0.1:0", "--threads", "4", "--max-connections", "2", "--to", target.name()}};
    std::vector<os::fd> clients;
    for (int i = 0; i < 12; ++i) {
        clients.push_back(connect_to(server.at("127.0.0.1")));
        put(clients.back(), "x");
    }
    // Two at a time; which ones is the kernel's choice of a thread.
    std::vector<os::fd> far;
    for (int i = 0; i < 2; ++i) {
        far.push_back(target.accept());
        EXPECT_EQ(take(far.back()), "x");
    }
    for (int i = 0; i < 10; ++i) {
        close_with_reset(far[static_cast<std::size_t>(i)]);
        far.push_back(target.accept());
        EXPECT_EQ(take(far.back()), "x");
    }
    EXPECT_TRUE(server->wait_for_err("full: further clients wait"));
}

// ---- PROXY headers ----

TEST_F(admission_command, a_trusted_proxy_says_who_the_client_is) {
    const target_here target;
    listening server{{":0", "--proxy-in", "127.0.0.9,2001:db8::/32", "--to", target.name(),
                      "--deny", "198.51.100.0/24"}};
    const auto proxy = connect_from("127.0.0.9", server.at("127.0.0.1"));
    // In pieces, and with the client's first bytes behind it.
    put(proxy, "PROXY TCP4 203.0.1");
    put(proxy, "13.7 192.0.2.1 5000 80\r\nhello");
    const auto far = target.accept();
    EXPECT_EQ(take(far), "hello");
    put(far, "you");
    EXPECT_EQ(take(proxy), "you");
    EXPECT_EQ(::shutdown(proxy.raw(), SHUT_WR), 0);
    EXPECT_EQ(take(far), "");
    EXPECT_EQ(::shutdown(far.raw(), SHUT_WR), 0);
    EXPECT_TRUE(server->wait_for_err("network.peer.address=203.0.113.7"));

    // The rules are about the client, not about the proxy.
    const auto denied = connect_from("2001:db8::1", server.at("2001:db8::1"));
    put(denied, "PROXY TCP4 198.51.100.1 192.0.2.1 5000 80\r\nhello");
    EXPECT_EQ(take(denied), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("the rule deny 198.51.100.0/24"));

    const auto stranger = connect_from("127.0.0.1", server.at("127.0.0.1"));
    EXPECT_EQ(take(stranger), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("it is not trusted to send a PROXY header"));
}

TEST_F(admission_command, a_bad_header_is_refused_and_a_late_one_too) {
    const target_here target;
    listening server{{"127.0.0.1:0", "--proxy-in", "127.0.0.0/8", "--proxy-in-timeout", "300ms",
                      "--to", target.name()}};
    const auto plain = connect_to(server.at("127.0.0.1"));
    put(plain, "GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(take(plain), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("PROXY header: "));
    const auto late = connect_to(server.at("127.0.0.1"));
    put(late, "PROXY ");
    EXPECT_EQ(take(late), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("the PROXY header did not come"));
    auto cut = connect_to(server.at("127.0.0.1"));
    put(cut, "PROXY TCP4 1");
    EXPECT_EQ(::shutdown(cut.raw(), SHUT_WR), 0);
    EXPECT_EQ(take(cut), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("it ended within the PROXY header"));
}

TEST_F(admission_command, the_target_is_told_who_the_client_is) {
    const target_here target;
    listening server{{":0", "--proxy-out", "v1", "--to", target.name()}};
    const auto client = connect_from("2001:db8::1", server.at("2001:db8::1"));
    const auto port = std::get<ip::endpoint>(os::getsockname(client.raw()).value()).port;
    const auto far = target.accept();
    put(client, "hello");
    const auto header =
        "PROXY TCP6 2001:db8::1 2001:db8::1 " + std::to_string(port) + " " + server.port() + "\r\n";
    std::string got;
    while (got.size() < header.size() + 5) {
        got += take(far);
    }
    EXPECT_EQ(got, header + "hello");
}

TEST_F(admission_command, what_came_with_the_client_goes_on_with_it) {
    const target_here target;
    // Three in a row: version 1 in, 2 between, and 2 with a TLV goes through the last one.
    listening last{
        {"127.0.0.1:0", "--proxy-in", "127.0.0.0/8", "--proxy-out", "v2", "--to", target.name()}};
    const auto proxy = connect_to(last.at("127.0.0.1"));
    using namespace std::string_literals;
    const auto header = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14"s + "\xcb\x00\x71\x07\xc0\0\x02\x01"s +
                        "\x13\x88\0\x50"s +
                        "\xe0\0\x05"
                        "hello"s;
    put(proxy, header + "bytes");
    const auto far = target.accept();
    std::string got;
    while (got.size() < header.size() + 5) {
        got += take(far);
    }
    EXPECT_EQ(got, header + "bytes");
}

// client --> portico, which tells --> haproxy, which understands and tells --> portico, which
// understands and tells --> target
TEST_F(admission_command, haproxy_understands_us_and_we_it) {
    NEEDS("haproxy");
    const target_here target;
    listening last{
        {"127.0.0.1:0", "--proxy-in", "127.0.0.0/8", "--proxy-out", "v1", "--to", target.name()}};
    std::ofstream{file("haproxy.cfg")}
        << "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
           "listen x\n bind 192.0.2.1:7777 accept-proxy\n server s 127.0.0.1:"
        << last.port() << " send-proxy-v2 proxy-v2-options crc32c\n";
    process haproxy{{*testkit::find_program("haproxy"), "-f", file("haproxy.cfg"), "-db"}};
    const ip::endpoint at{ip::parse_address("192.0.2.1").value(), 7777};
    for (int i = 0; i < 1000; ++i) {
        if (os::connect(blocking(os::socket(at, ip::transport::tcp).value()), at)) {
            break;
        }
        ::usleep(10'000); // until it listens
    }
    listening first{{"127.0.0.1:0", "--proxy-out", "v2", "--to", "192.0.2.1:7777"}};
    const auto client = connect_from("127.0.0.77", first.at("127.0.0.1"));
    put(client, "hello");
    const auto far = target.accept();
    std::string got;
    while (got.find("hello") == std::string::npos) {
        const auto more = take(far);
        ASSERT_NE(more, "");
        got += more;
    }
    const auto port = std::get<ip::endpoint>(os::getsockname(client.raw()).value()).port;
    EXPECT_EQ(got, "PROXY TCP4 127.0.0.77 127.0.0.1 " + std::to_string(port) + " " + first.port() +
                       "\r\nhello");
}

} // namespace
} // namespace portico
