#include "portico/run/builtin.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <gtest/gtest.h>

namespace portico::run {
namespace {

using asio::ip::udp;
using boost::system::error_code;

class builtin_datagrams : public testing::Test {
protected:
    builtin_datagrams() { open(ip::address::any(ip::family::v4)); }

    void open(const ip::address& where) {
        sockets.clear();
        const ip::endpoint wish{where, 0};
        auto made = os::socket(wish, ip::transport::udp);
        EXPECT_TRUE(made && os::set_receive_packet_info(*made, ip::family::v4) &&
                    os::bind(*made, wish));
        auto& socket = sockets.emplace_back();
        socket.at = os::getsockname(made->raw()).value();
        socket.over = ip::transport::udp;
        socket.descriptor = std::move(*made);
    }

    void serve(serve::builtin kind, datagram_options options = {}) {
        service.emplace(context.get_executor(), sockets, kind, options,
                        [this](const datagram_end& end) { heard.push_back(end); });
    }

    std::uint16_t port() const { return std::get<ip::endpoint>(sockets[0].at).port; }
    udp::endpoint target(unsigned last = 1) const {
        return {asio::ip::address_v4{0x7f000000U + last}, port()};
    }

    void run_until_heard(std::size_t count) {
        while (heard.size() < count) {
            ASSERT_NE(context.run_one(), 0U);
        }
    }

    // The answer, which must come from `target`.
    std::string ask(std::string_view query, const udp::endpoint& to) {
        context.restart(); // it stops when there was nothing to do
        client.send_to(asio::buffer(query), to);
        std::string room(70'000, '\0');
        udp::endpoint from;
        std::optional<std::size_t> size;
        client.async_receive_from(asio::buffer(room), from, [&](error_code wrong, std::size_t n) {
            EXPECT_FALSE(wrong);
            size = n;
        });
        while (!size) {
            context.run_one();
        }
        EXPECT_EQ(from, to);
        room.resize(*size);
        return room;
    }

    asio::io_context context;
    std::vector<bound_socket> sockets;
    std::optional<datagram_service> service;
    std::vector<datagram_end> heard;
    udp::socket client{context, udp::endpoint{asio::ip::address_v4::loopback(), 0}};
};

TEST_F(builtin_datagrams, echo_answers_each_query_from_the_address_that_it_came_to) {
    serve(serve::builtin::echo);
    EXPECT_EQ(ask("one", target(1)), "one");
    EXPECT_EQ(ask("", target(2)), "");
    const std::string large(60'000, 'x');
    EXPECT_EQ(ask(large, target(3)), large);
    ASSERT_EQ(heard.size(), 3U);
    EXPECT_EQ(heard[2].local,
              (ip::any_endpoint{ip::endpoint{ip::address::v4(127, 0, 0, 3), port()}}));
    EXPECT_EQ(heard[2].received, 60'000U);
    EXPECT_EQ(heard[2].sent, 60'000U);
    EXPECT_FALSE(heard[2].why);
    EXPECT_EQ(service->counters().answered, 3U);
}

TEST_F(builtin_datagrams, discard_answers_nothing) {
    serve(serve::builtin::discard);
    client.send_to(asio::buffer("query", 5), target());
    run_until_heard(1);
    EXPECT_EQ(heard[0].received, 5U);
    EXPECT_EQ(heard[0].sent, 0U);
    EXPECT_FALSE(heard[0].why);
    EXPECT_EQ(service->counters().dropped.total(), 0U);
}

TEST_F(builtin_datagrams, chargen_answers_with_the_lengths_of_its_seed) {
    serve(serve::builtin::chargen, {.seed = 42});
    serve::chargen_lengths lengths{42};
    for (int i = 0; i < 20; ++i) {
        const auto answer = ask("", target());
        EXPECT_EQ(answer, serve::chargen_turn().substr(0, lengths.next()));
    }
}

TEST_F(builtin_datagrams, daytime_time_and_hello_answer_in_one_datagram) {
    serve(serve::builtin::daytime);
    EXPECT_TRUE(ask("", target()).ends_with("-UTC\r\n"));
    serve(serve::builtin::time);
    EXPECT_EQ(ask("", target()).size(), 4U);
    serve(serve::builtin::hello);
    EXPECT_EQ(
        ask("", target()),
        "hello from portico: you are 127.0.0.1:" + std::to_string(client.local_endpoint().port()) +
            ", this is 127.0.0.1:" + std::to_string(port()) + ", over IPv4\n");
}

TEST_F(builtin_datagrams, another_of_us_is_not_answered) {
    open(ip::address::loopback(ip::family::v4)); // leaves the port free on the other address
    serve(serve::builtin::echo);
    udp::socket loop{context, udp::endpoint{asio::ip::make_address("127.0.0.9"), port()}};
    loop.send_to(asio::buffer("loop", 4), target());
    run_until_heard(1);
    EXPECT_EQ(heard[0].why, serve::drop::own_port);
    EXPECT_EQ(service->counters().dropped.of(serve::drop::own_port), 1U);
    EXPECT_EQ(service->counters().answered, 0U);
    EXPECT_EQ(loop.available(), 0U);
}

TEST_F(builtin_datagrams, answers_longer_than_their_queries_are_bounded) {
    serve(serve::builtin::time, {.amplification_rate = 0, .amplification_burst = 9});
    EXPECT_EQ(ask("", target()).size(), 4U);
    EXPECT_EQ(ask("", target()).size(), 4U);
    client.send_to(asio::buffer("", 0), target());
    run_until_heard(3);
    EXPECT_EQ(heard[2].why, serve::drop::amplification);
    EXPECT_EQ(ask("1234", target()).size(), 4U); // free
}

TEST_F(builtin_datagrams, more_queries_than_a_turn_takes_are_all_answered) {
    serve(serve::builtin::discard);
    for (int i = 0; i < 150; ++i) {
        client.send_to(asio::buffer("x", 1), target());
    }
    run_until_heard(150);
    EXPECT_EQ(service->counters().received, 150U);
}

TEST_F(builtin_datagrams, a_stopped_service_reads_no_more) {
    serve(serve::builtin::echo);
    client.send_to(asio::buffer("x", 1), target());
    service->stop();
    context.run(); // ends: nothing is waited for
    EXPECT_TRUE(heard.empty());
    EXPECT_NE(sockets[0].descriptor.raw(), -1);
}

} // namespace
} // namespace portico::run
