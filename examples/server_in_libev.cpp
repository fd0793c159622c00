// modern_server in somebody else's loop: run::async_listen opens the sockets, libev does the rest.
// server_in_libev [ADDR,...]
#include <portico/os/socket.hpp>
#include <portico/run/listen.hpp>

#include <boost/asio/io_context.hpp>
#include <ev++.h>
#include <iostream>
#include <memory>

using namespace portico;

namespace {

// One client; it deletes itself at its end.
struct echo {
    explicit echo(os::fd connected) : client{std::move(connected)} {
        watch.set<echo, &echo::readable>(this);
        watch.start(client.raw(), ev::READ);
    }

    void readable(ev::io&, int) {
        std::array<std::byte, 4096> bytes;
        const auto size = os::recv(client.raw(), bytes);
        // A client that sends and does not read is let go: this is an example, without a queue.
        if (size.value_or(0) == 0 || !os::send(client.raw(), std::span{bytes}.first(*size))) {
            delete this;
        }
    }

    os::fd client;
    ev::io watch;
};

// Accepts from one of the sockets.
struct acceptor {
    explicit acceptor(int socket) {
        watch.set<acceptor, &acceptor::readable>(this);
        watch.start(socket, ev::READ);
    }

    void readable(ev::io& from, int) {
        if (auto made = os::accept4(from.fd)) {
            new echo{std::move(made->socket)};
        }
    }

    ev::io watch;
};

} // namespace

int main(int argc, char** argv) {
    const auto where = ip::parse_listen_addresses(argc > 1 ? argv[1] : ":0");
    if (!where) {
        std::cerr << ip::explain(argv[1], where.error()) << '\n';
        return 100;
    }
    boost::asio::io_context context;
    run::listen_outcome start;
    bool done = false;
    run::async_listen(context.get_executor(), plan::make_wishes(*where), deadline::never(),
                      [&](run::listen_outcome got) {
                          start = std::move(got);
                          done = true;
                      });
    while (!done) {
        context.run_one();
    }
    std::cout << start.report.text() << std::flush;
    if (!start.sockets) {
        return exit_code(start.report.why->who);
    }
    ev::default_loop loop;
    std::vector<std::unique_ptr<acceptor>> acceptors;
    for (const auto& each : start.sockets->sockets()) {
        acceptors.push_back(std::make_unique<acceptor>(each.descriptor.raw()));
    }
    loop.run();
}
