// The targets of a relay service, kept up to date: resolves their names, and chooses among them.
#pragma once

#include "dial/target.hpp"
#include "portico/os/resolve.hpp"
#include "portico/run/relay.hpp"
#include "portico/run/relay_targets.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <mutex>

namespace portico::run {

// Names are resolved anew every `refresh`; connections to addresses that are gone go on. When that
// fails the addresses known before stay. It resolves for as long as it lives. Threads: start(), and
// its end, on the executor's thread or strand; the calls of relay_targets from any.
class target_board final : public relay_targets, public std::enable_shared_from_this<target_board> {
public:
    static constexpr duration refresh = std::chrono::seconds{30};

    // `targets` are those of `how`, read; none has a proxy.
    target_board(asio::any_io_executor executor, std::vector<dial_target> targets,
                 const relay_options& how);

    // Begins to resolve; `known` is called once, when every target has been asked for. Not within
    // this call.
    void start(std::function<void()> known);

    [[nodiscard]] std::optional<target_offer>
    choose(instant now, const ip::any_endpoint& client,
           std::span<const relay::target_id> tried) override;
    void handle_opened(relay::target_id target, relay::way which) override;
    void handle_given_up(relay::target_id target) override;
    void handle_closed(relay::target_id target) override;
    void handle_failed(instant now, relay::target_id target, relay::way which,
                       const error& why) override;
    [[nodiscard]] std::vector<relay::target_state> snapshot() const override;
    // Why a target has no address, for a person; empty when all have some.
    [[nodiscard]] std::string trouble() const override;

private:
    struct entry {
        dial_target where;
        std::vector<target_place> places{}; // guarded
        // Those of some ways, made when first asked for; guarded.
        std::array<std::shared_ptr<const std::vector<target_place>>, 8> some{};
        std::string trouble{};            // guarded
        std::vector<ip::address> found{}; // of the round that is going on
        std::string failed{};
        unsigned asked = 0;
    };

    void ask(std::uint32_t which);
    void handle_answer(std::uint32_t which, result<os::lookup_answer> got);
    void publish(entry& which);
    void wait();
    void wait_to_check();
    void check(std::uint32_t which, relay::way how);

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    asio::steady_timer check_timer_;
    std::optional<duration> check_every_;
    dial_request check_how_; // but for the host and the port
    std::optional<ip::address> from_;
    std::vector<entry> entries_;
    std::function<void()> known_;
    unsigned open_ = 0; // questions
    mutable std::mutex mutex_;
    relay::balancer balancer_; // guarded; its ids are the places of `entries_`
};

} // namespace portico::run
