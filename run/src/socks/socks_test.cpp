#include "portico/run/socks.hpp"

#include "serve/one_thread_test.hpp"

#include <gmock/gmock.h>

namespace portico::run {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

class socks_service_test : public one_thread_test {
protected:
    void make(socks_options how = {}) {
        auto made = make_socks_service(context.get_executor(), std::move(how));
        ASSERT_TRUE(made.has_value()) << to_text(made.error());
        socks = made->get();
        service = *std::move(made);
    }
    void make_with_rule(socks_options how = {}) {
        how.rules = admit::parse_destination_rules("127.0.0.1:*", admit::ruling::allow).value();
        make(std::move(how));
    }

    // A client that has asked for an address of this host.
    tcp::socket asking(const asio::ip::address_v4& host, std::uint16_t port) {
        auto client = client_of_service();
        const auto bytes = host.to_bytes();
        std::string request = "\5\1\0\5\1\0\1"s;
        request.append(bytes.begin(), bytes.end());
        request += static_cast<char>(port >> 8);
        request += static_cast<char>(port & 0xff);
        write(client, request);
        return client;
    }
    tcp::socket asking(const tcp::endpoint& where) {
        return asking(where.address().to_v4(), where.port());
    }
    tcp::socket accept() {
        tcp::socket made{context};
        bool done = false;
        acceptor.async_accept(made, [&](error_code wrong) {
            EXPECT_FALSE(wrong);
            done = true;
        });
        run_until([&] { return done; });
        return made;
    }

    const socks_service* socks = nullptr;
    tcp::acceptor acceptor{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
};

TEST_F(socks_service_test, a_client_that_says_nothing_is_closed_in_time) {
    make({.patience = std::chrono::milliseconds{20}});
    auto client = client_of_service();
    EXPECT_EQ(read_to_end(client).ended, asio::error::eof);
    const auto end = only_end();
    EXPECT_EQ(end.why->code, std::errc::timed_out);
    EXPECT_EQ(end.why->who, side::peer);
    EXPECT_THAT(end.detail, HasSubstr("the request did not come in time"));
    EXPECT_EQ(socks->counters().late, 1U);
}

TEST_F(socks_service_test, patience_is_for_the_request_and_not_for_what_follows) {
    make_with_rule({.patience = std::chrono::milliseconds{200}});
    auto client = asking(acceptor.local_endpoint());
    auto far = accept();
    EXPECT_EQ(read(client, 12).substr(0, 4), "\5\0\5\0"s);
    asio::steady_timer later{context, std::chrono::milliseconds{400}};
    bool is_later = false;
    later.async_wait([&](error_code) { is_later = true; });
    run_until([&] { return is_later; });
    EXPECT_TRUE(ends.empty());
    write(far, "late");
    EXPECT_EQ(read(client, 4), "late");
    client.close();
    EXPECT_EQ(read_to_end(far).ended, asio::error::eof);
    far.close();
    EXPECT_FALSE(only_end().why);
    EXPECT_EQ(socks->counters().connected, 1U);
}

TEST_F(socks_service_test, a_refused_client_that_does_not_close_is_closed_after_a_while) {
    make({.linger = std::chrono::milliseconds{20}});
    auto client = asking(acceptor.local_endpoint());
    const auto answer = read_to_end(client);
    EXPECT_EQ(answer.text, "\5\0\5\2\0\1\0\0\0\0\0\0"s);
    EXPECT_EQ(answer.ended, asio::error::eof);
    const auto end = only_end();
    EXPECT_EQ(end.why->code, std::errc::permission_denied);
    EXPECT_THAT(end.detail, HasSubstr("CONNECT 127.0.0.1:"));
    using refused = admit::destination_refusal;
    EXPECT_EQ(socks->counters().not_allowed[static_cast<std::size_t>(refused::loopback)], 1U);
    using wire::socks5_refusal;
    EXPECT_EQ(socks->counters().refused[static_cast<std::size_t>(socks5_refusal::not_opened)], 1U);
}

TEST_F(socks_service_test, a_refused_client_that_goes_on_sending_is_read_for_a_while_only) {
    make({.linger = std::chrono::hours{1}});
    auto client = client_of_service();
    const std::string flood(std::size_t{1} << 20, 'x');
    bool over = false;
    asio::async_write(client, asio::buffer(flood), [&](error_code, std::size_t) { over = true; });
    run_until([&] { return over && !ends.empty(); });
    EXPECT_THAT(only_end().detail, HasSubstr("not_socks5"));
}

TEST_F(socks_service_test, a_client_that_is_reset_while_its_target_is_dialled_ends_at_once) {
    make_with_rule({.connect_timeout = std::chrono::hours{1}});
    // A queue that is full: the dial waits.
    tcp::acceptor full{context};
    full.open(tcp::v4());
    full.bind({asio::ip::address_v4::loopback(), 0});
    full.listen(0);
    const ip::endpoint at{ip::address::loopback(ip::family::v4), full.local_endpoint().port()};
    std::vector<os::fd> queued;
    for (int i = 0; i < 2; ++i) {
        queued.push_back(os::socket(at, ip::transport::tcp).value());
        static_cast<void>(os::connect(queued.back(), at));
    }
    auto client = asking(full.local_endpoint());
    EXPECT_EQ(read(client, 2), "\5\0"s);
    for (int i = 0; i < 100; ++i) {
        context.poll(); // the dial has begun
    }
    EXPECT_TRUE(ends.empty());
    close_with_reset(client);
    EXPECT_EQ(only_end().why->code, std::errc::connection_reset);
}

TEST_F(socks_service_test, a_stop_resets_whoever_is_there_and_tells) {
    make_with_rule();
    auto silent = client_of_service();
    auto joined = asking(acceptor.local_endpoint());
    auto far = accept();
    EXPECT_EQ(read(joined, 12).size(), 12U);
    service->stop_now();
    run_until([&] { return ends.size() == 2; });
    for (auto* each : {&silent, &joined, &far}) {
        EXPECT_EQ(read_to_end(*each).ended, asio::error::connection_reset);
    }
    for (const auto& each : ends) {
        EXPECT_EQ(each.why->code, std::errc::operation_canceled);
    }
}

TEST_F(socks_service_test, it_may_be_destroyed_at_any_time_and_tells_nobody) {
    make_with_rule();
    auto silent = client_of_service();
    auto dialling = asking(acceptor.local_endpoint());
    auto joined = asking(acceptor.local_endpoint());
    auto one = accept();
    auto other = accept();
    EXPECT_EQ(read(joined, 12).size(), 12U);
    auto asked = asking(acceptor.local_endpoint());
    service.reset();
    EXPECT_TRUE(read_to_end(silent).ended);
    EXPECT_TRUE(read_to_end(joined).ended);
    EXPECT_TRUE(read_to_end(asked).ended);
    context.restart();
    context.poll();
    EXPECT_TRUE(ends.empty());
}

} // namespace
} // namespace portico::run
