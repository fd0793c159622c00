#include "portico/run/builtin.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace portico::run {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

// A service and its clients, all on one thread: whoever waits runs the others.
class builtin_streams : public testing::Test {
protected:
    void serve(serve::builtin kind, builtin_options options = {}) {
        service = make_builtin_service(context.get_executor(), kind, options);
    }

    // A client whose connection waits to be given to the service.
    tcp::socket connect(accepted& connection) {
        tcp::acceptor acceptor{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        tcp::socket client{context};
        client.connect(acceptor.local_endpoint());
        auto taken = os::accept4(acceptor.native_handle());
        EXPECT_TRUE(taken.has_value());
        connection.local = os::getsockname(taken->socket.raw()).value();
        connection.peer = taken->peer;
        connection.socket = std::move(taken->socket);
        client.non_blocking(true);
        return client;
    }

    void start(accepted connection) {
        service->start(std::move(connection), ++started, [this](connection_end end) {
            EXPECT_TRUE(may_end);
            ends.push_back(std::move(end));
        });
        may_end = true;
    }

    tcp::socket client_of_service() {
        accepted connection;
        auto client = connect(connection);
        may_end = false; // not within start()
        start(std::move(connection));
        return client;
    }

    template <class Condition>
    void run_until(Condition holds) {
        context.restart(); // it stops when there was nothing to do
        while (!holds()) {
            ASSERT_NE(context.run_one(), 0U) << "nothing is left to wait for";
        }
    }

    void write(tcp::socket& client, std::string_view text) {
        bool done = false;
        asio::async_write(client, asio::buffer(text), [&](error_code wrong, std::size_t) {
            EXPECT_FALSE(wrong) << wrong.message();
            done = true;
        });
        run_until([&] { return done; });
    }

    // All until the end of the stream, which must be a proper one.
    std::string read_all(tcp::socket& client) {
        std::string all;
        error_code ended;
        asio::async_read(client, asio::dynamic_buffer(all),
                         [&](error_code wrong, std::size_t) { ended = wrong; });
        run_until([&] { return bool{ended}; });
        EXPECT_EQ(ended, asio::error::eof);
        return all;
    }

    const connection_end& end_of_the_only_one() {
        run_until([this] { return !ends.empty(); });
        return ends.at(0);
    }

    asio::io_context context;
    std::unique_ptr<stream_service> service;
    std::vector<connection_end> ends;
    std::uint64_t started = 0;
    bool may_end = true;
};

TEST_F(builtin_streams, echo_answers_until_the_end_and_then_ends) {
    serve(serve::builtin::echo);
    auto client = client_of_service();
    const auto here = client.local_endpoint();
    const auto there = client.remote_endpoint();
    write(client, "one ");
    write(client, "two");
    client.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_all(client), "one two");
    const auto& end = end_of_the_only_one();
    EXPECT_FALSE(end.why);
    EXPECT_EQ(end.number, 1U);
    EXPECT_EQ(end.received, 7U);
    EXPECT_EQ(end.sent, 7U);
    EXPECT_GT(end.lasted, duration::zero());
    EXPECT_EQ(std::get<ip::endpoint>(end.peer).port, here.port());
    EXPECT_EQ(std::get<ip::endpoint>(end.local).port, there.port());
}

TEST_F(builtin_streams, echo_queues_nothing_for_a_client_that_does_not_read) {
    serve(serve::builtin::echo);
    auto client = client_of_service();
    const std::string piece(64 << 10, 'x');
    std::size_t written = 0;
    constexpr std::size_t far_beyond_all_buffers = 256 << 20;
    for (int idle = 0; idle < 100 && written < far_beyond_all_buffers;) {
        error_code wrong;
        const auto size = client.write_some(asio::buffer(piece), wrong);
        written += size;
        const bool moved = context.poll() != 0 || size != 0;
        idle = moved ? 0 : idle + 1;
    }
    EXPECT_LT(written, far_beyond_all_buffers);
    client.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_all(client).size(), written);
    EXPECT_EQ(end_of_the_only_one().sent, written);
}

TEST_F(builtin_streams, discard_reads_to_the_end_and_says_nothing) {
    serve(serve::builtin::discard);
    auto client = client_of_service();
    write(client, std::string(300'000, 'x'));
    client.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_all(client), "");
    const auto& end = end_of_the_only_one();
    EXPECT_FALSE(end.why);
    EXPECT_EQ(end.received, 300'000U);
    EXPECT_EQ(end.sent, 0U);
}

TEST_F(builtin_streams, chargen_ends_at_its_limit) {
    constexpr std::size_t limit = 1'234'567;
    serve(serve::builtin::chargen, {.chargen_limit = limit});
    auto client = client_of_service();
    const auto all = read_all(client);
    ASSERT_EQ(all.size(), limit);
    const auto turn = serve::chargen_turn();
    for (std::size_t at = 0; at < all.size(); at += turn.size()) {
        ASSERT_EQ(all.substr(at, turn.size()), turn.substr(0, std::min(turn.size(), limit - at)));
    }
    client.close();
    EXPECT_EQ(end_of_the_only_one().sent, limit);
    EXPECT_FALSE(ends.front().why);
}

TEST_F(builtin_streams, chargen_waits_for_a_client_that_does_not_read) {
    serve(serve::builtin::chargen, {.chargen_limit = std::uint64_t{1} << 50});
    auto client = client_of_service();
    for (int idle = 0; idle < 100;) { // ends: the kernel's buffers are full at some time
        idle = context.poll() != 0 ? 0 : idle + 1;
    }
    EXPECT_TRUE(ends.empty());
    client.set_option(asio::socket_base::linger{true, 0});
    client.close(); // a reset
    const auto& end = end_of_the_only_one();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->who, side::peer);
}

TEST_F(builtin_streams, daytime_is_a_line) {
    serve(serve::builtin::daytime);
    auto client = client_of_service();
    const auto all = read_all(client);
    EXPECT_TRUE(all.ends_with("-UTC\r\n")) << all;
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1);
}

TEST_F(builtin_streams, time_is_four_bytes) {
    serve(serve::builtin::time);
    auto client = client_of_service();
    EXPECT_EQ(read_all(client).size(), 4U);
}

TEST_F(builtin_streams, hello_tells_the_addresses) {
    serve(serve::builtin::hello);
    auto client = client_of_service();
    const auto here = std::to_string(client.local_endpoint().port());
    const auto there = std::to_string(client.remote_endpoint().port());
    EXPECT_EQ(read_all(client), "hello from portico: you are 127.0.0.1:" + here +
                                    ", this is 127.0.0.1:" + there + ", over IPv4\n");
    EXPECT_TRUE(ends.empty()); // it lingers until the client closes
    client.close();
    EXPECT_FALSE(end_of_the_only_one().why);
}

TEST_F(builtin_streams, what_the_client_says_does_not_destroy_the_answer) {
    serve(serve::builtin::hello);
    accepted connection;
    auto client = connect(connection);
    write(client, std::string(100'000, 'x')); // in the buffers, unread
    start(std::move(connection));
    EXPECT_TRUE(read_all(client).starts_with("hello"));
    client.close();
    EXPECT_EQ(end_of_the_only_one().received, 100'000U);
}

TEST_F(builtin_streams, lingering_ends_after_its_time) {
    serve(serve::builtin::hello, {.linger = std::chrono::milliseconds{1}});
    auto first = client_of_service();
    auto second = client_of_service();
    run_until([this] { return ends.size() == 2; });
    EXPECT_EQ(ends[0].number, 1U);
    EXPECT_FALSE(ends[0].why);
    EXPECT_TRUE(read_all(second).starts_with("hello"));
}

TEST_F(builtin_streams, lingering_ends_after_its_bytes) {
    serve(serve::builtin::hello, {.linger = std::chrono::hours{1}, .linger_bytes = 1000});
    auto client = client_of_service();
    write(client, std::string(1001, 'x'));
    EXPECT_EQ(end_of_the_only_one().received, 1001U);
}

TEST_F(builtin_streams, a_reset_is_an_error_of_the_peer) {
    serve(serve::builtin::echo);
    auto client = client_of_service();
    client.set_option(asio::socket_base::linger{true, 0});
    client.close();
    const auto& end = end_of_the_only_one();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::connection_reset);
    EXPECT_EQ(end.why->who, side::peer);
    EXPECT_EQ(end.why->at, end.peer);
}

TEST_F(builtin_streams, stop_now_resets_every_connection) {
    serve(serve::builtin::echo);
    auto first = client_of_service();
    auto second = client_of_service();
    may_end = false; // not within stop_now()
    service->stop_now();
    may_end = true;
    run_until([this] { return ends.size() == 2; });
    for (const auto& end : ends) {
        ASSERT_TRUE(end.why);
        EXPECT_EQ(end.why->code, std::errc::operation_canceled);
    }
    error_code wrong;
    char room = 0;
    second.non_blocking(false);
    second.read_some(asio::buffer(&room, 1), wrong);
    EXPECT_EQ(wrong, asio::error::connection_reset);
}

TEST_F(builtin_streams, stop_now_ends_what_lingers_and_what_comes_later_is_served) {
    serve(serve::builtin::hello, {.linger = std::chrono::milliseconds{1}});
    auto first = client_of_service();
    EXPECT_TRUE(read_all(first).starts_with("hello"));
    service->stop_now();
    run_until([this] { return ends.size() == 1; });
    auto second = client_of_service();
    run_until([this] { return ends.size() == 2; });
    EXPECT_FALSE(ends[1].why);
}

TEST_F(builtin_streams, a_service_that_is_destroyed_leaves_nothing_behind) {
    serve(serve::builtin::hello, {.linger = std::chrono::hours{1}});
    auto lingering = client_of_service();
    EXPECT_TRUE(read_all(lingering).starts_with("hello"));
    auto fresh = client_of_service();
    service.reset();
    context.run();
    EXPECT_TRUE(ends.empty());
}

} // namespace
} // namespace portico::run
