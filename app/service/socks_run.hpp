// A SOCKS server as `portico listen` runs it, and what it logs of it.
#pragma once

#include "flags/socks_flags.hpp"
#include "log/log.hpp"

#include "portico/run/socks.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <memory>

namespace portico::app {

// Threads: the executor's.
class socks_run {
public:
    // A client, its target, and now and then a further attempt or a question for a name; or a
    // client and the three sockets of its association.
    static constexpr std::size_t descriptors_each = 4;

    socks_run(event_log& log, socks_choice how) : log_{log}, how_{std::move(how)} {}

    // The service lives as long as its owner wants, but counters are told only of that.
    [[nodiscard]] result<std::unique_ptr<run::stream_service>>
    start(const boost::asio::any_io_executor& executor, std::size_t descriptors);
    // How many connections there are descriptors for, when `left` are free.
    [[nodiscard]] std::size_t connections_that_fit(std::size_t left) const;
    // Precondition, here and below: it was started, and the service is still there.
    [[nodiscard]] const run::socks_counters& counters() const { return service_->counters(); }
    // Logs what has changed since the last time.
    void log_counters();

private:
    void log_egress(bool is_there, const std::string& why);

    event_log& log_;
    socks_choice how_;
    const run::socks_service* service_ = nullptr;
    run::socks_counters told_;
};

} // namespace portico::app
