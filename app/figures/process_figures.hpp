// What a process of services is doing as a whole, in figures.
#pragma once

#include "portico/os/counters.hpp"
#include "portico/os/spawn.hpp"

#include <cstdint>
#include <optional>

namespace portico::app {

// Of `portico serve`.
struct transition_figures {
    std::uint64_t reloads = 0;
    std::uint64_t reloads_failed = 0;
    std::uint64_t handovers = 0;        // this process and those before it, each from the last
    std::uint64_t handovers_failed = 0; // from this one
    std::uint64_t leaving = 0;          // connections of services that were replaced or taken away
};

struct process_figures {
    os::descriptor_count descriptors{};
    os::tcp_counters kernel{};                  // of the network namespace
    std::optional<transition_figures> served{}; // unset: of `portico listen`
};

// But for `served`. What cannot be read is unset.
[[nodiscard]] inline process_figures read_process_figures() {
    return {os::count_descriptors(), os::read_tcp_counters().value_or(os::tcp_counters{}), {}};
}

} // namespace portico::app
