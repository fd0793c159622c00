// The targets of a relay, as its engines see them: which one to take, and at which addresses.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/select.hpp"
#include "portico/os/socket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace portico::run {

// One address of a target.
struct target_place {
    ip::any_endpoint at;
    std::optional<ip::source> from{}; // unset: there is no route
    os::sockaddr_bytes raw;           // the same as `at`, as the kernel takes it
};

struct target_choice {
    std::uint32_t target = 0;
    std::shared_ptr<const std::vector<target_place>> places; // in no order; not empty
};

// Threads: all calls from any.
class relay_targets {
public:
    virtual ~relay_targets() = default;

    // One that is not among `tried`; nullopt when there is none left. `client` is its canonical
    // address.
    [[nodiscard]] virtual std::optional<target_choice>
    choose(instant now, const ip::any_endpoint& client, std::span<const std::uint32_t> tried) = 0;
    virtual void handle_connected(instant now, std::uint32_t target, ip::family which) = 0;
    // One attempt failed.
    virtual void handle_failed(instant now, std::uint32_t target, ip::family which,
                               const error& why) = 0;
    // Why there may be none to choose, for a person; may be empty.
    [[nodiscard]] virtual std::string trouble() const = 0;
    // A connection that was joined has ended.
    virtual void handle_ended(std::uint32_t target) = 0;
};

} // namespace portico::run
