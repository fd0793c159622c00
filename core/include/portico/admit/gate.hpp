// How many connections may be open at once, and what happens to the next one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::admit {

// What a full gate means for those who come.
enum class when_full : std::uint8_t {
    queue,  // stop accepting: they wait in the kernel's backlog, in their order
    refuse, // go on accepting, and close each at once: they learn of it, and may go elsewhere
};

// "queue" or "refuse".
[[nodiscard]] std::string_view to_text(when_full which) noexcept;

struct gate_counts {
    std::uint64_t let_in = 0;
    std::uint64_t refused = 0;
    std::uint64_t filled = 0; // how often the gate became full
    std::size_t most_open = 0;
};

// The limit of open connections over all listeners of one owner.
//
//             handle_connection, it is the last place
//     open  -----------------------------------------> full
//           <-----------------------------------------
//             handle_ended, or a higher limit
//
// Time: O(1). Memory: fixed, and a few words. Threads: the caller serialises; engines on several
// threads have a gate and a share of the limit each.
class gate {
public:
    // A limit of 0 lets nobody in.
    gate(std::size_t limit, when_full then) noexcept : limit_{limit}, then_{then} {}

    // Whether to accept at all now; false only when it is full and they queue.
    [[nodiscard]] bool poll_accepting() const noexcept {
        return !is_full() || then_ == when_full::refuse;
    }
    // A connection was accepted. True: it is let in, and handle_ended() is owed. False: it is
    // refused, close it. That happens in queue mode too when more are accepted than was said.
    [[nodiscard]] bool handle_connection() noexcept;
    // One that was let in has ended. True: accepting begins again. An edge-triggered driver has to
    // ask its listening sockets then, as no further event tells of those that wait.
    // Precondition: open() is not 0; otherwise nothing happens.
    [[nodiscard]] bool handle_ended() noexcept;
    // Another limit or mode from now on. Nobody is thrown out: with more open than the new limit
    // the gate is full until enough have ended. True: accepting begins again.
    [[nodiscard]] bool handle_limit(std::size_t limit, when_full then) noexcept;

    [[nodiscard]] bool is_full() const noexcept { return open_ >= limit_; }
    [[nodiscard]] std::size_t open() const noexcept { return open_; }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
    [[nodiscard]] const gate_counts& counts() const noexcept { return counts_; }

private:
    std::size_t limit_;
    std::size_t open_ = 0;
    when_full then_;
    gate_counts counts_;
};

} // namespace portico::admit
