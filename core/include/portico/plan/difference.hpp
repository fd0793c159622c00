// Which sockets that are open a new plan goes on using: what a reload keeps, opens and closes.
#pragma once

#include "portico/plan/plan.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace portico::plan {

// An open socket, and the wish that it was opened for.
struct held_socket {
    ip::any_endpoint at; // with its real port
    ip::transport over = ip::transport::tcp;
    bool v6only = false;
    std::optional<int> inherited{}; // the descriptor that was handed to the process
    ip::listen_address wish;        // ":0" keeps its port only for ":0"
    std::string interface {};       // that it is bound to (SO_BINDTODEVICE), or empty
};

struct difference {
    // For each planned socket the held one that it goes on with; nullopt: it is opened.
    std::vector<std::optional<std::size_t>> kept;
    std::vector<std::size_t> closed; // held ones that nobody goes on with, in order
};

// A held socket serves one planned socket at most: one at the same address and port over the same
// transport, bound to the same interface, or, of a wish for any port, one of the same wish. A path
// is a file: two names of it are two sockets. Time: linear in both.
[[nodiscard]] difference compare(const plan& next, const std::vector<wish>& wishes,
                                 std::span<const held_socket> held);

// A line for each socket: "keep", "open" or "close", where, and for which wish. Lines end in '\n'.
[[nodiscard]] std::string to_text(const difference& which, const plan& next,
                                  const std::vector<wish>& wishes,
                                  std::span<const held_socket> held);

} // namespace portico::plan
