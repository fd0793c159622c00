// portico listen --udp --to as its users see it.

#include "listening.hpp"

#include "portico/testkit/dns_server.hpp"

#include <algorithm>
#include <gmock/gmock.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testkit::run_command;

// Receiving ends after a safety net of a minute, which only a failing test reaches.
os::fd with_net(os::fd socket) {
    const timeval net{60, 0};
    EXPECT_EQ(::setsockopt(socket.raw(), SOL_SOCKET, SO_RCVTIMEO, &net, sizeof net), 0);
    return socket;
}

// A client: it takes only what comes from the very address that it sends to.
os::fd client_of(const ip::any_endpoint& where) {
    return with_net(connect_to(where, ip::transport::udp));
}
os::fd client_of(const ip::any_endpoint& where, const std::string& from) {
    auto made = blocking(os::socket(where, ip::transport::udp).value());
    EXPECT_TRUE(os::bind(made, ip::endpoint{ip::parse_address(from).value(), 0}));
    EXPECT_TRUE(os::connect(made, where));
    return with_net(std::move(made));
}

// A service of datagrams in this program.
class udp_target {
public:
    struct question {
        std::string text;
        os::datagram from;
    };

    explicit udp_target(const std::string& where = "127.0.0.1:0") { open(where); }

    [[nodiscard]] std::string name() const { return name_; }
    void close() { socket_.reset(); }
    void open_again() { open(name_); }

    [[nodiscard]] question take() const {
        std::string room(65'536, '\0');
        pollfd asked{socket_.raw(), POLLIN, 0};
        EXPECT_EQ(::poll(&asked, 1, 60'000), 1);
        const auto got =
            os::recv_datagram(socket_.raw(), std::as_writable_bytes(std::span{room})).value();
        room.resize(got.size);
        return {room, got};
    }
    void answer(const question& to, std::string_view text) const {
        EXPECT_EQ(os::send_reply(socket_.raw(), to.from, std::as_bytes(std::span{text}))
                      .value_or(SIZE_MAX),
                  text.size());
    }

private:
    void open(const std::string& where) {
        const ip::any_endpoint at{ip::parse_endpoint(where).value()};
        socket_ = with_net(blocking(os::socket(at, ip::transport::udp).value()));
        EXPECT_TRUE(os::bind(socket_, at));
        name_ = ip::to_text(os::getsockname(socket_.raw()).value());
    }

    os::fd socket_;
    std::string name_;
};

// One question of this client, answered; where it came to the target from.
ip::any_endpoint converse(const os::fd& client, const udp_target& target,
                          const std::string& text = "question") {
    put(client, text);
    const auto asked = target.take();
    EXPECT_EQ(asked.text, text);
    target.answer(asked, "answer to " + text);
    EXPECT_EQ(take(client), "answer to " + text);
    return asked.from.from;
}

class udp_relay_command : public command_test {
protected:
    void TearDown() override {
        // The network at the other end of a cable is gone only later.
        static_cast<void>(run_command("ip link del va"));
        command_test::TearDown();
    }

    // A client that nobody here wrote gets this answer to this question.
    static void expect_answer(std::vector<std::string> client, const std::string& question,
                              const std::string& answer) {
        process asking{std::move(client)};
        asking.write_stdin(question);
        EXPECT_TRUE(asking.wait_for_out(answer)) << asking.err();
    }
};

// ---- what goes through ----

TEST_F(udp_relay_command, programs_of_both_families_talk_through_it) {
    NEEDS("socat");
    udp_target port_of_socat;
    const auto at = port_of_socat.name();
    const auto port = at.substr(at.find(':') + 1);
    port_of_socat.close();
    process echo{
        {"socat", "-d", "-d", "UDP4-RECVFROM:" + port + ",bind=127.0.0.1,fork", "EXEC:tr a-z A-Z"}};
    ASSERT_TRUE(echo.wait_for_err("receiving on"));
    listening server{{":0", "--udp", "--to", at}};
    expect_answer({"socat", "-", "UDP4:127.0.0.1:" + server.port()}, "four\n", "FOUR\n");
    expect_answer({"socat", "-", "UDP6:[::1]:" + server.port()}, "six\n", "SIX\n");
    if (testkit::find_program("nc")) {
        expect_answer({"nc", "-u", "127.0.0.2", server.port()}, "two\n", "TWO\n");
    }
    if (testkit::find_program("ncat")) {
        expect_answer({"ncat", "-u", "::1", server.port()}, "ncat\n", "NCAT\n");
    }
}

TEST_F(udp_relay_command, a_resolver_finds_names_through_it) {
    // Addresses of a family are given only to who has one.
    testkit::add_own_address("198.18.0.1");
    testkit::add_own_address("2001:db8:7::1");
    const std::string name = "relayed.example";
    testkit::dns_server names{{{{name, testkit::dns_type::a}, {.addresses = {"192.0.2.7"}}},
                               {{name, testkit::dns_type::aaaa}, {.addresses = {"2001:db8::7"}}}},
                              0};
    listening server{
        {"127.0.0.1:53,[::1]:53", "--udp", "--to", "127.0.0.1:" + std::to_string(names.port())}};
    for (const auto* each : {"127.0.0.1", "::1"}) {
        testkit::replace_file("/etc/resolv.conf", "nameserver " + std::string{each} + "\n");
        const auto got = run_command("getent ahosts " + name);
        EXPECT_EQ(got.status, 0) << each;
        EXPECT_THAT(got.output, AllOf(HasSubstr("192.0.2.7"), HasSubstr("2001:db8::7"))) << each;
    }
    if (testkit::find_program("dig")) {
        EXPECT_THAT(run_command("dig +short @::1 " + name).output, HasSubstr("192.0.2.7"));
    }
    if (testkit::find_program("host")) {
        EXPECT_THAT(run_command("host " + name + " 127.0.0.1").output, HasSubstr("192.0.2.7"));
    }
}

TEST_F(udp_relay_command, each_client_is_answered_from_the_address_that_it_asked) {
    testkit::must_run("ip addr replace 2001:db8:7::1/128 dev lo nodad");
    testkit::must_run("ip addr replace 2001:db8:7::2/128 dev lo nodad");
    const udp_target target;
    listening server{{":0", "--udp", "--to", target.name()}};
    for (const auto* each :
         {"127.0.0.1", "127.0.0.2", "127.9.9.9", "::1", "2001:db8:7::1", "2001:db8:7::2"}) {
        converse(client_of(server.at(each)), target, each);
    }
    // The same client, by several of our addresses at once.
    const ip::any_endpoint any{ip::endpoint{ip::address::any(ip::family::v4), 0}};
    const auto one = with_net(blocking(os::socket(any, ip::transport::udp).value()));
    std::vector<udp_target::question> asked;
    for (const auto* each : {"127.0.0.2", "127.0.0.3"}) {
        ASSERT_TRUE(os::connect(one, server.at(each)));
        put(one, each);
        asked.push_back(target.take());
    }
    EXPECT_NE(asked[0].from.from, asked[1].from.from);
    target.answer(asked[1], "three");
    EXPECT_EQ(take(one), "three"); // it is connected to that one
}

TEST_F(udp_relay_command, a_link_local_client_is_answered_by_its_link) {
    NEEDS("socat");
    const testkit::peer_network there;
    testkit::must_run("ip addr add fe80::1/64 dev va nodad");
    there.must_run("ip addr add fe80::2/64 dev vb nodad");
    const udp_target target{"[::1]:0"};
    listening server{{"[::]:0", "--udp", "--to", target.name()}};
    auto client = there.prefix();
    client.insert(client.end(), {"socat", "-", "UDP6:[fe80::1%vb]:" + server.port()});
    process asking{client};
    asking.write_stdin("link\n");
    const auto asked = target.take();
    EXPECT_EQ(asked.text, "link\n");
    target.answer(asked, "local\n");
    EXPECT_TRUE(asking.wait_for_out("local\n"));
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("network.peer.address=fe80::2%va"));
}

TEST_F(udp_relay_command, what_is_larger_than_a_packet_arrives_whole) {
    NEEDS("socat");
    const testkit::peer_network there;
    testkit::must_run("ip addr add 192.0.2.1/24 dev va");
    testkit::must_run("ip addr add 2001:db8::1/64 dev va nodad");
    there.must_run("ip addr add 192.0.2.2/24 dev vb");
    there.must_run("ip addr add 2001:db8::2/64 dev vb nodad");
    testkit::must_run("ip link set va mtu 1280");
    there.must_run("ip link set vb mtu 1280");
    const udp_target target;
    listening server{{":0", "--udp", "--to", target.name()}};
    for (const std::string each : {"UDP4:192.0.2.1:", "UDP6:[2001:db8::1]:"}) {
        auto client = there.prefix();
        client.insert(client.end(), {"socat", "-b", "65536", "-", each + server.port()});
        process asking{client};
        const std::string question(30'000, 'q');
        asking.write_stdin(question);
        const auto asked = target.take();
        EXPECT_EQ(asked.text, question);
        target.answer(asked, std::string(40'000, 'a') + "!");
        EXPECT_TRUE(asking.wait_for_out("!"));
        EXPECT_EQ(asking.out(), std::string(40'000, 'a') + "!");
    }
}

TEST_F(udp_relay_command, boundaries_are_kept_and_empty_ones_count) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}};
    const auto client = client_of(server.at("127.0.0.1"));
    for (const auto size : {0, 1, 1472, 1473, 65'507, 0}) {
        put(client, std::string(static_cast<std::size_t>(size), 'x'));
        const auto asked = target.take();
        EXPECT_EQ(asked.text.size(), static_cast<std::size_t>(size));
        target.answer(asked, asked.text);
        EXPECT_EQ(take(client).size(), static_cast<std::size_t>(size));
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("received=68453 sent=68453 datagrams.received=6 "
                                         "datagrams.sent=6"));
}

// ---- targets ----

TEST_F(udp_relay_command, a_target_that_comes_back_is_used_again) {
    udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}};
    const auto client = client_of(server.at("127.0.0.1"));
    converse(client, target);
    target.close();
    put(client, "lost");
    const auto line = server->wait_for_err("(.*a target refuses datagrams.*)\n");
    ASSERT_TRUE(line);
    EXPECT_THAT(*line, AllOf(HasSubstr(target.name()), HasSubstr("ECONNREFUSED")));
    target.open_again();
    converse(client, target);
}

TEST_F(udp_relay_command, after_a_refusal_the_client_gets_the_next_target) {
    udp_target gone;
    gone.close();
    const udp_target alive{"[::1]:0"};
    listening server{{"127.0.0.1:0", "--udp", "--to", gone.name() + "," + alive.name()}};
    const auto client = client_of(server.at("127.0.0.1"));
    put(client, "lost, as the first target in turn refuses it");
    ASSERT_TRUE(server->wait_for_err("a target refuses datagrams"));
    converse(client, alive);
}

TEST_F(udp_relay_command, a_target_may_be_a_name_and_a_service) {
    const udp_target target{"127.0.0.1:53"};
    testkit::replace_file("/etc/hosts", "127.0.0.1 names\n");
    listening server{{"[::1]:0", "--udp", "--to", "names:domain"}};
    converse(client_of(server.at("::1")), target);
}

TEST_F(udp_relay_command, clients_share_the_targets_in_turn) {
    const udp_target one;
    const udp_target two;
    listening server{{"127.0.0.1:0", "--udp", "--to", one.name(), "--to", two.name()}};
    for (int i = 0; i < 3; ++i) {
        const auto first = client_of(server.at("127.0.0.1"));
        const auto second = client_of(server.at("127.0.0.1"));
        converse(first, one);
        converse(second, two);
        converse(first, one); // it stays
    }
}

TEST_F(udp_relay_command, while_the_device_is_down_nothing_leaves) {
    NEEDS("socat");
    const testkit::peer_network there;
    testkit::must_run("ip addr add 192.0.2.1/24 dev va");
    there.must_run("ip addr add 192.0.2.2/24 dev vb");
    auto far = there.prefix();
    far.insert(far.end(), {"socat", "-d", "-d", "UDP4-RECVFROM:7,fork", "EXEC:cat"});
    process echo{far};
    ASSERT_TRUE(echo.wait_for_err("receiving on"));
    listening server{{"127.0.0.1:0", "--udp", "--to", "192.0.2.2:7", "--egress-device", "va"}};
    const auto client = client_of(server.at("127.0.0.1"));
    put(client, "there");
    EXPECT_EQ(take(client), "there");
    testkit::must_run("ip link set va down");
    ASSERT_TRUE(server->wait_for_err("the way out is gone"));
    put(client, "dropped");
    EXPECT_TRUE(server->wait_for_err("clients.dropped.no_egress=1"));
    testkit::must_run("ip link set va up");
    ASSERT_TRUE(server->wait_for_err("the way out is back"));
    put(client, "back");
    EXPECT_EQ(take(client), "back");
}

// ---- the table ----

TEST_F(udp_relay_command, an_idle_client_is_forgotten_and_may_come_again) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name(), "--idle-limit", "100ms"}};
    const auto client = client_of(server.at("127.0.0.1"));
    converse(client, target);
    EXPECT_TRUE(server->wait_for_err("association ended.*reason=expired"));
    converse(client, target, "again");
}

TEST_F(udp_relay_command, a_full_table_keeps_its_conversations) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name(), "--associations", "1"}};
    const auto first = client_of(server.at("127.0.0.1"));
    converse(first, target, "one");
    converse(first, target, "two");
    put(client_of(server.at("127.0.0.1"), "127.0.0.5"), "no room");
    EXPECT_TRUE(server->wait_for_err("datagrams were dropped.*clients.dropped.full=1"));
    converse(first, target, "three");
}

TEST_F(udp_relay_command, one_address_has_its_share_of_the_table) {
    const udp_target target;
    listening server{
        {"127.0.0.1:0", "--udp", "--to", target.name(), "--associations-per-client", "1"}};
    const auto first = client_of(server.at("127.0.0.1"));
    converse(first, target, "one");
    converse(first, target, "two");
    put(client_of(server.at("127.0.0.1")), "no room");
    EXPECT_TRUE(server->wait_for_err("clients.dropped.prefix_full=1"));
    converse(client_of(server.at("127.0.0.1"), "127.0.0.5"), target, "somebody else");
}

TEST_F(udp_relay_command, who_is_not_allowed_is_not_relayed) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name(), "--deny", "127.0.0.9"}};
    put(client_of(server.at("127.0.0.1"), "127.0.0.9"), "denied");
    EXPECT_TRUE(server->wait_for_err("clients.dropped.denied=1"));
    converse(client_of(server.at("127.0.0.1")), target);
}

std::size_t open_descriptors(int of) {
    const std::filesystem::directory_iterator all{"/proc/" + std::to_string(of) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_F(udp_relay_command, with_few_descriptors_every_question_is_still_answered) {
    const udp_target target;
    testkit::process_options few;
    few.descriptor_limit = 40;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}, few};
    ASSERT_TRUE(server->wait_for_err("fewer associations than asked for fit"));
    for (int i = 0; i < 500; ++i) {
        converse(client_of(server.at("127.0.0.1")), target, std::to_string(i));
    }
    EXPECT_LE(open_descriptors(server->pid()), 40U);
    EXPECT_THAT(server->err(), Not(HasSubstr("no_socket")));
}

TEST_F(udp_relay_command, a_relay_to_itself_does_not_go_round) {
    listening server{{"127.0.0.1:5300", "--udp", "--to", "127.0.0.1:5300"}};
    const auto client = client_of(server.at("127.0.0.1"));
    put(client, "round");
    EXPECT_TRUE(server->wait_for_err("clients.dropped.looped=1"));
}

// ---- how it is asked for ----

TEST_F(udp_relay_command, what_only_connections_have_is_refused) {
    const std::string relay = command + " listen 127.0.0.1:0 --udp --to 127.0.0.1:9 ";
    for (const std::string each : {"--check-every 1s", "--proxy-in 127.0.0.1", "--proxy-out v2",
                                   "--half-closed-limit 1s", "--fast-open", "--threads 2"}) {
        const auto got = run_command(relay + each);
        EXPECT_EQ(got.status, 100) << each;
        EXPECT_THAT(got.output, AllOf(HasSubstr(each.substr(0, each.find(' '))),
                                      HasSubstr("about connections, and UDP has none")));
    }
    const auto local = run_command(command + " listen unix:/tmp/x --udp --to 127.0.0.1:9");
    EXPECT_EQ(local.status, 100);
    EXPECT_THAT(local.output, HasSubstr("unix:/tmp/x: datagrams of UNIX sockets are not relayed"));
    const auto records =
        run_command(command + " listen :0 --udp --tcp --to srv:_x._tcp.service.example");
    EXPECT_EQ(records.status, 100);
    EXPECT_THAT(records.output, AllOf(HasSubstr("this relay carries udp"), //
                                      Not(HasSubstr("listening"))));
}

TEST_F(udp_relay_command, an_inherited_socket_is_relayed) {
    const ip::any_endpoint any{ip::endpoint{ip::address::loopback(ip::family::v4), 0}};
    const auto datagrams = os::socket(any, ip::transport::udp).value();
    ASSERT_TRUE(os::bind(datagrams, any));
    const udp_target target;
    testkit::process_options how;
    how.inherit = {datagrams.raw()};
    listening server{{"fd:3", "--udp", "--to", target.name()}, how};
    converse(client_of(os::getsockname(datagrams.raw()).value()), target);
}

TEST_F(udp_relay_command, both_transports_are_relayed_at_once) {
    const target_here stream_target;
    const udp_target target{stream_target.name()}; // the same port
    listening server{{"127.0.0.1:5301,[::1]:5301", "--udp", "--tcp", "--to", target.name()}};
    ASSERT_TRUE(server->wait_for_out("listening udp \\[::1\\]:5301"));
    converse(client_of(server.at("::1")), target);
    auto connection = connect_to(server.at("127.0.0.1"));
    put(connection, "stream");
    auto far = stream_target.accept();
    EXPECT_EQ(take(far), "stream");
    server->signal(SIGTERM); // which takes datagrams and connections to their ends
    ASSERT_TRUE(server->wait_for_err("stopping when the last connection has ended"));
    connection.reset();
    far.reset();
    EXPECT_EQ(server->wait(), 0);
}

// ---- the end ----

TEST_F(udp_relay_command, term_waits_for_an_answer_that_is_on_its_way) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}};
    const auto client = client_of(server.at("127.0.0.1"));
    put(client, "question");
    const auto asked = target.take();
    server->signal(SIGTERM);
    ASSERT_TRUE(server->wait_for_err("stopping.*associations=1"));
    target.answer(asked, "in time");
    EXPECT_EQ(take(client), "in time");
    EXPECT_EQ(server->wait(), 0);
}

TEST_F(udp_relay_command, term_does_not_wait_for_a_target_that_says_nothing) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}};
    put(client_of(server.at("127.0.0.1")), "question");
    static_cast<void>(target.take());
    EXPECT_EQ(server.end(), 0);
}

TEST_F(udp_relay_command, int_ends_it_at_once) {
    const udp_target target;
    listening server{{"127.0.0.1:0", "--udp", "--to", target.name()}};
    put(client_of(server.at("127.0.0.1")), "question");
    static_cast<void>(target.take());
    server->signal(SIGINT);
    EXPECT_EQ(server->wait(), 0);
    EXPECT_THAT(server->err(), HasSubstr("stopping at once"));
}

} // namespace
} // namespace portico
