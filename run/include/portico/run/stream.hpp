// A connected socket as a Boost.Asio object.
#pragma once

#include "portico/ip/any_endpoint.hpp"
#include "portico/os/fd.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

namespace portico::run {

namespace asio = boost::asio;

// A connected stream of any family: TCP over IPv4 or IPv6, or UNIX.
using stream = asio::generic::stream_protocol::socket;

// Hands a connected descriptor, from async_dial() or async_accept(), over to Asio. `peer` tells its
// family. Throws boost::system::system_error when the executor's context cannot watch it: it is for
// user code, which throws; portico's own code does not call it.
[[nodiscard]] stream make_stream(const asio::any_io_executor& executor, os::fd connected,
                                 const ip::any_endpoint& peer);

} // namespace portico::run
