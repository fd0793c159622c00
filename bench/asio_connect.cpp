// A contestant: what a program does that knows Boost.Asio and not portico. Resolves, tries one
// address after the other, ends when connected. asio_connect HOST PORT

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <iostream>

using tcp = boost::asio::ip::tcp;

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: asio_connect HOST PORT\n";
        return 100;
    }
    boost::asio::io_context loop;
    tcp::resolver resolver{loop};
    tcp::socket socket{loop};
    boost::system::error_code how;
    resolver.async_resolve(argv[1], argv[2], [&](auto unresolved, auto found) {
        how = unresolved;
        if (!how) {
            boost::asio::async_connect(socket, found,
                                       [&](auto failed, const auto&) { how = failed; });
        }
    });
    loop.run();
    if (how) {
        std::cerr << "asio_connect: " << how.message() << '\n';
    }
    return how ? 111 : 0;
}
