// A relay of datagrams as `portico listen --udp` runs it: its targets, and what it logs of them.
#pragma once

#include "figures/service_figures.hpp"
#include "log/log.hpp"

#include "portico/run/admission.hpp"
#include "portico/run/datagram_relay.hpp"
#include "portico/run/egress_watch.hpp"
#include "portico/run/relay.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>

namespace portico::app {

// Threads: all calls on the thread of `context`.
class datagram_relay_run {
public:
    // Of `how` the targets, the policy and the way out count. `table`: as asked for; places that
    // there is no descriptor for are left out. `descriptors`: how many there are for this. Limits
    // of `who` count associations. `over` is called after drain().
    datagram_relay_run(boost::asio::io_context& context, event_log& log, run::relay_options how,
                       const relay::association_settings& table, std::size_t descriptors,
                       run::admission_settings who, std::function<void()> over);

    // Resolves the targets; `known` is called when all are asked for. The error is for a person.
    [[nodiscard]] tl::expected<void, std::string> prepare(std::function<void()> known);
    // Relays from now on. `sockets` has to live until drain() or stop_now().
    [[nodiscard]] result<void> start(std::span<const run::bound_socket> sockets);
    // Answers that clients wait for still go to them, for at most two seconds.
    void drain();
    void stop_now();

    [[nodiscard]] bool is_running() const noexcept { return is_running_; }
    [[nodiscard]] std::size_t associations() const;
    [[nodiscard]] std::size_t capacity() const noexcept { return how_.table.capacity; }
    // For whoever asks.
    void read(service_figures& to) const;
    // Logs what has changed since the last time.
    void log_counters();

private:
    [[nodiscard]] run::association_door door() const;
    [[nodiscard]] result<void> watch_egress();
    void handle_egress(bool is_there, const std::string& why);
    void log_end(const run::association_end& end);
    void log_drops(const run::datagram_relay_counters& now);
    void handle_over();

    boost::asio::io_context& context_;
    event_log& log_;
    run::relay_options targets_how_;
    run::datagram_relay_settings how_;
    std::shared_ptr<run::admission> who_;
    std::size_t at_door_ = 0; // our number there
    std::function<void()> over_;
    std::shared_ptr<run::relay_targets> targets_;
    std::unique_ptr<run::datagram_relay> relay_;
    std::unique_ptr<run::egress_watch> egress_;
    run::datagram_relay_counters told_;
    bool is_running_ = false;
    bool is_ending_ = false;
};

} // namespace portico::app
