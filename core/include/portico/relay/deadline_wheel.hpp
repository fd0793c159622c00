// The deadlines of many connections: a table of time, with no callbacks and no memory of its own
// for each of them.
#pragma once

#include "portico/base/deadline.hpp"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace portico::relay {

// A hashed wheel. Who wants to be woken owns a node; the wheel links nodes of one tick in a list.
// A deadline beyond the span of the wheel is looked at once in each turn.
//
// A node is due at its deadline or up to one tick later, never before. A deadline that moves to a
// later time need not be told: the owner looks when it is woken, and sets it again.
//
// Time: set() and cancel() O(1); poll_expired() O(1) for each node it gives, and for each empty
// tick gone by. Memory: 48 KiB, and 32 bytes a node. Threads: the caller serialises.
class deadline_wheel {
public:
    static constexpr duration tick = std::chrono::milliseconds{4};
    static constexpr std::size_t ticks = 2048; // a span of 8 seconds

    // Precondition of its end: it is not set. It must not move while it is.
    struct node {
        node() = default;
        node(const node&) = delete;
        node& operator=(const node&) = delete;

        node* next = nullptr; // nullptr: not set
        node* previous = nullptr;
        instant due{};
        [[nodiscard]] bool is_set() const noexcept { return next != nullptr; }
    };

    explicit deadline_wheel(instant now) noexcept;
    deadline_wheel(const deadline_wheel&) = delete;
    deadline_wheel& operator=(const deadline_wheel&) = delete;

    // Wakes `which` at `when` at the latest: a node that is set for an earlier time stays so.
    // deadline::never() changes nothing.
    void set_at_latest(node& which, deadline when) noexcept;
    void cancel(node& which) noexcept;

    // The next node whose time has come; it is not set any more. nullptr when there is none.
    [[nodiscard]] node* poll_expired(instant now) noexcept;
    // When poll_expired() is worth a call; may be early, never late by more than a tick.
    [[nodiscard]] deadline poll_deadline() const noexcept;

private:
    [[nodiscard]] static std::int64_t tick_of(instant when) noexcept {
        return when.time_since_epoch() / tick;
    }
    [[nodiscard]] static std::size_t slot_of(std::int64_t at) noexcept {
        return static_cast<std::size_t>(at) % ticks;
    }
    void link(node& which) noexcept;
    void unlink(node& which) noexcept;

    std::array<node, ticks> slots_; // heads of circular lists
    std::array<std::uint64_t, ticks / 64> filled_{};
    std::int64_t turn_;      // every tick before it has been looked at
    node* cursor_ = nullptr; // in the list of turn_, while it is looked at
};

} // namespace portico::relay
