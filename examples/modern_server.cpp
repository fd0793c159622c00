// An echo service on every address, or on those given: modern_server [ADDR,...]
#include <portico/run/listen.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iostream>

namespace asio = boost::asio;
using namespace portico;

asio::awaitable<void> echo(run::stream client) {
    std::array<char, 4096> bytes;
    for (;;) { // ends by the exception that the end of the stream is; `detached` drops it
        const auto size = co_await client.async_read_some(asio::buffer(bytes), asio::use_awaitable);
        co_await asio::async_write(client, asio::buffer(bytes, size), asio::use_awaitable);
    }
}

asio::awaitable<void> serve(std::vector<plan::wish> wishes) {
    const auto here = co_await asio::this_coro::executor;
    auto start = co_await run::async_listen(here, wishes, deadline::never(), asio::use_awaitable);
    std::cout << start.report.text() << std::flush; // every socket, or why there is none
    while (start.sockets) {
        auto client = co_await start.sockets->async_accept(asio::use_awaitable);
        auto stream = run::make_stream(here, std::move(client->socket), client->peer);
        asio::co_spawn(here, echo(std::move(stream)), asio::detached);
    }
}

int main(int argc, char** argv) {
    const auto where = ip::parse_listen_addresses(argc > 1 ? argv[1] : ":0").value();
    asio::io_context context;
    asio::co_spawn(context, serve(plan::make_wishes(where)), asio::detached);
    context.run();
}
