// The two byte streams of one relayed connection: what to move, when an end or a reset goes on, and
// when it has lasted too long. Pure: the driver makes the calls and tells how they went.
#pragma once

#include "portico/base/deadline.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace portico::relay {

enum class end : std::uint8_t { client, target };
[[nodiscard]] constexpr end other(end which) noexcept {
    return which == end::client ? end::target : end::client;
}

// How long a relayed connection may do nothing; unset limits are duration::max().
struct limits {
    duration idle = duration::max();        // no byte moved, in either direction
    duration half_closed = duration::max(); // the same, after one end has sent its FIN
};

// What to do next.
enum class step : std::uint8_t {
    wait,             // nothing until something happens
    move_from_client, // move bytes: first what is held, then what can be read
    move_from_target,
    end_to_client, // shutdown(2): the FIN goes on
    end_to_target,
    close,       // all is said: close both
    close_reset, // close both with a reset
    // The failed end had ended before, and the kernel may still hold the last bytes for the other
    // one: a reset now would destroy them. Close with a reset when they are acknowledged.
    close_reset_when_sent,
};

// Why it is over; `none` while it is not.
enum class ending : std::uint8_t {
    none,
    both_ended,
    client_failed,
    target_failed,
    idle,
    half_closed,
};

// What one move did. `held` counts in the machine are kept from these numbers.
struct moved {
    enum class source : std::uint8_t { more, drained, ended, failed };
    enum class sink : std::uint8_t { open, full, failed };

    std::uint32_t received = 0; // bytes taken from the source
    std::uint32_t sent = 0;     // bytes given to the sink, of what was held and what was received
    source from = source::more; // drained: nothing more until handle_readable()
    sink to = sink::open;       // full: nothing more until handle_writable()
};

// The machine. One flow from each end to the other:
//
//   open --source ended--> draining --nothing held--> ended, FIN to the sink --+
//    | (reads only while nothing is held: a slow sink holds its source back)   | both: close
//    +--an end failed: what it had sent before is read, then the other is reset
//
// An end that failed (reset, or given up) is told to the other one as a reset. Both ends are taken
// to be readable and writable at first, as edge-triggered polling does not tell again.
//
// Time: O(1). Memory: 64 bytes, none on the heap. Threads: a value.
class streams {
public:
    streams(const limits& how, instant now) noexcept : limits_{&how}, last_{now} {}

    void handle_readable(end which) noexcept { flow_from(which).source_ready = true; }
    void handle_writable(end which) noexcept { flow_from(other(which)).sink_ready = true; }
    // It is dead; what it sent before may still be readable. Nothing after the first counts.
    void handle_failed(end which) noexcept;
    // A move from `which` was made.
    void handle_moved(instant now, end which, const moved& what) noexcept;
    // Bytes that came before the streams were joined (a proxy's answer, a client's first bytes)
    // and are held for the other end.
    void handle_held(end from, std::uint32_t bytes) noexcept;
    // The FIN was passed on to `which`.
    void handle_end_passed(end which) noexcept { flow_from(other(which)).passed = true; }
    // Nothing happened until poll_deadline().
    void handle_deadline(instant now) noexcept;

    [[nodiscard]] step poll_step() const noexcept;
    // When the idle or the half-closed limit is over.
    [[nodiscard]] deadline poll_deadline() const noexcept;

    [[nodiscard]] ending how_it_ended() const noexcept { return ending_; }
    [[nodiscard]] std::uint64_t received(end from) const noexcept {
        return flow_from(from).received;
    }
    [[nodiscard]] std::uint64_t sent(end to) const noexcept {
        const auto& flow = flow_from(other(to));
        return flow.received - flow.held;
    }
    [[nodiscard]] std::uint32_t held(end from) const noexcept { return flow_from(from).held; }

private:
    struct one_way {
        std::uint64_t received = 0;
        std::uint32_t held = 0; // received and not yet given to the sink
        bool source_ready = true;
        bool sink_ready = true;
        bool ended = false;  // the source has sent its FIN
        bool passed = false; // and the sink has got it
        [[nodiscard]] bool over() const noexcept { return ended && held == 0; }
    };

    [[nodiscard]] one_way& flow_from(end which) noexcept {
        return flows_[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] const one_way& flow_from(end which) const noexcept {
        return flows_[static_cast<std::size_t>(which)];
    }
    void conclude(ending how) noexcept;

    std::array<one_way, 2> flows_{};
    const limits* limits_;
    instant last_; // when a byte was moved
    ending ending_ = ending::none;
    bool dying_ = false; // an end has failed, and what it sent before is being read
    end dead_ = end::client;
};

} // namespace portico::relay
