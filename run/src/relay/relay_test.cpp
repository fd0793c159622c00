#include "portico/run/relay.hpp"
#include "serve/one_thread_test.hpp"

#include <boost/asio/read_until.hpp>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::run {
namespace {

using testing::HasSubstr;

// Bytes that are different at each place of a long stream.
std::string pattern(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    std::uint32_t state = seed;
    for (auto& each : text) {
        state = state * 1664525 + 1013904223;
        each = static_cast<char>(state >> 24);
    }
    return text;
}

class relay : public one_thread_test {
protected:
    void SetUp() override { relay_to(acceptor); }

    void relay_to(const tcp::acceptor& where, relay_options how = {}) {
        how.targets.emplace_back().host = "127.0.0.1";
        how.targets.back().port = std::to_string(where.local_endpoint().port());
        service = make_relay_service(context.get_executor(), std::move(how)).value();
    }

    struct joined {
        tcp::socket client;
        tcp::socket target;
    };
    joined join() {
        auto client = client_of_service();
        joined made{std::move(client), accept_target()};
        write(made.target, "!"); // its arrival shows that the relay knows it is connected
        EXPECT_EQ(read(made.client, 1), "!");
        return made;
    }
    tcp::socket accept_target() {
        tcp::socket made{context};
        bool done = false;
        acceptor.async_accept(made, [&](error_code wrong) {
            EXPECT_FALSE(wrong);
            done = true;
        });
        run_until([&] { return done; });
        made.non_blocking(true);
        return made;
    }

    // Writes until nothing goes on any more, whoever runs; returns how much went.
    std::size_t fill(tcp::socket& from) {
        const std::string chunk(64 << 10, 'x');
        std::size_t total = 0;
        for (int idle = 0; idle < 100;) {
            const auto sent = os::send(from.native_handle(), std::as_bytes(std::span{chunk}));
            total += sent.value_or(0);
            context.restart();
            idle = context.poll() == 0 && !sent ? idle + 1 : 0;
        }
        return total;
    }

    // No connection more is taken, and none is refused: the queue is full.
    static std::vector<os::fd> stuff_queue(tcp::acceptor& which) {
        which.listen(0);
        const ip::endpoint to{ip::address::v4(127, 0, 0, 1), which.local_endpoint().port()};
        std::vector<os::fd> all;
        for (int i = 0; i < 4; ++i) {
            all.push_back(os::socket(to, ip::transport::tcp).value());
            static_cast<void>(os::connect(all.back(), to)); // in progress
        }
        return all;
    }

    tcp::acceptor acceptor{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
};

TEST_F(relay, the_end_of_the_input_goes_on_and_the_answer_comes_back) {
    auto [client, target] = join();
    write(client, "question");
    client.shutdown(tcp::socket::shutdown_send);
    const auto question = read_to_end(target);
    EXPECT_EQ(question.text, "question");
    EXPECT_EQ(question.ended, asio::error::eof);
    write(target, "the answer");
    target.close();
    const auto answer = read_to_end(client);
    EXPECT_EQ(answer.text, "the answer");
    EXPECT_EQ(answer.ended, asio::error::eof);
    const auto end = only_end();
    EXPECT_FALSE(end.why);
    EXPECT_EQ(end.received, 8U);
    EXPECT_EQ(end.sent, 11U);
    EXPECT_THAT(end.detail, HasSubstr("connected"));
}

TEST_F(relay, the_target_may_end_first) {
    auto [client, target] = join();
    write(target, "banner");
    target.shutdown(tcp::socket::shutdown_send);
    const auto banner = read_to_end(client);
    EXPECT_EQ(banner.text, "banner");
    EXPECT_EQ(banner.ended, asio::error::eof);
    write(client, "still here");
    client.close();
    EXPECT_EQ(read_to_end(target).text, "still here");
    EXPECT_FALSE(only_end().why);
}

TEST_F(relay, both_may_end_at_once) {
    auto [client, target] = join();
    write(client, "a");
    write(target, "b");
    client.shutdown(tcp::socket::shutdown_send);
    target.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_to_end(client).text, "b");
    EXPECT_EQ(read_to_end(target).text, "a");
    EXPECT_FALSE(only_end().why);
}

TEST_F(relay, a_reset_of_the_client_goes_on) {
    auto [client, target] = join();
    write(client, "half a line");
    EXPECT_EQ(read(target, 11), "half a line");
    close_with_reset(client);
    EXPECT_EQ(read_to_end(target).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::connection_reset);
    EXPECT_EQ(end.why->who, side::peer);
    EXPECT_EQ(end.why->at, end.peer);
}

TEST_F(relay, a_reset_of_the_target_goes_on) {
    auto [client, target] = join();
    const auto where = target.local_endpoint().port();
    close_with_reset(target);
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::connection_reset);
    EXPECT_EQ(std::get<ip::endpoint>(end.why->at).port, where);
}

TEST_F(relay, what_was_sent_before_a_reset_arrives_before_it) {
    auto [client, target] = join();
    const auto text = pattern(10'000, 1);
    ASSERT_EQ(asio::write(client, asio::buffer(text)), text.size()); // the relay does not run
    close_with_reset(client);
    const auto got = read_to_end(target);
    EXPECT_EQ(got.ended, asio::error::connection_reset);
    EXPECT_EQ(got.text.size(), text.size());
    EXPECT_TRUE(got.text == text);
}

TEST_F(relay, a_reset_goes_on_also_while_the_other_side_does_not_read) {
    for (const bool client_resets : {true, false}) {
        auto [client, target] = join();
        auto& writer = client_resets ? client : target;
        auto& reader = client_resets ? target : client;
        EXPECT_GT(fill(writer), 0U);
        close_with_reset(writer);
        run_until([&] { return !ends.empty(); });
        EXPECT_EQ(ends.front().why->code, std::errc::connection_reset);
        EXPECT_EQ(read_to_end(reader).ended, asio::error::connection_reset);
        ends.clear();
    }
}

TEST_F(relay, a_reset_goes_on_after_the_end_of_the_stream) {
    auto [client, target] = join();
    client.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_to_end(target).ended, asio::error::eof);
    close_with_reset(client);
    run_until([&] { return !ends.empty(); });
    EXPECT_EQ(only_end().why->code, std::errc::connection_reset);
    error_code wrong;
    asio::write(target, asio::buffer("x", 1), wrong);
    EXPECT_TRUE(wrong == asio::error::connection_reset || wrong == asio::error::broken_pipe)
        << wrong.message();
}

TEST_F(relay, a_client_that_resets_ends_the_dial) {
    tcp::acceptor full{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    const auto waiting = stuff_queue(full);
    relay_to(full);
    auto client = client_of_service();
    context.restart();
    context.poll();
    EXPECT_TRUE(ends.empty());
    close_with_reset(client);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_EQ(end.why->code, std::errc::connection_reset);
    EXPECT_EQ(end.why->at, end.peer);
    context.restart();
    context.run(); // returns: the dial was cancelled
}

TEST_F(relay, a_client_may_send_all_and_end_before_the_target_is_there) {
    auto client = client_of_service();
    ASSERT_EQ(asio::write(client, asio::buffer("early", 5)), 5U);
    client.close();
    auto target = accept_target();
    const auto got = read_to_end(target);
    EXPECT_EQ(got.text, "early");
    EXPECT_EQ(got.ended, asio::error::eof);
    target.close();
    EXPECT_FALSE(only_end().why);
}

// A UNIX socket says that its peer has gone although its bytes are still to be read.
TEST_F(relay, a_unix_client_may_do_so_too) {
    std::array<int, 2> ends_of{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_of.data()),
              0);
    ASSERT_EQ(::send(ends_of[0], "early", 5, 0), 5);
    ::close(ends_of[0]);
    start({os::fd{ends_of[1]}, ip::unix_name{}, ip::unix_name{}, 0});
    auto target = accept_target();
    EXPECT_EQ(read_to_end(target).text, "early");
    target.close();
    EXPECT_FALSE(only_end().why);
}

TEST_F(relay, a_target_that_cannot_be_reached_is_a_reset_and_every_attempt_is_told) {
    const auto gone = acceptor.local_endpoint().port();
    acceptor.close();
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    const auto end = only_end();
    ASSERT_TRUE(end.why);
    EXPECT_THAT(end.detail, HasSubstr("127.0.0.1:" + std::to_string(gone)));
    EXPECT_THAT(end.detail, HasSubstr("refused"));
}

TEST_F(relay, a_slow_reader_holds_its_writer_back_and_nothing_is_lost) {
    relay_options how;
    how.settings.buffer = 1000;
    relay_to(acceptor, how);
    auto [client, target] = join();
    const auto sent = fill(client);
    EXPECT_LT(sent, 64U << 20); // the kernel's buffers, and ours
    client.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_to_end(target).text.size(), sent);
    target.close();
    EXPECT_EQ(only_end().received, sent);
}

TEST_F(relay, bytes_are_whole_and_in_order_both_ways_at_once) {
    auto [client, target] = join();
    const auto there = pattern(8 << 20, 1);
    const auto back = pattern(8 << 20, 2);
    reading at_target;
    reading at_client;
    const auto sent_by = [](tcp::socket& which) {
        return [&which](error_code wrong, std::size_t) {
            EXPECT_FALSE(wrong) << wrong.message();
            which.shutdown(tcp::socket::shutdown_send);
        };
    };
    asio::async_write(client, asio::buffer(there), sent_by(client));
    asio::async_write(target, asio::buffer(back), sent_by(target));
    asio::async_read(target, asio::dynamic_buffer(at_target.text),
                     [&](error_code wrong, std::size_t) { at_target.ended = wrong; });
    asio::async_read(client, asio::dynamic_buffer(at_client.text),
                     [&](error_code wrong, std::size_t) { at_client.ended = wrong; });
    run_until([&] { return at_target.ended && at_client.ended; });
    EXPECT_EQ(at_target.ended, asio::error::eof);
    EXPECT_EQ(at_client.ended, asio::error::eof);
    EXPECT_TRUE(at_target.text == there);
    EXPECT_TRUE(at_client.text == back);
    const auto end = only_end();
    EXPECT_EQ(end.received, there.size());
    EXPECT_EQ(end.sent, back.size() + 1);
}

TEST_F(relay, what_comes_right_behind_a_proxy_s_answer_is_not_lost) {
    relay_options how;
    auto& target = how.targets.emplace_back();
    target.host = "target.test";
    target.port = "80";
    target.via = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
    service = make_relay_service(context.get_executor(), how).value();
    auto client = client_of_service();
    auto proxy = accept_target();
    std::string asked;
    bool done = false;
    asio::async_read_until(proxy, asio::dynamic_buffer(asked), "\r\n\r\n",
                           [&](error_code, std::size_t) { done = true; });
    run_until([&] { return done; });
    write(proxy, "HTTP/1.1 200 OK\r\n\r\nearly ");
    write(proxy, "late");
    proxy.close();
    EXPECT_EQ(read_to_end(client).text, "early late");
    client.close();
    EXPECT_FALSE(only_end().why);
}

TEST_F(relay, stopping_resets_both_sides_and_ends_a_dial) {
    auto [client, target] = join();
    tcp::acceptor full{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    service->stop_now();
    EXPECT_TRUE(ends.empty()); // told later
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    EXPECT_EQ(read_to_end(target).ended, asio::error::connection_reset);
    EXPECT_EQ(only_end().why->code, std::errc::operation_canceled);

    ends.clear();
    const auto waiting = stuff_queue(full);
    relay_to(full);
    auto second = client_of_service();
    context.restart();
    context.poll();
    service->stop_now();
    EXPECT_EQ(read_to_end(second).ended, asio::error::connection_reset);
    EXPECT_EQ(only_end().why->code, std::errc::operation_canceled);
}

TEST_F(relay, nothing_is_told_after_its_end) {
    auto [client, target] = join();
    auto dialling = client_of_service();
    service.reset();
    EXPECT_EQ(read_to_end(client).ended, asio::error::connection_reset);
    EXPECT_EQ(read_to_end(target).ended, asio::error::connection_reset);
    EXPECT_EQ(read_to_end(dialling).ended, asio::error::connection_reset);
    context.restart();
    context.run();
    EXPECT_TRUE(ends.empty());
}

} // namespace
} // namespace portico::run
