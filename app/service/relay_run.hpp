// A relay as `portico listen` runs it: its targets, its threads, and what it logs of them.
#pragma once

#include "log/log.hpp"
#include "service/relay_meter.hpp"
#include "service/relay_threads.hpp"

#include "portico/run/egress_watch.hpp"
#include "portico/run/relay.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>

namespace portico::app {

// Threads: all calls on the thread of `context`.
class relay_run {
public:
    // `over` is called when the last connection has ended after drain() or stop_now().
    // `descriptors`: how many there are for this.
    relay_run(boost::asio::io_context& context, event_log& log, run::relay_options how,
              std::size_t engines, std::size_t descriptors, std::function<void()> over);

    // Resolves the targets; `known` is called when all are asked for. The error is for a person.
    [[nodiscard]] tl::expected<void, std::string> prepare(std::function<void()> known);
    // From now on it accepts from these sockets of these wishes.
    [[nodiscard]] result<void> start(const run::listener& sockets,
                                     std::span<const plan::wish> wishes,
                                     std::shared_ptr<run::admission> door,
                                     run::relay_group::ended tell);
    void pause(bool on);
    void drain();
    void stop_now();

    // Not yet, or not any more.
    [[nodiscard]] bool is_running() const noexcept { return threads_ != nullptr; }
    [[nodiscard]] std::uint64_t connections() const;
    // How many there are descriptors for, when `left` are free and it is to accept from so many
    // sockets.
    [[nodiscard]] std::size_t connections_that_fit(std::size_t left, std::size_t sockets) const;
    // For whoever asks. Precondition: it was prepared.
    void read(service_figures& to) const { meter_->read(to); }
    // Logs what has changed since the last time; true: the limit was reached meanwhile.
    [[nodiscard]] bool log_counters();

private:
    void warn_of_rings(std::span<const run::bound_socket> sockets);
    [[nodiscard]] result<void> watch_egress();
    void handle_egress(bool is_there, const std::string& why);

    boost::asio::io_context& context_;
    event_log& log_;
    run::relay_options how_;
    std::size_t engines_;
    std::function<void()> over_;
    std::shared_ptr<run::relay_targets> targets_;
    std::shared_ptr<relay_meter> meter_;
    std::unique_ptr<relay_threads> threads_;
    std::unique_ptr<run::egress_watch> egress_;
    struct {
        std::uint64_t shed = 0;
        std::uint64_t accept_failed = 0;
        std::uint64_t times_full = 0;
        std::uint64_t untold = 0;
    } told_;
};

} // namespace portico::app
