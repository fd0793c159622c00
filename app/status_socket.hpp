// Answers who asks how a service is doing, at a UNIX socket: one connection is one answer.
#pragma once

#include "log.hpp"

#include "portico/ip/unix_name.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

namespace portico::app {

enum class status_form : std::uint8_t { table, json, prometheus };

// Reads "unix:/path" or "/path". The error is for a person. Abstract names are refused: they have
// no permissions.
[[nodiscard]] tl::expected<ip::unix_name, std::string> parse_status_name(std::string_view text);

// What a client says, and what it gets:
//   a line "json"                      JSON
//   a line "metrics"                   the text format of Prometheus
//   "GET ... HTTP/1.x", and headers    the same, as an HTTP/1.0 response, whatever the path
//   any other line, its end, or nothing for a second   the table
//
// Memory: at most max_clients answers, and 8 KiB of what each of them says; further clients wait in
// the queue. None of them stays for longer than five seconds. Threads: that of `context`.
class status_socket {
public:
    static constexpr std::size_t max_clients = 16;
    using answer = std::function<std::string(status_form)>;

    status_socket(boost::asio::io_context& context, event_log& log, answer said);
    status_socket(const status_socket&) = delete;
    status_socket& operator=(const status_socket&) = delete;
    ~status_socket();

    // Listens; the file has the mode 0600. `done` is told why not, or nothing. Not within this
    // call. A stale file is replaced as `portico listen` does.
    void open(const ip::unix_name& where, std::function<void(const run::listen_report&)> done);

private:
    class client;

    void handle_open(run::listen_outcome outcome);
    void accept_next();
    void handle_accepted(result<run::accepted> got);
    void handle_left();

    boost::asio::io_context& context_;
    event_log& log_;
    answer said_;
    std::function<void(const run::listen_report&)> done_;
    std::unique_ptr<run::listener> listener_;
    std::shared_ptr<status_socket*> self_; // empty for those who come back when it is gone
    std::size_t clients_ = 0;
    bool is_accepting_ = false;
};

} // namespace portico::app
