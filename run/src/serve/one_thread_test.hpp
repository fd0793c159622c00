// The fixture of the tests of stream services: the service, its clients and their targets share one
// thread, so that whoever waits runs the others, and nothing depends on how fast anybody is.
#pragma once

#include "portico/os/socket.hpp"
#include "portico/run/service.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace portico::run {

class one_thread_test : public testing::Test {
protected:
    using tcp = asio::ip::tcp;
    using error_code = boost::system::error_code;

    // What was read until the stream ended, and how that was.
    struct reading {
        std::string text;
        error_code ended;
    };

    // A client whose connection waits to be given to the service.
    tcp::socket connect(accepted& connection,
                        const asio::ip::address& at = asio::ip::address_v4::loopback()) {
        tcp::acceptor acceptor{context, tcp::endpoint{at, 0}};
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
        starting = true;
        service->start(std::move(connection), ++started, [this](connection_end end) {
            EXPECT_FALSE(starting) << "done is to be called later";
            ends.push_back(std::move(end));
        });
        starting = false;
    }

    tcp::socket client_of_service(const asio::ip::address& at = asio::ip::address_v4::loopback()) {
        accepted connection;
        auto client = connect(connection, at);
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

    template <class Stream>
    void write(Stream& to, std::string_view text) {
        bool done = false;
        asio::async_write(to, asio::buffer(text), [&](error_code wrong, std::size_t) {
            EXPECT_FALSE(wrong) << wrong.message();
            done = true;
        });
        run_until([&] { return done; });
    }

    template <class Stream>
    reading read_to_end(Stream& from) {
        reading all;
        asio::async_read(from, asio::dynamic_buffer(all.text),
                         [&](error_code wrong, std::size_t) { all.ended = wrong; });
        run_until([&] { return bool{all.ended}; });
        return all;
    }

    // Exactly so many bytes.
    template <class Stream>
    std::string read(Stream& from, std::size_t size) {
        std::string text(size, '\0');
        bool done = false;
        asio::async_read(from, asio::buffer(text), [&](error_code wrong, std::size_t) {
            EXPECT_FALSE(wrong) << wrong.message();
            done = true;
        });
        run_until([&] { return done; });
        return text;
    }

    template <class Stream>
    static void close_with_reset(Stream& which) {
        EXPECT_TRUE(os::set_linger_reset(which.native_handle()));
        which.close();
    }

    connection_end only_end() {
        run_until([&] { return !ends.empty(); });
        EXPECT_EQ(ends.size(), 1U);
        return ends.empty() ? connection_end{} : ends.front();
    }

    asio::io_context context{1};
    std::unique_ptr<stream_service> service;
    std::vector<connection_end> ends;
    std::uint64_t started = 0;
    bool starting = false;
};

} // namespace portico::run
