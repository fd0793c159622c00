// `portico listen`, from the wishes to the end of the last connection.
#pragma once

#include "log/log.hpp"
#include "service/service_run.hpp"
#include "service/status_service.hpp"

#include "portico/run/listen.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace portico::app {

namespace asio = boost::asio;

// One start. Threads: one.
class listen_run {
public:
    // `patience`: for names among the wishes to resolve.
    listen_run(service_choice choice, const log_settings& logging, duration patience)
        : choice_{std::move(choice)}, log_{logging}, patience_{patience} {
        if (logging.names) {
            names_ = std::make_shared<run::reverse_names>(context_.get_executor(),
                                                          run::reverse_settings{});
        }
    }

    // Returns the exit code.
    int run(std::vector<plan::wish> wishes);

private:
    void handle_start(run::listen_outcome outcome);
    void open_status(const ip::unix_name& where);
    void start_status(run::listen_outcome outcome, const std::vector<plan::wish>& wishes);
    [[nodiscard]] std::string status(status_form how) const;
    void start_service();
    void fail(const std::string& why, side who);
    void fail(const service_failure& why);
    void wait_for_signal();
    void handle_signal(int number);
    void stop(int signal, bool gently);
    void watch_counters();

    service_choice choice_;
    event_log log_;
    duration patience_;
    asio::io_context context_{1};
    asio::signal_set signals_{context_};
    asio::steady_timer every_second_{context_};
    std::shared_ptr<run::reverse_names> names_; // null: they are not logged
    std::uint64_t nameless_ = 0;                // clients, that have been told
    std::vector<plan::wish> wishes_;
    std::shared_ptr<service_run> service_;
    std::shared_ptr<service_run> status_;
    instant began_{};
    bool ending_ = false;
    bool has_terminal_ = false; // at the start
    int exit_code_ = 0;
};

} // namespace portico::app
