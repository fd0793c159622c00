// Which of several listening sockets is asked next, so that a busy one never starves another.
#pragma once

#include "portico/base/instant.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

namespace portico::admit {

// Each socket is in one of four states:
//
//            handle_readable            poll_next
//     idle ------------------> ready -------------> asked
//      ^                         ^  \ first in,      | | |
//      |                         |    first out      | | |
//      |        handle_more      +-------------------+ | |
//      +------- handle_idle ---------------------------+ |
//               handle_pause --> paused <----------------+
//                                  | its time has come: ready
//
// One connection is taken from a socket, then it goes to the end of the queue: between two
// connections of one socket every other ready socket has its turn.
//
// Time: O(1), with pauses O(log n). Memory: linear in the sockets. Threads: none of its own.
class accept_order {
public:
    // All sockets are idle. Capacity: fixed at `sockets`.
    explicit accept_order(std::size_t sockets) : states_(sockets, state::idle) {}

    // A socket is readable; nothing happens unless it is idle.
    void handle_readable(std::size_t which);
    // It was asked, and may have more.
    void handle_more(std::size_t which);
    // It was asked, and has no more.
    void handle_idle(std::size_t which);
    // It must not be asked before `until`. It may be idle or asked.
    void handle_pause(std::size_t which, instant until);

    // The socket to ask now; nullopt when none is ready.
    [[nodiscard]] std::optional<std::size_t> poll_next(instant now);
    // When the earliest pause ends; nullopt when there is none.
    [[nodiscard]] std::optional<instant> poll_wake() const;

private:
    enum class state : std::uint8_t { idle, ready, asked, paused };
    using pause = std::pair<instant, std::size_t>;

    std::vector<state> states_;
    std::deque<std::size_t> ready_;
    std::priority_queue<pause, std::vector<pause>, std::greater<>> paused_;
};

} // namespace portico::admit
