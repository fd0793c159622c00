// Joining each connection to one that is dialled for it.
#pragma once

#include "portico/run/dial.hpp"
#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <memory>

namespace portico::run {

struct relay_options {
    dial_request target;           // dialled for each connection; share one race::memory
    std::size_t buffer = 64 << 10; // bytes that may wait in each direction, at least 1
};

// Dials the target for each connection and moves bytes both ways until both ends have sent theirs.
//
// The end of a stream goes on as an end (half-close); a reset, or a peer that was given up, goes on
// as a reset, from either side and also while the target is still being dialled. A side that does
// not read holds the other one back. When the target cannot be reached the client gets a reset, and
// `detail` of its end names every attempt.
//
// Memory: about 1 KiB a connection, and at most `buffer` in a direction while its sink is slower
// than its source; nothing is held by an idle connection. Destroying it closes the connections;
// their `done` are not called.
[[nodiscard]] std::unique_ptr<stream_service> make_relay_service(asio::any_io_executor executor,
                                                                 relay_options options);

} // namespace portico::run
