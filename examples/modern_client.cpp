// Says hello to a service on any of its addresses: example_modern_client HOST PORT.
#include "portico/race/timeline.hpp"
#include "portico/run/dial.hpp"

#include <boost/asio.hpp>
#include <iostream>

namespace asio = boost::asio;
namespace run = portico::run;

asio::awaitable<void> greet(run::dial_request where, int& code) {
    auto loop = co_await asio::this_coro::executor;
    auto reached = co_await run::async_dial(loop, where, asio::use_awaitable);
    std::cerr << portico::race::draw(reached.story, where.host);
    if (reached.why) {
        std::cerr << reached.text << '\n';
        code = exit_code(reached.why->who);
        co_return;
    }
    asio::generic::stream_protocol any{AF_UNSPEC, 0};
    decltype(any)::socket peer{loop, any, std::move(reached.socket).release()};
    auto hello = asio::buffer("hello\n", 6);
    co_await asio::async_write(peer, hello, asio::use_awaitable);
    peer.shutdown(peer.shutdown_send); // the end of what we say, not of what we hear
    boost::system::error_code end;
    std::string answer;
    auto limited = asio::dynamic_buffer(answer, 1 << 20);
    co_await asio::async_read(peer, limited, asio::redirect_error(asio::use_awaitable, end));
    std::cout << answer;
}

int main(int argc, char** argv) {
    asio::io_context loop;
    const std::vector<std::string> words{argv + 1, argv + argc};
    int code = 0;
    asio::co_spawn(loop, greet({words.at(0), words.at(1)}, code), asio::detached);
    loop.run();
    return code;
}
