// What the manager that started us is told (sd_notify(3)), and what it keeps for us.
#pragma once

#include "log/log.hpp"

#include "portico/os/notify.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <string>
#include <vector>

namespace portico::app {

// The name that sockets in the manager's store have.
inline constexpr const char* store_name = "portico";

// Without a manager nothing happens. Threads: that of `context`.
class manager_link {
public:
    // Takes the variables out of the environment, so that no program gets them.
    manager_link();
    [[nodiscard]] bool has_manager() const noexcept { return socket_.has_manager(); }
    // For the process that goes on: "NAME=VALUE" each.
    [[nodiscard]] std::vector<std::string> variables() const;

    // Says that we are well as often as it wants to hear it, from now on.
    void start_watchdog(boost::asio::io_context& context);
    // What cannot be told is logged once.
    void tell(const os::notice& what, event_log& log);
    // These and no others are kept for the next process if this one dies.
    void keep(const std::vector<run::held_socket>& sockets, event_log& log);
    // Those that the last process had left there, and the manager passed on.
    [[nodiscard]] static std::vector<run::held_socket> kept();

private:
    void be_well();
    void complain(std::error_code why, event_log& log);

    os::notify_environment given_;
    os::notify_socket socket_;
    std::string trouble_; // of the variables, until it is logged
    std::optional<duration> watchdog_;
    std::optional<boost::asio::steady_timer> timer_;
    bool has_complained_ = false;
};

} // namespace portico::app
