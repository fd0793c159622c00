// The threads that wait while programs are made.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

namespace portico::app {

// Of all services on the context; the threads start with the first call, which has to come when
// the rights have been given up, and end with the context. Throws std::system_error when not even
// one thread can be started.
[[nodiscard]] boost::asio::any_io_executor program_starters(boost::asio::io_context& context);

} // namespace portico::app
