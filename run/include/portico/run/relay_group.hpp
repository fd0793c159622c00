// The engines of one relay: one for each thread, all listening on the same addresses.
#pragma once

#include "portico/run/listen.hpp"
#include "portico/run/relay_engine.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace portico::run {

// It owns no thread: give each engine one, which calls engine(i).run(). Threads: everything here on
// the executor's thread, but run() of the engines.
class relay_group {
public:
    // Told on the executor, in the order of each engine's ends; at most `max_untold` wait to be
    // told, further ones are only counted (relay_counters::ends_untold).
    using ended = std::function<void(connection_end)>;
    static constexpr std::size_t max_untold = 4096;

    // `tell` may be empty. `listeners`: how many wishes there are.
    relay_group(const asio::any_io_executor& executor, const relay_settings& settings,
                std::shared_ptr<relay_targets> targets, std::shared_ptr<admission> door,
                std::size_t listeners, std::size_t engines, ended tell);
    relay_group(const relay_group&) = delete;
    relay_group& operator=(const relay_group&) = delete;
    // Precondition: no engine is running any more.
    ~relay_group();

    // Lets the engines accept from these sockets; their owner keeps them open and does not accept.
    // Each engine gets sockets of its own, as far as there are clones (see listener::clone());
    // where there are not enough of them they share.
    [[nodiscard]] result<void> listen(std::span<const bound_socket> sockets);

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] relay_engine& engine(std::size_t which);
    [[nodiscard]] const relay_counters& counters(std::size_t which) const;
    [[nodiscard]] std::uint64_t active() const; // connections

    void pause(bool on);
    // Accepts for `half_way` longer, and then what is still in the queues: see
    // listener::ignore_new().
    void drain();
    void set_egress(bool is_there);
    void stop_now();

private:
    struct member;
    class teller;
    std::shared_ptr<teller> teller_; // may be null
    std::vector<std::unique_ptr<member>> members_;
};

} // namespace portico::run
