#include "portico/run/datagram_program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace portico::run {
namespace {

using asio::ip::udp;
using boost::system::error_code;
using testing::HasSubstr;

class datagram_program_test : public testing::Test {
protected:
    static datagram_program_options shell(const std::string& script) {
        datagram_program_options how;
        how.program.path = "/bin/sh";
        how.program.arguments = {"sh", "-c", script};
        how.program.environment = {"PATH=/usr/bin:/bin", "UDPLOCALIP=wrong"};
        how.program.grace = std::chrono::seconds{30};
        return how;
    }

    void serve(datagram_program_options how, admission_settings who = {}) {
        const ip::endpoint wish{ip::address::any(ip::family::v4), 0};
        auto made = os::socket(wish, ip::transport::udp);
        ASSERT_TRUE(made && os::set_receive_packet_info(*made, ip::family::v4) &&
                    os::bind(*made, wish));
        auto& socket = sockets.emplace_back();
        socket.at = os::getsockname(made->raw()).value();
        socket.over = ip::transport::udp;
        socket.descriptor = std::move(*made);
        service = std::make_unique<datagram_program>(
            context.get_executor(), std::move(how), std::make_shared<admission>(who), sockets,
            [this](const query_end& end) { ends.push_back(end); });
    }
    [[nodiscard]] std::uint16_t port() const { return std::get<ip::endpoint>(sockets[0].at).port; }
    void send(udp::socket& from, std::string_view text, unsigned last = 1) {
        from.send_to(asio::buffer(text),
                     udp::endpoint{asio::ip::address_v4{0x7f000000U + last}, port()});
    }
    template <class Condition>
    void run_until(Condition holds) {
        context.restart();
        while (!holds()) {
            ASSERT_NE(context.run_one(), 0U) << "nothing is left to wait for";
        }
    }
    void run_until_ends(std::size_t count) {
        run_until([&] { return ends.size() >= count; });
    }
    // What has come to a client, after the end of the program that sent it.
    static std::string received(udp::socket& by) {
        std::string room(70'000, '\0');
        udp::endpoint from;
        by.non_blocking(true);
        error_code wrong;
        const auto size = by.receive_from(asio::buffer(room), from, 0, wrong);
        return wrong ? "(nothing)" : room.substr(0, size) + "|" + from.address().to_string();
    }

    asio::io_context context;
    std::vector<bound_socket> sockets;
    std::unique_ptr<datagram_program> service;
    std::vector<query_end> ends;
    udp::socket client{context, udp::endpoint{asio::ip::address_v4::loopback(), 0}};
};

TEST_F(datagram_program_test, reads_the_datagram_and_writes_the_answer) {
    serve(shell("cat; echo \" to $UDPLOCALIP from $UDPREMOTEIP\""));
    send(client, "a query\nof two lines", 7);
    run_until_ends(1);
    EXPECT_EQ(received(client), "a query\nof two lines to 127.0.0.7 from 127.0.0.1\n|127.0.0.7");
    EXPECT_EQ(ends[0].exit_status, 0);
    EXPECT_EQ(ends[0].query.received, 20U);
    EXPECT_EQ(ends[0].query.sent, 49U);
    EXPECT_FALSE(ends[0].why || ends[0].query.why);
    EXPECT_EQ(service->counters().answered, 1U);
}

TEST_F(datagram_program_test, an_empty_datagram_is_one_too) {
    serve(shell("wc -c"));
    send(client, "");
    run_until_ends(1);
    EXPECT_EQ(received(client), "0\n|127.0.0.1");
}

TEST_F(datagram_program_test, may_have_no_answer) {
    serve(shell("cat >/dev/null; exit 3"));
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(received(client), "(nothing)");
    EXPECT_EQ(ends[0].exit_status, 3);
    EXPECT_EQ(service->programs().failed, 1U);
}

TEST_F(datagram_program_test, has_no_answer_when_a_signal_ended_it) {
    serve(shell("echo half; kill -9 $$"));
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(received(client), "(nothing)");
    EXPECT_EQ(ends[0].exit_status, 137);
}

TEST_F(datagram_program_test, several_writes_are_one_answer) {
    serve(shell("echo one; /bin/echo two; /bin/echo three"));
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(received(client), "one\ntwo\nthree\n|127.0.0.1");
    EXPECT_EQ(received(client), "(nothing)");
}

TEST_F(datagram_program_test, the_longest_answer_arrives) {
    serve(shell("head -c " + std::to_string(longest_answer) + " /dev/zero"));
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(received(client).size(), longest_answer + std::string_view{"|127.0.0.1"}.size());
}

TEST_F(datagram_program_test, an_answer_that_does_not_fit_is_none) {
    serve(shell("head -c 1000000 /dev/zero"));
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(ends[0].query.why, serve::drop::too_long);
    EXPECT_EQ(ends[0].exit_status, 0);
    EXPECT_EQ(received(client), "(nothing)");
}

TEST_F(datagram_program_test, the_longest_datagram_is_read) {
    serve(shell("wc -c"));
    asio::socket_base::send_buffer_size room{200'000};
    client.set_option(room);
    send(client, std::string(65'507, 'x'));
    run_until_ends(1);
    EXPECT_EQ(received(client), "65507\n|127.0.0.1");
}

TEST_F(datagram_program_test, while_it_is_full_datagrams_wait_in_their_order) {
    admission_settings one;
    one.max_connections = 1;
    serve(shell("cat"), one);
    for (const auto* each : {"1", "2", "3"}) {
        send(client, each);
    }
    for (std::size_t done = 0; done < 3; ++done) {
        run_until([&] { return ends.size() > done || service->running() > 1; });
        ASSERT_LE(service->running(), 1U);
    }
    EXPECT_EQ(received(client), "1|127.0.0.1");
    EXPECT_EQ(received(client), "2|127.0.0.1");
    EXPECT_EQ(received(client), "3|127.0.0.1");
}

TEST_F(datagram_program_test, or_are_dropped) {
    admission_settings one;
    one.max_connections = 1;
    one.then = admit::when_full::refuse;
    serve(shell("cat"), one);
    send(client, "1");
    send(client, "2");
    run_until_ends(2);
    EXPECT_EQ(ends[0].query.why, serve::drop::full);
    EXPECT_EQ(ends[0].number, 0U);
    EXPECT_EQ(service->counters().dropped.of(serve::drop::full), 1U);
    EXPECT_EQ(received(client), "1|127.0.0.1");
}

TEST_F(datagram_program_test, who_is_not_allowed_starts_none) {
    admission_settings nobody;
    const std::vector<admit::access_rule> rules{
        {ip::parse_prefix("127.0.0.0/8").value(), admit::ruling::deny}};
    nobody.access = admit::access{rules};
    serve(shell("cat"), nobody);
    send(client, "x");
    run_until_ends(1);
    EXPECT_EQ(ends[0].query.why, serve::drop::denied);
    EXPECT_EQ(service->programs().started, 0U);
}

TEST_F(datagram_program_test, a_query_from_itself_starts_none) {
    serve(shell("cat"));
    const auto at = ip::endpoint{ip::address::v4(127, 0, 0, 1), port()};
    os::datagram itself;
    itself.from = at;
    itself.to = at.address;
    ASSERT_TRUE(os::send_reply(sockets[0].descriptor.raw(), itself, {}));
    run_until_ends(1);
    EXPECT_EQ(ends[0].query.why, serve::drop::own_port);
}

TEST_F(datagram_program_test, a_time_limit_ends_it_without_an_answer) {
    auto how = shell("echo x; sleep 1000");
    how.program.time_limit = std::chrono::milliseconds{1};
    serve(std::move(how));
    send(client, "x");
    run_until_ends(1);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::timed_out);
    EXPECT_EQ(received(client), "(nothing)");
}

TEST_F(datagram_program_test, one_that_cannot_start_is_told) {
    auto how = shell("");
    how.program.path = "/nonexistent";
    serve(std::move(how));
    send(client, "x");
    run_until_ends(1);
    ASSERT_TRUE(ends[0].why);
    EXPECT_THAT(ends[0].detail, HasSubstr("/nonexistent"));
    EXPECT_EQ(service->running(), 0U);
}

TEST_F(datagram_program_test,
       answers_after_the_service_has_stopped_reading_and_the_socket_is_closed) {
    serve(shell("cat"));
    send(client, "x");
    run_until([&] { return service->running() == 1; });
    service->drain();
    sockets.clear();
    run_until_ends(1);
    EXPECT_THAT(received(client), HasSubstr("x|"));
}

TEST_F(datagram_program_test, is_ended_when_it_must_stop_now) {
    serve(shell("trap 'exit 0' TERM; sleep 1000 & wait"));
    send(client, "x");
    run_until([&] { return service->running() == 1; });
    service->stop_now();
    run_until_ends(1);
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::operation_canceled);
}

TEST_F(datagram_program_test, runs_on_when_nobody_waits_for_it) {
    serve(shell("cat"));
    send(client, "x");
    run_until([&] { return service->running() == 1; });
    service.reset();
    context.restart();
    context.poll();
    EXPECT_TRUE(ends.empty());
}

} // namespace
} // namespace portico::run
