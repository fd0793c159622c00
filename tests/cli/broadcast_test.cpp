// One UDP service on several interfaces: what is sent to an address, to broadcast addresses and to
// groups, what its program is told of it, and where the answer leaves from.

#include "listening.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

namespace portico {
namespace {

using testing::HasSubstr;
using testing::Not;
using testkit::peer_network;

// Asks from the address and port that the peer picks, and tells each answer and where it is from.
constexpr const char* asking = R"(
import socket, sys
device, port, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first = sys.argv[4]
v6 = ':' in first
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
for where in sys.argv[4:]:
    s.sendto(b'hi\n', (where, port, 0, socket.if_nametoindex(device)) if v6 else (where, port))
for each in range(wanted):
    text, source = s.recvfrom(65536)
    print(text.decode().strip(), 'from', source[0].split('%')[0], flush=True)
)";

constexpr const char* telling =
    "read query; echo $query to $UDPLOCALIP by $PORTICO_INTERFACE as $SERVER_ADDR";

class broadcast : public command_test {
protected:
    void SetUp() override {
        command_test::SetUp();
        if (!IsSkipped()) {
            first_.emplace("va", "vb");
            second_.emplace("wa", "wb");
            join_network(*first_, "va", "vb", "192.0.2");
            join_network(*second_, "wa", "wb", "198.51.100");
        }
    }

    // A namespace goes a while after its last process, and its cables with it.
    void TearDown() override {
        if (first_ && second_) {
            testkit::must_run("ip link del va && ip link del wa");
        }
        command_test::TearDown();
    }

    static void join_network(const peer_network& peer, const std::string& here,
                             const std::string& there, const std::string& block) {
        testkit::must_run("ip addr add " + block + ".1/24 brd + dev " + here +
                          " && ip addr add fe80::1/64 dev " + here + " nodad");
        peer.must_run("ip addr add " + block + ".9/24 brd + dev " + there +
                      " && ip addr add fe80::9/64 dev " + there + " nodad");
    }

    // The answers to one query to each of these, in their order.
    static std::string ask(const peer_network& from, const std::string& device,
                           const std::string& port, const std::vector<std::string>& where,
                           int answers) {
        auto words = from.prefix();
        for (const auto* each : {"python3", "-Ic", asking}) {
            words.emplace_back(each);
        }
        words.insert(words.end(), {device, port, std::to_string(answers)});
        words.insert(words.end(), where.begin(), where.end());
        process asker{words};
        EXPECT_EQ(asker.wait(), 0) << asker.err();
        return asker.out();
    }
    static std::string ask(const peer_network& from, const std::string& device,
                           const std::string& port, const std::string& where) {
        return ask(from, device, port, {where}, 1);
    }

    std::optional<peer_network> first_;
    std::optional<peer_network> second_;
};

TEST_F(broadcast, a_program_is_told_where_each_datagram_came_and_the_answer_leaves_from_there) {
    NEEDS("python3");
    listening server{
        {":0", "--udp", "--broadcast", "--join", "ff02::1:2,239.1.2.3", "--", "sh", "-c", telling}};
    const auto check = [&](const peer_network& peer, const std::string& here,
                           const std::string& there, const std::string& block) {
        const auto own = block + ".1";
        for (const auto& where :
             {own, block + ".255", std::string{"255.255.255.255"}, std::string{"239.1.2.3"}}) {
            EXPECT_EQ(ask(peer, there, server.port(), where),
                      "hi to " + where + " by " + here + " as " + own + " from " + own + '\n');
        }
        EXPECT_EQ(ask(peer, there, server.port(), "ff02::1:2"), "hi to ff02::1:2%" + here + " by " +
                                                                    here + " as fe80::1%" + here +
                                                                    " from fe80::1\n");
        EXPECT_EQ(ask(peer, there, server.port(), "fe80::1"), "hi to fe80::1%" + here + " by " +
                                                                  here + " as fe80::1%" + here +
                                                                  " from fe80::1\n");
    };
    check(*first_, "va", "vb", "192.0.2");
    check(*second_, "wa", "wb", "198.51.100");
    EXPECT_EQ(server.end(), 0);
}

TEST_F(broadcast, socat_asks_the_whole_network) {
    NEEDS("socat");
    listening server{{"0.0.0.0:0", "--udp", "--broadcast", "--", "sh", "-c", telling}};
    auto words = second_->prefix();
    words.insert(words.end(), {"socat", "-",
                               "UDP4-DATAGRAM:198.51.100.255:" + server.port() +
                                   ",broadcast,bind=198.51.100.9"});
    process asker{words};
    asker.write_stdin("who\n");
    EXPECT_TRUE(asker.wait_for_out("who to 198.51.100.255 by wa as 198.51.100.1\n"));
}

TEST_F(broadcast, the_same_network_on_two_interfaces_is_answered_by_the_one_that_was_asked) {
    NEEDS("python3");
    testkit::must_run("ip addr add 192.0.2.2/24 brd + dev wa");
    second_->must_run("ip addr add 192.0.2.19/24 brd + dev wb");
    listening server{{"0.0.0.0:0", "--udp", "--broadcast", "--", "sh", "-c", telling}};
    EXPECT_EQ(ask(*second_, "wb", server.port(), "192.0.2.255"),
              "hi to 192.0.2.255 by wa as 192.0.2.2 from 192.0.2.2\n");
}

TEST_F(broadcast, is_not_answered_where_it_is_not_asked_for) {
    NEEDS("python3");
    listening server{{"0.0.0.0:0", "--udp", "--", "sh", "-c", telling}};
    EXPECT_EQ(ask(*first_, "vb", server.port(), {"192.0.2.255", "239.1.2.3", "192.0.2.1"}, 1),
              "hi to 192.0.2.1 by va as 192.0.2.1 from 192.0.2.1\n");
    EXPECT_TRUE(server->wait_for_err("queries were dropped.* dropped.to_group=1"));
}

TEST_F(broadcast, to_the_addresses_of_one_interface_is_not_heard_on_another) {
    NEEDS("python3");
    listening server{{"@va:0", "--udp", "--broadcast", "--join", "239.1.2.3,ff02::1:2", "--", "sh",
                      "-c", telling}};
    for (const auto* where : {"192.0.2.255", "255.255.255.255", "239.1.2.3"}) {
        EXPECT_EQ(ask(*first_, "vb", server.port(), where),
                  std::string{"hi to "} + where + " by va as 192.0.2.1 from 192.0.2.1\n");
    }
    EXPECT_EQ(ask(*first_, "vb", server.port(), "ff02::1:2"),
              "hi to ff02::1:2%va by va as fe80::1%va from fe80::1\n");
    second_->must_run("ip route add 192.0.2.1 dev wb");
    EXPECT_EQ(ask(*second_, "wb", server.port(), {"255.255.255.255", "239.1.2.3", "192.0.2.1"}, 1),
              "hi to 192.0.2.1 by wa as 192.0.2.1 from 192.0.2.1\n");
}

TEST_F(broadcast, a_group_is_joined_on_an_interface_that_comes_later) {
    NEEDS("python3");
    listening server{
        {":0", "--udp", "--join", "ff02::1:2", "--join", "239.1.2.3", "--", "sh", "-c", telling}};
    {
        const peer_network third{"xa", "xb"};
        join_network(third, "xa", "xb", "203.0.113");
        EXPECT_TRUE(server->wait_for_err("group joined.*group=ff02::1:2.*name=xa"));
        EXPECT_TRUE(server->wait_for_err("group joined.*group=239.1.2.3.*name=xa"));
        EXPECT_EQ(ask(third, "xb", server.port(), "ff02::1:2"),
                  "hi to ff02::1:2%xa by xa as fe80::1%xa from fe80::1\n");
        EXPECT_EQ(ask(third, "xb", server.port(), "239.1.2.3"),
                  "hi to 239.1.2.3 by xa as 203.0.113.1 from 203.0.113.1\n");
    }
    EXPECT_TRUE(server->wait_for_err("group left.*group=ff02::1:2"));
}

TEST_F(broadcast, groups_that_others_have_joined_are_not_heard) {
    NEEDS("python3");
    process other{{"python3", "-Ic",
                   "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                   "s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, "
                   "socket.inet_aton('239.9.9.9') + socket.inet_aton('192.0.2.1'))\n"
                   "print('joined', flush=True)\ninput()"}};
    ASSERT_TRUE(other.wait_for_out("joined"));
    listening server{{"0.0.0.0:0", "--udp", "--join", "239.1.2.3", "--", "sh", "-c", telling}};
    EXPECT_EQ(ask(*first_, "vb", server.port(), {"239.9.9.9", "239.1.2.3"}, 1),
              "hi to 239.1.2.3 by va as 192.0.2.1 from 192.0.2.1\n");
}

TEST_F(broadcast, a_builtin_service_answers_from_the_interface_that_was_asked) {
    NEEDS("python3");
    listening server{{":0", "--udp", "--hello", "--broadcast", "--join", "ff02::1:2"}};
    EXPECT_THAT(
        ask(*second_, "wb", server.port(), "255.255.255.255"),
        HasSubstr("this is 198.51.100.1:" + server.port() + ", over IPv4 from 198.51.100.1"));
    EXPECT_THAT(ask(*first_, "vb", server.port(), "ff02::1:2"),
                HasSubstr("this is [fe80::1%va]:" + server.port() + ", over IPv6 from fe80::1"));
    EXPECT_TRUE(server->wait_for_err("query served.*network.interface.name=va"));
}

TEST_F(broadcast, echo_never_answers_it) {
    for (const auto* option : {"--broadcast", "--join=ff02::1"}) {
        const auto done = testkit::run_command(command + " listen :0 --udp --echo " + option);
        EXPECT_EQ(done.status, 100);
        EXPECT_THAT(done.output, HasSubstr("echo never answers what was sent to many"));
    }
    const auto relay = testkit::run_command(command + " listen :0 --udp --broadcast --to [::1]:9");
    EXPECT_EQ(relay.status, 100);
    EXPECT_THAT(relay.output, HasSubstr("--broadcast: it is for a built-in service or a program"));
}

TEST_F(broadcast, a_group_that_is_none_is_explained) {
    const auto done = testkit::run_command(command + " listen :0 --udp --hello --join 192.0.2.1");
    EXPECT_EQ(done.status, 100);
    EXPECT_THAT(done.output, HasSubstr("192.0.2.1 is no group: it is the address of one host"));
    const auto tcp = testkit::run_command(command + " listen :0 --hello --join ff02::1");
    EXPECT_EQ(tcp.status, 100);
    EXPECT_THAT(tcp.output, HasSubstr("--udp"));
}

TEST_F(broadcast, a_program_that_waits_has_a_socket_that_tells) {
    NEEDS("python3");
    const auto example = std::string{PORTICO_SOURCES} + "/examples/answer_broadcasts.py";
    listening server{{":0", "--udp", "--wait", "--broadcast", "--join", "ff02::1:2", "--",
                      "python3", "-I", example}};
    EXPECT_EQ(ask(*second_, "wb", server.port(), "255.255.255.255"),
              "asked 255.255.255.255 on wa from 198.51.100.1\n");
    EXPECT_EQ(ask(*first_, "vb", server.port(), "192.0.2.255"),
              "asked 192.0.2.255 on va from 192.0.2.1\n");
    EXPECT_EQ(ask(*first_, "vb", server.port(), "ff02::1:2"),
              "asked ff02::1:2 on va from fe80::1\n");
    EXPECT_EQ(ask(*second_, "wb", server.port(), "ff02::1:2"),
              "asked ff02::1:2 on wa from fe80::1\n");
}

class service_file : public broadcast {
protected:
    void write(const std::string& text) const { std::ofstream{file("portico.toml")} << text; }
};

TEST_F(service_file, each_interface_may_have_a_service_of_its_own) {
    NEEDS("python3");
    write(R"(
[service.first]
listen = "@va:7067"
udp = true
broadcast = true
join = "239.1.2.3"
program = ["sh", "-c", "echo first"]
[service.second]
listen = "@wa:7067"
udp = true
broadcast = true
join = "239.1.2.3"
program = ["sh", "-c", "echo second"]
)");
    const auto told = testkit::run_command(command + " serve --check " + file("portico.toml"));
    EXPECT_EQ(told.status, 0) << told.output;
    EXPECT_THAT(told.output, HasSubstr("255.255.255.255:7067"));
    process server{{command, "serve", file("portico.toml")}};
    ASSERT_TRUE(server.wait_for_out("listening udp 255.255.255.255:7067 on wa\n"));
    for (const auto* where : {"255.255.255.255", "239.1.2.3"}) {
        EXPECT_EQ(ask(*first_, "vb", "7067", where), "first from 192.0.2.1\n");
        EXPECT_EQ(ask(*second_, "wb", "7067", where), "second from 198.51.100.1\n");
    }
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(service_file, a_reload_leaves_groups_and_joins_others) {
    NEEDS("python3");
    const auto service = [](const std::string& group) {
        return "[service.one]\nlisten = \"0.0.0.0:7067\"\nudp = true\njoin = \"" + group +
               "\"\nprogram = [\"sh\", \"-c\", '" + telling + "']\n";
    };
    write(service("239.1.2.3"));
    process server{{command, "serve", file("portico.toml")}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    EXPECT_EQ(ask(*first_, "vb", "7067", "239.1.2.3"),
              "hi to 239.1.2.3 by va as 192.0.2.1 from 192.0.2.1\n");
    write(service("239.7.7.7"));
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_out("reloaded 1"));
    EXPECT_TRUE(server.wait_for_err("group left.*group=239.1.2.3"));
    EXPECT_EQ(ask(*second_, "wb", "7067", {"239.1.2.3", "239.7.7.7"}, 1),
              "hi to 239.7.7.7 by wa as 198.51.100.1 from 198.51.100.1\n");
    server.signal(SIGUSR2);
    ASSERT_TRUE(server.wait_for_err("handed over|handover"));
    EXPECT_EQ(ask(*second_, "wb", "7067", {"239.1.2.3", "239.7.7.7"}, 1),
              "hi to 239.7.7.7 by wa as 198.51.100.1 from 198.51.100.1\n");
}

} // namespace
} // namespace portico
