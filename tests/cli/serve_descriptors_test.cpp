// All services of a host share its descriptors.

#include "serving.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::HasSubstr;

class serve_descriptors : public serve_command {
protected:
    static testkit::process_options few() {
        testkit::process_options made;
        made.descriptor_limit = 100;
        return made;
    }
};

constexpr std::size_t flood = 150;

TEST_F(serve_descriptors, a_flood_at_one_service_leaves_the_others_what_they_need) {
    listening target{{"[::1]:0", "-q", "--echo"}};
    write("[metrics]\nlisten = '127.0.0.1:9108'\n"
          "[service.flooded]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n"
          "[service.relay]\nlisten = '127.0.0.1:7002'\nto = '[::1]:" +
          target.port() +
          "'\n[service.program]\nlisten = '127.0.0.1:7003'\nprogram = ['cat']\n"
          "[service.datagrams]\nlisten = '127.0.0.1:7004'\nudp = true\nto = '127.0.0.1:7005'\n"
          "[service.time]\nlisten = '127.0.0.1:7005'\nudp = true\nbuiltin = 'daytime'\n");
    auto server = serve(few());
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:9108")) << server.err();
    std::vector<os::fd> clients;
    for (std::size_t i = 0; i < flood; ++i) {
        clients.push_back(connect_to(at("127.0.0.1:7001")));
        put(clients.back(), "x");
    }
    ASSERT_TRUE(server.wait_for_err("as many clients together as there are descriptors for"));
    const auto relayed = connect_to(at("127.0.0.1:7002"));
    EXPECT_EQ(ask(relayed, "hi"), "hi");
    EXPECT_EQ(echoed(at("127.0.0.1:7002"), "two"), "two");
    EXPECT_EQ(echoed(at("127.0.0.1:7003"), "cat"), "cat");
    EXPECT_THAT(ask(connect_to(at("127.0.0.1:7004"), ip::transport::udp), "?"), HasSubstr("20"));
    const auto asking = connect_to(at("127.0.0.1:9108"));
    EXPECT_THAT(ask(asking, "GET /metrics HTTP/1.0\r\n\r\n"), HasSubstr("200 OK"));
    for (auto& each : clients) { // those that wait are served when there is room
        EXPECT_EQ(take(each), "x");
        each.reset();
    }
    server.signal(SIGTERM);
    ASSERT_TRUE(server.wait_for_err("stopping"));
    EXPECT_THAT(server.err(), testing::Not(HasSubstr("accept.shed")));
}

TEST_F(serve_descriptors, a_flood_of_datagrams_leaves_the_others_what_they_need) {
    write("[service.flooded]\nlisten = '127.0.0.1:7001'\nudp = true\nto = '127.0.0.1:7002'\n"
          "[service.time]\nlisten = '127.0.0.1:7002'\nudp = true\nbuiltin = 'discard'\n"
          "[service.relay]\nlisten = '127.0.0.1:7003'\nto = '127.0.0.1:7004'\n"
          "[service.echo]\nlisten = '127.0.0.1:7004'\nbuiltin = 'echo'\n");
    auto server = serve(few());
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7004")) << server.err();
    std::vector<os::fd> clients;
    for (std::size_t i = 0; i < flood; ++i) {
        clients.push_back(connect_to(at("127.0.0.1:7001"), ip::transport::udp));
        put(clients.back(), "x");
    }
    ASSERT_TRUE(server.wait_for_err("dropped.no_socket="));
    EXPECT_EQ(echoed(at("127.0.0.1:7003"), "hi"), "hi");
}

TEST_F(serve_descriptors, a_reload_counts_them_anew) {
    const std::string one = "[service.one]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n";
    write(one);
    auto server = serve(few());
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    std::vector<os::fd> clients;
    for (std::size_t i = 0; i < flood; ++i) {
        clients.push_back(connect_to(at("127.0.0.1:7001")));
        put(clients.back(), "x");
    }
    ASSERT_TRUE(server.wait_for_err("full|as many clients together"));
    write(one + "[service.two]\nlisten = '127.0.0.1:7002'\nbuiltin = 'echo'\n");
    ASSERT_TRUE(reload(server, 1));
    for (std::size_t i = 0; i < flood / 2; ++i) {
        EXPECT_EQ(take(clients[i]), "x");
        clients[i].reset();
    }
    EXPECT_EQ(echoed(at("127.0.0.1:7002"), "new"), "new");
    for (std::size_t i = flood / 2; i < flood; ++i) {
        EXPECT_EQ(take(clients[i]), "x");
        clients[i].reset();
    }
}

TEST_F(serve_descriptors, a_host_with_too_few_of_them_does_not_start_or_says_so) {
    std::string many;
    for (int i = 0; i < 20; ++i) {
        const auto port = std::to_string(7100 + i);
        many += "[service.s" + port + "]\nlisten = 'localhost:" + port + "'\nbuiltin = 'echo'\n";
    }
    write(many);
    testkit::process_options how;
    how.descriptor_limit = 64; // and 40 sockets
    const auto start = [&] {
        process server{{command, "serve", config_}, how};
        EXPECT_EQ(server.wait(), 111);
        return server.err();
    };
    EXPECT_THAT(start(), HasSubstr("raise the limit of open files: ulimit -n, LimitNOFILE="));
    how.descriptor_limit = 30;
    EXPECT_THAT(start(), HasSubstr("as many open files as it may have; raise the limit"));
    how.descriptor_limit = 100;
    auto server = serve(how);
    ASSERT_TRUE(server.wait_for_err("hardly any descriptors for clients.*services=20 "))
        << server.err();
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(echoed(at("[::1]:7119"), "hi"), "hi");
    }
}

TEST_F(serve_descriptors, the_limit_is_raised_for_the_host_and_not_for_its_programs) {
    write("[metrics]\nlisten = '127.0.0.1:9108'\n[service.limit]\nlisten = '127.0.0.1:7001'\n"
          "program = ['sh', '-c', 'ulimit -Sn; ulimit -Hn']\n");
    process server{
        {"sh", "-c", "ulimit -Sn 90; ulimit -Hn 200; exec \"$0\" serve \"$1\"", command, config_}};
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:9108")) << server.err();
    EXPECT_EQ(read_to_end(connect_to(at("127.0.0.1:7001"))).text, "90\n200\n");
    EXPECT_THAT(ask(connect_to(at("127.0.0.1:9108")), "GET /metrics HTTP/1.0\r\n\r\n"),
                HasSubstr("portico_descriptors_max 200"));
}

} // namespace
} // namespace portico
