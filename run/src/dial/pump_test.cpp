#include "portico/run/pump.hpp"

#include "portico/os/socket.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace portico::run {
namespace {

using namespace std::chrono_literals;

struct two {
    os::fd first;
    os::fd second;
};

two make_pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    return {os::fd{ends[0]}, os::fd{ends[1]}};
}

// The pump's end is non-blocking, as a dial leaves it; the peer's blocks, which suits a test.
two make_connection(int type = SOCK_STREAM) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {os::fd{ends[0]}, os::fd{ends[1]}};
}

// A real TCP connection, for resets.
two make_tcp() {
    const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
    auto listener = os::socket(any, ip::transport::tcp).value();
    EXPECT_TRUE(os::bind(listener, any) && os::listen(listener, 1));
    auto client = os::socket(any, ip::transport::tcp).value();
    (void)os::connect(client, os::getsockname(listener.raw()).value());
    ::fcntl(listener.raw(), F_SETFL, 0);
    auto peer = os::accept4(listener.raw()).value();
    ::fcntl(peer.socket.raw(), F_SETFL, 0);
    return {std::move(client), std::move(peer.socket)};
}

void put(const os::fd& to, std::string_view text) {
    while (!text.empty()) {
        const auto size = ::write(to.raw(), text.data(), text.size());
        ASSERT_GT(size, 0);
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

std::string take_all(const os::fd& from) {
    std::string all;
    std::array<char, 65536> part{};
    for (;;) {
        const auto size = ::read(from.raw(), part.data(), part.size());
        if (size <= 0) {
            return all;
        }
        all.append(part.data(), static_cast<std::size_t>(size));
    }
}

// Text whose every part differs, so that a lost or doubled piece shows.
std::string numbered(std::size_t size) {
    std::string made;
    for (std::size_t i = 0; made.size() < size; ++i) {
        made += std::to_string(i) + ",";
    }
    made.resize(size);
    return made;
}

TEST(pump, the_end_of_input_is_a_fin_and_the_answer_is_read_to_its_end) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    put(in.second, "question");
    in.second.reset();
    std::thread peer{[&] {
        EXPECT_EQ(take_all(connection.second), "question"); // returns because of the FIN
        put(connection.second, "answer");
        connection.second.reset();
    }};
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    peer.join();
    out.second.reset();
    EXPECT_FALSE(went.why);
    EXPECT_EQ(take_all(out.first), "answer");
    EXPECT_EQ(went.sent, 8U);
    EXPECT_EQ(went.received, 6U);
}

TEST(pump, the_rest_of_the_input_is_sent_after_the_peer_has_ended) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    ::shutdown(connection.second.raw(), SHUT_WR);
    const auto text = numbered(300'000);
    std::string got;
    std::thread peer{[&] { got = take_all(connection.second); }};
    std::thread writer{[&] {
        put(in.second, text);
        in.second.reset();
    }};
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    writer.join();
    peer.join();
    EXPECT_FALSE(went.why);
    EXPECT_FALSE(went.cut_short);
    EXPECT_EQ(got, text);
}

TEST(pump, megabytes_go_both_ways_at_once_unchanged) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    const auto up = numbered(5'000'000);
    const auto down = numbered(6'000'000);
    std::string got_up;
    std::string got_down;
    std::thread writer{[&] {
        put(in.second, up);
        in.second.reset();
    }};
    std::thread peer_reads{[&] { got_up = take_all(connection.second); }};
    std::thread peer_writes{[&] {
        put(connection.second, down);
        ::shutdown(connection.second.raw(), SHUT_WR);
    }};
    std::thread reader{[&] { got_down = take_all(out.first); }};
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    out.second.reset();
    for (auto* each : {&writer, &peer_reads, &peer_writes, &reader}) {
        each->join();
    }
    EXPECT_FALSE(went.why);
    EXPECT_EQ(got_up, up);
    EXPECT_EQ(got_down, down);
}

TEST(pump, an_output_that_nobody_reads_holds_the_peer_back) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    ::fcntl(connection.second.raw(), F_SETFL, O_NONBLOCK);
    std::atomic<bool> done{false};
    std::size_t taken = 0;
    std::thread peer{[&] {
        // Until nothing more is taken, many times in a row: then the pump holds only its buffers.
        const std::string block(65536, 'x');
        for (int refused = 0; refused < 200;) {
            const auto size = ::write(connection.second.raw(), block.data(), block.size());
            if (size > 0) {
                taken += static_cast<std::size_t>(size);
                refused = 0;
            } else {
                ++refused;
                std::this_thread::yield();
            }
            if (taken > (64U << 20)) {
                break; // no back-pressure at all
            }
        }
        out.first.reset(); // nobody will read: the pump ends
        done = true;
    }};
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    peer.join();
    EXPECT_TRUE(done);
    EXPECT_TRUE(went.output_closed);
    EXPECT_FALSE(went.why);
    EXPECT_LT(taken, 16U << 20);
}

TEST(pump, a_closed_output_ends_it_without_a_signal_even_when_nothing_comes) {
    struct sigaction before {};
    ::sigaction(SIGPIPE, nullptr, &before);
    ASSERT_EQ(before.sa_handler, SIG_DFL);
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    out.first.reset();
    EXPECT_TRUE(pump(in.first.raw(), out.second.raw(), std::move(connection.first)).output_closed);
}

TEST(pump, a_closed_input_is_an_empty_one) {
    auto out = make_pipe();
    auto connection = make_connection();
    put(connection.second, "greeting");
    std::thread peer{[&] {
        EXPECT_EQ(take_all(connection.second), "");
        connection.second.reset();
    }};
    const auto went = pump(1'000'000, out.second.raw(), std::move(connection.first));
    peer.join();
    EXPECT_FALSE(went.why);
    EXPECT_EQ(went.received, 8U);
}

TEST(pump, a_reset_is_an_error_after_what_came_before_it) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_tcp();
    put(connection.second, "last words");
    std::thread peer{[&] {
        char byte = 0;
        EXPECT_EQ(::read(connection.second.raw(), &byte, 1), 1); // the pump has begun
        EXPECT_TRUE(os::set_linger_reset(connection.second.raw()));
        connection.second.reset();
    }};
    put(in.second, "x");
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    peer.join();
    out.second.reset();
    ASSERT_TRUE(went.why);
    EXPECT_EQ(went.why->code.value(), ECONNRESET);
    EXPECT_EQ(went.why->who, side::peer);
    EXPECT_EQ(take_all(out.first), "last words");
}

TEST(pump, early_bytes_come_first) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    put(connection.second, " and late");
    connection.second.reset();
    in.second.reset();
    pump_options how;
    how.early = {std::byte{'e'}, std::byte{'a'}};
    const auto went =
        pump(in.first.raw(), out.second.raw(), std::move(connection.first), std::move(how));
    out.second.reset();
    EXPECT_EQ(take_all(out.first), "ea and late");
    EXPECT_EQ(went.received, 11U);
}

TEST(pump, the_idle_limit_is_an_error) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    pump_options how;
    how.idle = 20ms;
    const auto went =
        pump(in.first.raw(), out.second.raw(), std::move(connection.first), std::move(how));
    ASSERT_TRUE(went.why);
    EXPECT_EQ(went.why->code, std::errc::timed_out);
}

// An address at which nobody is: its port was ours a moment ago.
os::fd make_refused() {
    const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
    auto gone = os::socket(any, ip::transport::udp).value();
    EXPECT_TRUE(os::bind(gone, any));
    auto client = os::socket(any, ip::transport::udp).value();
    EXPECT_TRUE(os::connect(client, os::getsockname(gone.raw()).value()));
    return client;
}

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span{text});
    return {bytes.begin(), bytes.end()};
}

TEST(pump, datagrams_that_are_refused_before_any_answer_come_back_in_their_order) {
    pump_options how;
    how.datagrams = true;
    how.first = {bytes_of("one"), bytes_of("two"), bytes_of("three")};
    auto out = make_pipe();
    const auto sent = how.first;
    const auto went = pump(-1, out.second.raw(), make_refused(), how);
    ASSERT_TRUE(went.why);
    EXPECT_EQ(went.why->code, std::errc::connection_refused);
    ASSERT_TRUE(went.refused);
    EXPECT_EQ(*went.refused, sent);
    EXPECT_TRUE(went.input_ended);
}

TEST(pump, more_refused_datagrams_than_are_kept_do_not_come_back) {
    auto in = make_pipe();
    auto out = make_pipe();
    pump_options how;
    how.datagrams = true;
    how.first = {std::vector<std::byte>(40'000), std::vector<std::byte>(40'000)};
    const auto went = pump(in.first.raw(), out.second.raw(), make_refused(), how);
    EXPECT_EQ(went.why->code, std::errc::connection_refused);
    EXPECT_FALSE(went.refused);
    EXPECT_FALSE(went.input_ended);
}

TEST(pump, what_is_refused_after_an_answer_does_not_come_back) {
    const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
    auto peer = os::socket(any, ip::transport::udp).value();
    ASSERT_TRUE(os::bind(peer, any));
    auto client = os::socket(any, ip::transport::udp).value();
    ASSERT_TRUE(os::connect(client, os::getsockname(peer.raw()).value()));
    ASSERT_TRUE(os::connect(peer, os::getsockname(client.raw()).value()));
    put(peer, "answer");
    auto in = make_pipe();
    auto out = make_pipe();
    std::thread user{[&] {
        std::array<char, 6> got{};
        EXPECT_EQ(::read(out.first.raw(), got.data(), got.size()), 6);
        peer.reset();
        put(in.second, "nobody gets this");
    }};
    pump_options how;
    how.datagrams = true;
    const auto went = pump(in.first.raw(), out.second.raw(), std::move(client), how);
    user.join();
    EXPECT_EQ(went.why->code, std::errc::connection_refused);
    EXPECT_FALSE(went.refused);
}

TEST(pump, datagrams_keep_their_edges_and_end_a_while_after_the_input) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection(SOCK_DGRAM);
    put(in.second, "one");
    in.second.reset();
    put(connection.second, "first");
    put(connection.second, "second");
    pump_options how;
    how.datagrams = true;
    how.after_input = 50ms;
    const auto went =
        pump(in.first.raw(), out.second.raw(), std::move(connection.first), std::move(how));
    out.second.reset();
    EXPECT_FALSE(went.why);
    EXPECT_EQ(take_all(out.first), "firstsecond");
    std::array<char, 16> got{};
    EXPECT_EQ(::recv(connection.second.raw(), got.data(), got.size(), MSG_DONTWAIT), 3);
}

TEST(pump, descriptors_are_left_as_they_were) {
    auto in = make_pipe();
    auto out = make_pipe();
    auto connection = make_connection();
    in.second.reset();
    connection.second.reset();
    (void)pump(in.first.raw(), out.second.raw(), std::move(connection.first));
    EXPECT_EQ(::fcntl(in.first.raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(out.second.raw(), F_GETFL) & O_NONBLOCK, 0);
}

} // namespace
} // namespace portico::run
