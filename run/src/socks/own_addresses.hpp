// The addresses of this host, as they come and go.
#pragma once

#include "portico/base/error.hpp"
#include "portico/os/netlink.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace portico::run {

namespace asio = boost::asio;

// Threads: the executor's.
class own_addresses : public std::enable_shared_from_this<own_addresses> {
public:
    using told = std::function<void(std::span<const ip::address>)>;

    // `tell` is called before this returns, and then at each change until end().
    [[nodiscard]] static result<std::shared_ptr<own_addresses>>
    watch(const asio::any_io_executor& executor, told tell);
    own_addresses(const asio::any_io_executor& executor, os::monitor events, told tell);
    own_addresses(const own_addresses&) = delete;
    own_addresses& operator=(const own_addresses&) = delete;
    ~own_addresses() { end(); }

    void end();

private:
    [[nodiscard]] os::sys_status look();
    void wait();
    void read();
    void look_again();
    void publish();

    os::monitor events_;
    asio::posix::stream_descriptor watched_; // the monitor's
    asio::steady_timer again_;
    told tell_;
    os::snapshot known_;
};

} // namespace portico::run
