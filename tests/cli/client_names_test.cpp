// --log-names: what clients are called, in the line of a connection's end.

#include "portico/testkit/dns_server.hpp"

#include "serving.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::HasSubstr;
using testing::Not;
using testkit::dns_answer;
using testkit::dns_type;

constexpr const char* v6_name =
    "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";

class client_names : public serve_command {
protected:
    void SetUp() override {
        serve_command::SetUp();
        if (IsSkipped()) {
            return;
        }
        testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1\n");
        testkit::must_run("ip addr replace 10.1.2.3/32 dev lo");
        testkit::must_run("ip addr replace 10.1.2.4/32 dev lo");
        testkit::must_run("ip addr replace 10.1.2.5/32 dev lo");
        testkit::must_run("ip addr replace fd00::3/128 dev lo nodad");
    }
    static testkit::dns_script script() {
        return {{{"3.2.1.10.in-addr.arpa", dns_type::ptr}, {.names = {"client.test"}}},
                {{"client.test", dns_type::a}, {.addresses = {"10.9.9.9", "10.1.2.3"}}},
                {{v6_name, dns_type::ptr}, {.names = {"six.test"}}},
                {{"six.test", dns_type::aaaa}, {.addresses = {"fd00::3"}}},
                {{"4.2.1.10.in-addr.arpa", dns_type::ptr}, {.names = {"liar.test"}}},
                {{"liar.test", dns_type::a}, {.addresses = {"10.9.9.9"}}},
                {{"5.2.1.10.in-addr.arpa", dns_type::ptr}, {.how = dns_answer::kind::silence}}};
    }
    // A connection from this address, from beginning to end.
    static void use(const ip::any_endpoint& server, const std::string& from) {
        const auto own = at(from);
        const auto client = blocking(os::socket(server, ip::transport::tcp).value());
        ASSERT_TRUE(os::bind(client, own)) << from;
        ASSERT_TRUE(os::connect(client, server)) << from;
        EXPECT_EQ(ask(client, "hi"), "hi") << "whether or not it has a name";
        EXPECT_TRUE(os::shutdown_send(client.raw()));
        EXPECT_EQ(take(client), "");
    }
    static std::size_t questions_for(const testkit::dns_server& names, const std::string& name) {
        const auto asked = names.asked();
        return static_cast<std::size_t>(std::count_if(
            asked.begin(), asked.end(), [&](const auto& each) { return each.first == name; }));
    }
};

TEST_F(client_names, a_confirmed_name_is_in_the_line_of_the_end) {
    const testkit::dns_server names{script()};
    listening server{{":0", "--echo", "--log-names"}};
    use(server.at("127.0.0.1"), "10.1.2.3:0");
    EXPECT_TRUE(server->wait_for_err(
        "connection ended.*network.peer.address=10.1.2.3.*network.peer.name=client.test\n"))
        << server->err();
    use(server.at("::1"), "[fd00::3]:0");
    EXPECT_TRUE(server->wait_for_err("network.peer.address=fd00::3.*network.peer.name=six.test\n"));
    // It is kept.
    use(server.at("127.0.0.1"), "10.1.2.3:0");
    EXPECT_TRUE(server->wait_for_err("connection=3 .*network.peer.name=client.test\n"));
    EXPECT_EQ(questions_for(names, "3.2.1.10.in-addr.arpa"), 1U);
}

TEST_F(client_names, a_name_that_has_another_address_is_not_shown) {
    const testkit::dns_server names{script()};
    listening server{{":0", "--echo", "--log-names"}};
    use(server.at("127.0.0.1"), "10.1.2.4:0");
    EXPECT_TRUE(server->wait_for_err("connection ended.*network.peer.address=10.1.2.4.*\n"));
    EXPECT_EQ(questions_for(names, "liar.test"), 1U) << "it was asked";
    EXPECT_THAT(server->err(), Not(HasSubstr("liar")));
}

TEST_F(client_names, who_cannot_be_asked_for_is_logged_without_and_at_the_end_at_once) {
    const testkit::dns_server names{script()};
    listening server{{":0", "--echo", "--log-names"}};
    use(server.at("127.0.0.1"), "10.1.2.5:0");
    use(server.at("127.0.0.1"), "10.1.2.3:0");
    ASSERT_TRUE(server->wait_for_err("network.peer.name=client.test\n")) << "others do not wait";
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("network.peer.address=10.1.2.5"));
}

TEST_F(client_names, nobody_is_asked_for_unless_it_is_wanted) {
    const testkit::dns_server names{script()};
    listening server{{":0", "--echo"}};
    use(server.at("127.0.0.1"), "10.1.2.3:0");
    EXPECT_TRUE(server->wait_for_err("connection ended.*network.peer.address=10.1.2.3.*\n"));
    EXPECT_THAT(server->err(), Not(HasSubstr("network.peer.name")));
    EXPECT_TRUE(names.asked().empty());
}

TEST_F(client_names, of_a_relay_of_serve_too_and_a_variable_is_enough) {
    const testkit::dns_server names{script()};
    listening target{{"localhost:0", "--echo", "-q"}};
    write("[service.relay]\nlisten = 'localhost:7001'\nto = '127.0.0.1:" + target.port() + "'\n");
    auto server = serve({.environment = {{"PORTICO_LOG_NAMES", "true"}}});
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001\n")) << server.err();
    use(at("127.0.0.1:7001"), "10.1.2.3:0");
    EXPECT_TRUE(server.wait_for_err(
        "connection ended\" service=relay .*10.1.2.3.*network.peer.name=client.test\n"));
}

// ---- other variables ----

TEST_F(client_names, a_reload_begins_and_ends_to_ask_for_them) {
    const testkit::dns_server names{script()};
    const std::string service = "[service.a]\nlisten = ':7001'\nbuiltin = 'echo'\n";
    write(service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp .*:7001")) << server.err();
    use(at("127.0.0.1:7001"), "10.1.2.3:0");
    EXPECT_TRUE(server.wait_for_err("connection=1 "));
    EXPECT_THAT(server.err(), Not(HasSubstr("network.peer.name")));
    write("[log]\nnames = true\n" + service);
    ASSERT_TRUE(reload(server, 1));
    use(at("127.0.0.1:7001"), "10.1.2.3:0");
    EXPECT_TRUE(server.wait_for_err("connection=2 .*network.peer.name=client.test\n"));
    write(service);
    ASSERT_TRUE(reload(server, 2));
    use(at("127.0.0.1:7001"), "10.1.2.3:0");
    const auto last = server.wait_for_err("(connection=3 .*)\n");
    ASSERT_TRUE(last) << server.err();
    EXPECT_THAT(*last, Not(HasSubstr("network.peer.name")));
}

TEST_F(client_names, variables_are_defaults_and_a_wrong_one_is_told) {
    write("[service.a]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n");
    {
        process server{{command, "serve"},
                       {.environment = {{"PORTICO_CONFIG", config_},
                                        {"PORTICO_LOG_FORMAT", "json"},
                                        {"PORTICO_LOG_LEVEL", "debug"}}}};
        ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001\n")) << server.err();
        EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
        EXPECT_TRUE(server.wait_for_err("\"msg\":\"connection began\""));
    }
    {
        listening server{
            {":0", "--echo", "--log-format", "logfmt", "-q"},
            {.environment = {{"PORTICO_LOG_FORMAT", "json"}, {"PORTICO_LOG_LEVEL", "debug"}}}};
        EXPECT_EQ(echoed(server.at("127.0.0.1"), "hi"), "hi");
        EXPECT_EQ(server.end(), 0);
        EXPECT_EQ(server->err(), "") << "options win";
    }
    const auto wrong = testkit::run_command("PORTICO_LOG_LEVEL=loud " + command +
                                            " listen 127.0.0.1:0 --echo 2>&1");
    EXPECT_EQ(wrong.status, 100);
    EXPECT_EQ(wrong.output, "portico: listen: PORTICO_LOG_LEVEL=loud: it is error, warning, info "
                            "or debug\n");
}

} // namespace
} // namespace portico
