// A contestant: the relay that one writes in an afternoon with Boost.Asio and coroutines. One
// thread; a coroutine with a buffer of 16 KiB for each direction; half-close and reset are passed
// on; no limit, no timeout, no log. asio_relay PORT TARGET_PORT, both on 127.0.0.1, the first on
// ::1 too.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <charconv>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string_view>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct pair {
    tcp::socket client;
    tcp::socket target;
    // Both directions hold a pair; the last one closes it.
    explicit pair(tcp::socket from) : client{std::move(from)}, target{client.get_executor()} {}

    void reset() {
        error_code ignored;
        for (auto* each : {&client, &target}) {
            each->set_option(asio::socket_base::linger{true, 0}, ignored);
            each->close(ignored);
        }
    }
};

asio::awaitable<void> pump(std::shared_ptr<pair> both, tcp::socket& from, tcp::socket& to) {
    std::array<char, 16384> buffer;
    for (;;) {
        error_code failed;
        auto reading = asio::redirect_error(asio::use_awaitable, failed);
        const auto size = co_await from.async_read_some(asio::buffer(buffer), reading);
        if (failed == asio::error::eof) {
            to.shutdown(tcp::socket::shutdown_send, failed);
            co_return;
        }
        if (!failed) {
            auto writing = asio::redirect_error(asio::use_awaitable, failed);
            co_await asio::async_write(to, asio::buffer(buffer, size), writing);
        }
        if (failed) {
            both->reset();
            co_return;
        }
    }
}

asio::awaitable<void> relay(tcp::socket client, tcp::endpoint target) {
    const auto both = std::make_shared<pair>(std::move(client));
    error_code failed;
    auto connecting = asio::redirect_error(asio::use_awaitable, failed);
    co_await both->target.async_connect(target, connecting);
    if (failed) {
        both->reset();
        co_return;
    }
    both->client.set_option(tcp::no_delay{true}, failed);
    both->target.set_option(tcp::no_delay{true}, failed);
    asio::co_spawn(both->client.get_executor(), pump(both, both->target, both->client),
                   asio::detached);
    co_await pump(both, both->client, both->target);
}

asio::awaitable<void> accept_at(tcp::endpoint at, tcp::endpoint target) {
    const auto loop = co_await asio::this_coro::executor;
    tcp::acceptor listener{loop};
    listener.open(at.protocol());
    listener.set_option(tcp::acceptor::reuse_address{true});
    if (at.address().is_v6()) {
        listener.set_option(asio::ip::v6_only{true});
    }
    listener.bind(at);
    listener.listen();
    for (;;) {
        error_code failed;
        auto accepting = asio::redirect_error(asio::use_awaitable, failed);
        auto client = co_await listener.async_accept(accepting);
        if (!failed) {
            asio::co_spawn(loop, relay(std::move(client), target), asio::detached);
        }
    }
}

std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3 || port_of(argv[1]) == 0 || port_of(argv[2]) == 0) {
        std::cerr << "usage: asio_relay PORT TARGET_PORT\n";
        return 100;
    }
    const auto v4 = asio::ip::address{asio::ip::address_v4::loopback()};
    const auto v6 = asio::ip::address{asio::ip::address_v6::loopback()};
    const tcp::endpoint target{v4, port_of(argv[2])};
    asio::io_context loop{1};
    const auto stop = [](std::exception_ptr why) {
        if (why) {
            std::rethrow_exception(why);
        }
    };
    try {
        for (const auto& each : {v4, v6}) {
            asio::co_spawn(loop, accept_at({each, port_of(argv[1])}, target), stop);
        }
        loop.run();
    } catch (const std::exception& why) {
        std::cerr << "asio_relay: " << why.what() << '\n';
        return 111;
    }
    return 0;
}
