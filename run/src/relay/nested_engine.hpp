// An engine inside Asio's loop, by its epoll descriptor.
#pragma once

#include "portico/run/relay_engine.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unordered_map>

namespace portico::run {

namespace asio = boost::asio;

// Connections are known by their number from begin() on, also before they are handed to the engine.
// Threads: the executor's. While there are no connections, nothing is waited for.
class nested_engine : public std::enable_shared_from_this<nested_engine> {
public:
    // `targets`: null when every pair has its target.
    nested_engine(const asio::any_io_executor& executor, const relay_settings& settings,
                  std::shared_ptr<relay_targets> targets);

    // `done` is told its end, not within a call.
    void begin(std::uint64_t number, stream_service::ended done);
    [[nodiscard]] bool is_running(std::uint64_t number) const;
    // Has no effect when it has ended, or after leave().
    void post(relay_pair pair);
    // The end of one that the engine did not get.
    void end(connection_end how);

    void set_egress(bool is_there);
    void stop_now();
    void leave(); // nothing is told any more

private:
    void turn();
    void watch();

    asio::any_io_executor executor_;
    std::unique_ptr<relay_engine> engine_;
    asio::posix::stream_descriptor watched_; // the engine's
    asio::steady_timer timer_;
    std::unordered_map<std::uint64_t, stream_service::ended> running_;
    bool watching_ = false;
};

} // namespace portico::run
