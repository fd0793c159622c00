// The targets of a relay service, kept up to date: resolves their names, and chooses among them.
#pragma once

#include "portico/os/resolve.hpp"
#include "portico/run/relay.hpp"
#include "portico/run/relay_targets.hpp"
#include "relay/places.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <deque>
#include <functional>
#include <mutex>

namespace portico::run {

// Names are resolved anew every `refresh`; connections to addresses that are gone go on. When that
// fails the addresses known before stay.
//
// SRV records are asked for again when their lifetime is over. Their targets are taken over when
// each new one has been resolved; those that are gone get no new connections. What stays: all of
// them, when the question fails (also by "there is no such name"), or none of the new ones has an
// address. Only the "." of RFC 2782 takes all away.
//
// It resolves for as long as it lives. Threads: start(), and its end, on the executor's thread or
// strand; the calls of relay_targets from any. Memory: about a kilobyte for each target that there
// may be.
class target_board final : public relay_targets, public std::enable_shared_from_this<target_board> {
public:
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
    [[nodiscard]] std::vector<target_place> places() const override;
    // Why a target has no address, for a person; empty when all have some.
    [[nodiscard]] std::string trouble() const override;
    [[nodiscard]] std::size_t capacity() const noexcept override { return published_.size(); }
    void tell_begun(std::function<void(relay::target_id)> begun) override;

private:
    // One target. Only the executor knows it; what the engines see of it is published.
    struct member {
        dial_target where;
        std::vector<target_place> places{};
        std::string trouble{};
        std::optional<relay::target_id> id{}; // unset: not in the set
        bool is_asked = false;
        std::vector<std::function<void()>> asked{};
    };
    using member_ptr = std::shared_ptr<member>;
    struct standing {
        member_ptr who;
        std::uint16_t weight = 1;
        std::uint16_t priority = 0;
    };
    // As configured: one target, or the name of a service that has any number of them.
    struct wish {
        dial_target where;
        std::vector<standing> members{};
        std::vector<standing> coming{}; // until all of them are resolved
        std::size_t open = 0;           // of those
        std::string trouble{};
        std::unique_ptr<asio::steady_timer> timer{}; // of a service
        bool is_known = false;
    };
    struct published {
        std::string name{};
        std::vector<target_place> places{};
        // Those of some ways, made when first asked for.
        std::array<std::shared_ptr<const std::vector<target_place>>, 8> some{};
    };

    // ---- names: board.cpp ----
    void ask(const member_ptr& who, std::function<void()> then);
    void ask_next();
    void handle_places(const member_ptr& who, found_places got);
    void handle_known(wish& which);
    void handle_round();
    void wait();
    void publish_places(const member& who);
    void publish_trouble();
    // ---- services: board_services.cpp ----
    void ask_service(std::size_t which);
    void handle_service(std::size_t which, result<os::service_answer> got);
    void take_over(std::size_t which, duration lifetime);
    void wait_for_service(std::size_t which, duration lifetime);
    [[nodiscard]] std::vector<standing> standings(const wish& which,
                                                  std::vector<os::service_record> records) const;
    void publish_set();
    [[nodiscard]] std::vector<standing> everybody() const;
    // ---- active checks ----
    void wait_to_check();
    void check(const member_ptr& who, relay::way how);

    asio::any_io_executor executor_;
    duration refresh_;
    duration least_refresh_;
    asio::steady_timer timer_;
    asio::steady_timer check_timer_;
    std::optional<duration> check_every_;
    dial_request check_how_; // but for the host and the port
    std::optional<ip::address> from_;
    std::vector<wish> wishes_;
    std::deque<member_ptr> to_ask_;
    std::size_t asking_ = 0;
    std::function<void()> known_;
    std::size_t unknown_ = 0; // wishes
    std::function<void(relay::target_id)> begun_;
    mutable std::mutex mutex_;
    relay::balancer balancer_;         // guarded
    std::vector<published> published_; // guarded, but for its size; by target_id
    std::string trouble_;              // guarded
};

} // namespace portico::run
