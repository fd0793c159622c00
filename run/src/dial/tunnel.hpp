// Asking a proxy for a tunnel over a connected socket.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/os/fd.hpp"
#include "portico/wire/proxy_client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace portico::run {

namespace asio = boost::asio;

// How the proxy answered. With `failure` the socket is closed.
struct tunnel_outcome {
    os::fd socket;
    std::vector<std::byte> early;
    std::optional<wire::proxy_failure> failure{};
};

// How long a proxy has for its answer: `until`, and a minute where nobody set a time, for who
// listens there may be no proxy, and wait for us.
[[nodiscard]] inline deadline proxy_limit(deadline until, instant now) {
    return until.is_never() ? deadline::after(now, std::chrono::seconds{60}) : until;
}

// One conversation with a proxy. Calls `done` once, never within start(); its pending handlers keep
// it alive until then. Threads: the executor's.
class tunnel : public std::enable_shared_from_this<tunnel> {
public:
    tunnel(const asio::any_io_executor& executor, os::fd socket, wire::proxy_client client,
           std::function<void(tunnel_outcome)> done);
    tunnel(const tunnel&) = delete;
    tunnel& operator=(const tunnel&) = delete;
    ~tunnel() { let_go(); }

    void start(deadline until);
    // Gives up: `done` is told a failure with std::errc::operation_canceled.
    void cancel();

private:
    void go_on();
    [[nodiscard]] bool send();
    [[nodiscard]] bool receive();
    void await(asio::posix::stream_descriptor::wait_type what);
    void fail(std::error_code why, std::string text);
    void finish(std::optional<wire::proxy_failure> failure);
    void let_go();

    asio::any_io_executor executor_;
    os::fd socket_;
    wire::proxy_client client_;
    std::function<void(tunnel_outcome)> done_; // empty once it was told
    asio::posix::stream_descriptor watch_;     // only waits for the descriptor of socket_
    asio::steady_timer timer_;
    std::vector<std::byte> early_;
};

} // namespace portico::run
