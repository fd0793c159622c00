#include "portico/run/stream.hpp"

#include <sys/socket.h>

namespace portico::run {

stream make_stream(const asio::any_io_executor& executor, os::fd connected,
                   const ip::any_endpoint& peer) {
    const auto* where = std::get_if<ip::endpoint>(&peer);
    const int family = where == nullptr ? AF_UNIX : where->address.is_v6() ? AF_INET6 : AF_INET;
    stream made{executor};
    made.assign({family, 0}, connected.raw());
    (void)std::move(connected).release(); // only now: assign() may have thrown
    return made;
}

} // namespace portico::run
