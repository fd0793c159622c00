// Answers who asks how services are doing: one connection is one answer.
#pragma once

#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace portico::app {

enum class status_form : std::uint8_t { table, json, prometheus };
using status_answer = std::function<std::string(status_form)>;

enum class status_speech : std::uint8_t {
    // A line "json" gets JSON; a line "metrics", and GET over HTTP whatever the path, the text
    // format
    // of Prometheus; any other line, its end, or nothing for a second, the table.
    lines,
    http, // only GET /metrics
};

// No client stays for longer than five seconds. Memory: an answer, and 8 KiB of what it says, for
// each client. Threads: the executor's.
[[nodiscard]] std::unique_ptr<run::stream_service>
make_status_service(boost::asio::any_io_executor executor, status_speech how, status_answer said);

} // namespace portico::app
