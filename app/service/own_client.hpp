// A client of what the process answers itself, and all of them as a service.
#pragma once

#include "portico/base/instant.hpp"
#include "portico/run/service.hpp"
#include "portico/run/stream.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <utility>

namespace portico::app {

// One connection, from its start to finish(). It lives in the list of its service until then, and
// in what it waits for. Threads: the executor's.
class own_client : public std::enable_shared_from_this<own_client> {
public:
    using list = std::list<std::shared_ptr<own_client>>;

    explicit own_client(const boost::asio::any_io_executor& executor);
    own_client(const own_client&) = delete;
    own_client& operator=(const own_client&) = delete;
    virtual ~own_client() = default;

    // `done` is not called within this call.
    void start(run::accepted from, std::uint64_t number, run::stream_service::ended done,
               list& all);
    // Whatever is pending ends without effect; tell() is owed.
    void close();
    void finish();
    // False while it waits for us, and not we for it.
    [[nodiscard]] bool has_limit() const noexcept { return has_limit_; }
    void tell() { std::exchange(done_, nullptr)(std::move(end_)); }

protected:
    // The socket is there; it ends in five seconds, unless the next ones say otherwise.
    virtual void begin() = 0;
    virtual void cancel() {} // what waits besides the socket
    void limit_time();       // five seconds from now
    void unlimit_time();
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }

    run::stream socket_;
    run::connection_end end_;

private:
    void limit_time(duration span);

    boost::asio::steady_timer whole_;
    run::stream_service::ended done_;
    instant began_{};
    list* all_ = nullptr;
    list::iterator where_;
    bool is_over_ = false;
    bool has_limit_ = false;
};

// So many are answered at once; the one that has been here longest goes when there are more, as it
// may be one that says nothing.
inline constexpr std::size_t most_own_clients = 16;

// `make` makes a client for each connection.
[[nodiscard]] std::unique_ptr<run::stream_service>
make_own_service(boost::asio::any_io_executor executor,
                 std::function<std::shared_ptr<own_client>()> make);

} // namespace portico::app
