// The targets of a relay service, kept up to date: resolves their names, and chooses among them.
#pragma once

#include "dial/target.hpp"
#include "portico/os/resolve.hpp"
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

    // `requests` say where the targets are, and from where they are reached; none has a proxy.
    target_board(asio::any_io_executor executor, std::vector<dial_target> targets,
                 const dial_request& how);

    // Begins to resolve; `known` is called once, when every target has been asked for. Not within
    // this call.
    void start(std::function<void()> known);

    [[nodiscard]] std::optional<target_choice>
    choose(instant now, const ip::any_endpoint& client,
           std::span<const std::uint32_t> tried) override;
    void handle_connected(instant, std::uint32_t, ip::family) override {}
    void handle_failed(instant, std::uint32_t, ip::family, const error&) override {}
    void handle_ended(std::uint32_t) override {}
    // Why a target has no address, for a person; empty when all have some.
    [[nodiscard]] std::string trouble() const override;

private:
    struct entry {
        dial_target where;
        std::shared_ptr<const std::vector<target_place>> places{}; // guarded
        std::string trouble{};                                     // guarded
        std::vector<ip::address> found{};                          // of the round that is going on
        std::string failed{};
        unsigned asked = 0;
    };

    void ask(std::uint32_t which);
    void handle_answer(std::uint32_t which, result<os::lookup_answer> got);
    void publish(entry& which);
    void wait();

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    std::optional<ip::address> from_;
    std::vector<entry> entries_;
    std::function<void()> known_;
    unsigned open_ = 0; // questions
    mutable std::mutex mutex_;
    std::uint32_t next_ = 0; // guarded
};

} // namespace portico::run
