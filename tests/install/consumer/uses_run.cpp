// All three: listens on a loopback address, dials it, and reads nothing more than that it worked.
#include "portico/os/clock.hpp"
#include "portico/run/dial.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdio>

namespace run = portico::run;

int main() {
    boost::asio::io_context context;
    const auto where = portico::ip::parse_listen_address("127.0.0.1:0");
    if (!where) {
        return 1;
    }
    portico::plan::wish wish;
    wish.where = *where;

    run::listen_outcome listening;
    run::dial_outcome dialled;
    run::async_listen(context.get_executor(), {wish}, portico::deadline::never(),
                      [&](run::listen_outcome done) {
        listening = std::move(done);
        if (!listening.sockets) {
            return;
        }
        run::dial_request request;
        request.host = "127.0.0.1";
        const auto& at = std::get<portico::ip::endpoint>(listening.sockets->sockets()[0].at);
        request.port = std::to_string(at.port);
        run::async_dial(context.get_executor(), request, [&](run::dial_outcome reached) {
            dialled = std::move(reached);
            listening.sockets->close();
        });
    });
    context.run();
    std::printf("run: %s\n", dialled.why || !dialled.socket ? "not connected" : "connected");
    return dialled.why || !dialled.socket ? 1 : 0;
}
