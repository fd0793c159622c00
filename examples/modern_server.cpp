// Echoes on every address of both families: example_modern_server [ADDRESS], such as ":7020".
#include "portico/run/listen.hpp"

#include <boost/asio.hpp>
#include <iostream>

namespace asio = boost::asio;
namespace run = portico::run;

asio::awaitable<void> echo(run::stream peer) {
    boost::system::error_code gone; // a client who leaves is no failure of ours
    auto token = asio::redirect_error(asio::use_awaitable, gone);
    std::array<char, 4096> bytes;
    while (!gone) {
        auto size = co_await peer.async_read_some(asio::buffer(bytes), token);
        co_await asio::async_write(peer, asio::buffer(bytes, size), token);
    }
}

asio::awaitable<void> serve(std::vector<portico::plan::wish> wishes) {
    auto loop = co_await asio::this_coro::executor;
    auto never = portico::deadline::never();
    auto started = co_await run::async_listen(loop, wishes, never, asio::use_awaitable);
    std::cout << started.report.text() << std::flush;
    while (started.sockets) {
        auto guest = co_await started.sockets->async_accept(asio::use_awaitable);
        run::stream peer{loop, {AF_UNSPEC, 0}, std::move(guest->socket).release()};
        asio::co_spawn(loop, echo(std::move(peer)), asio::detached);
    }
}

int main(int argc, char** argv) {
    const char* text = argc > 1 ? argv[1] : ":0";
    const auto where = portico::ip::parse_listen_address(text);
    asio::io_context loop;
    where ? asio::co_spawn(loop, serve({{*where}}), asio::detached)
          : void(std::cerr << explain(text, where.error()) << '\n');
    loop.run();
}
