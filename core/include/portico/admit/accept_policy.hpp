// What a failed accept(2) means for the next one. Pure: errors and the time come in, steps come
// out; the driver closes, waits and counts.
#pragma once

#include "portico/base/instant.hpp"

#include <cstdint>
#include <system_error>

namespace portico::admit {

enum class accept_step : std::uint8_t {
    again, // the failure was of one connection: the next may be well
    wait,  // none is queued: wait until the socket is readable
    shed,  // no descriptor is left: accept one on the spare descriptor, and close it at once
    pause, // nothing helps but time: do not accept on this socket before `until`
};

struct accept_decision {
    accept_step step = accept_step::again;
    instant until{};          // for pause
    bool passed_over = false; // the failure was of one connection, whatever the step
};

// The memory of one listening socket: how often in a row it failed. It guarantees that no error,
// known or not, makes a driver spin: after run_limit failures in a row that cost a call each comes
// a pause. Memory: 16 bytes. Threads: a value.
class accept_policy {
public:
    static constexpr duration first_pause = std::chrono::milliseconds{10};
    static constexpr duration longest_pause = std::chrono::seconds{1};
    static constexpr unsigned run_limit = 64;

    // A connection was accepted: whatever was short is there again.
    void handle_accepted() noexcept;

    // accept(2) failed with an errno in std::system_category() (accept(2), "Error handling").
    //   EAGAIN                                    -> wait
    //   EINTR, ECONNABORTED, EPROTO, EPERM and the network errors of accept(2) -> again
    //   EMFILE, ENFILE                            -> shed when there is a spare, else pause
    //   ENOBUFS, ENOMEM, and everything unknown   -> pause
    // Pauses double from first_pause to longest_pause until something is accepted.
    [[nodiscard]] accept_decision handle_failure(std::error_code why, bool has_spare,
                                                 instant now) noexcept;

    // How shedding ended: no error means that one connection was shed. A descriptor shortage in
    // spite of the spare is a pause; so is the end of a long run, because clients that come back at
    // once would keep the driver busy.
    [[nodiscard]] accept_decision handle_shed(std::error_code why, instant now) noexcept;

private:
    [[nodiscard]] accept_decision back_off(instant now) noexcept;
    [[nodiscard]] accept_decision again_or_pause(instant now) noexcept;

    duration next_pause_ = first_pause;
    unsigned run_ = 0; // failures and sheds since the last accept, wait or pause
};

} // namespace portico::admit
