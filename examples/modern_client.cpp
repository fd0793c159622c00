// Sends a line to a service on any of its addresses, prints the answer: modern_client HOST PORT
#include <portico/race/timeline.hpp>
#include <portico/run/dial.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iostream>

namespace asio = boost::asio;
using namespace portico;
asio::awaitable<void> ask(run::dial_request whom, int& exit_code) {
    const auto here = co_await asio::this_coro::executor;
    auto dialled = co_await run::async_dial(here, whom, asio::use_awaitable);
    std::cerr << race::draw(dialled.story, whom.host); // every attempt, with its own error
    if (dialled.why) {
        co_return;
    }
    auto server = run::make_stream(here, std::move(dialled.socket), dialled.peer);
    const std::string question = "hello\n";
    co_await asio::async_write(server, asio::buffer(question), asio::use_awaitable);
    server.shutdown(run::stream::shutdown_send); // we have said all; the answer is still to come
    std::string answer;
    boost::system::error_code end;
    auto token = asio::redirect_error(asio::use_awaitable, end);
    co_await asio::async_read(server, asio::dynamic_buffer(answer), token);
    std::cout << answer;
    exit_code = 0;
}

int main(int, char** argv) {
    asio::io_context context;
    int exit_code = 111;
    asio::co_spawn(context, ask({.host = argv[1], .port = argv[2]}, exit_code), asio::detached);
    context.run();
    return exit_code;
}
