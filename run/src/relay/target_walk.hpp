// Where the datagrams of one client go: a place of a target, and the next one when that is refused.
#pragma once

#include "portico/run/relay_targets.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace portico::run {

// Nothing tells whether a UDP target is there but its answers, and the refusals that ICMP brings
// later. So a target counts as opened (see relay_targets) with its first answer, or when it was
// sent to again after `silence` and has not refused by then: some are never to answer.
//
// Threads: the caller serialises. Its end leaves the target.
class target_walk {
public:
    static constexpr duration silence = std::chrono::seconds{1};

    // `client`: canonical.
    target_walk(std::shared_ptr<relay_targets> targets, const ip::endpoint& client)
        : targets_{std::move(targets)}, client_{client} {}
    target_walk(const target_walk&) = delete;
    target_walk& operator=(const target_walk&) = delete;
    ~target_walk() { leave(); }

    // The next place: the other addresses of the target (RFC 6724), then another target. nullptr:
    // all were tried, and the next call begins anew. Valid until the next call.
    [[nodiscard]] const target_place* next(instant now);
    // Whether something was tried since it began (anew).
    [[nodiscard]] bool has_tried() const noexcept { return !tried_.empty(); }
    // The target whose place next() gave last.
    [[nodiscard]] std::optional<relay::target_id> target() const noexcept;

    // What became of the place that next() gave last. Nothing happens when there is none.
    void handle_sent(instant now);
    void handle_answer();
    void handle_failed(instant now, const error& why);

    // Of the target that it is at.
    void leave();

private:
    [[nodiscard]] const target_place& place() const;
    void handle_opened();
    void sort_places();

    std::shared_ptr<relay_targets> targets_;
    ip::any_endpoint client_;
    std::vector<relay::target_id> tried_;
    std::optional<target_offer> at_;
    std::vector<std::size_t> order_; // of its places; empty: there is but one
    std::size_t place_ = 0;          // how many of them were given
    std::optional<instant> first_sent_;
    bool opened_ = false;
};

} // namespace portico::run
