// The targets of a relay, as its engines see them: which one to take, and at which addresses.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/select.hpp"
#include "portico/os/socket.hpp"
#include "portico/relay/targets.hpp"

#include <cstdint>
#include <functional>
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

// A target, and where to try it now. (relay::target_choice is the same without the places.)
struct target_offer {
    relay::target_id target = 0;
    std::shared_ptr<const std::vector<target_place>> places; // in no order; not empty
};

// Each choose() that gave a target is followed by exactly one handle_opened() or handle_given_up()
// for it, and an opened one by one handle_closed(). Threads: all calls from any.
class relay_targets {
public:
    virtual ~relay_targets() = default;

    // One that is not among `tried`; nullopt when there is none left. `client` is its canonical
    // address.
    [[nodiscard]] virtual std::optional<target_offer>
    choose(instant now, const ip::any_endpoint& client,
           std::span<const relay::target_id> tried) = 0;
    virtual void handle_opened(relay::target_id target, relay::way which) = 0;
    // None of its places answered, or the client went away.
    virtual void handle_given_up(relay::target_id target) = 0;
    virtual void handle_closed(relay::target_id target) = 0;
    // One attempt failed.
    virtual void handle_failed(instant now, relay::target_id target, relay::way which,
                               const error& why) = 0;
    // For a status page.
    [[nodiscard]] virtual std::vector<relay::target_state> snapshot() const = 0;
    // Where all of them are now, in no order.
    [[nodiscard]] virtual std::vector<target_place> places() const { return {}; }
    // Why there may be none to choose, for a person; may be empty.
    [[nodiscard]] virtual std::string trouble() const = 0;
    // Every id is below it.
    [[nodiscard]] virtual std::size_t capacity() const noexcept = 0;
    // From now on `begun` is called when an id begins to stand for another target (by name), before
    // that one can be chosen, and when all reports about the one before have been made. It must not
    // call back. Threads: set it, and it is called, on the thread that resolves; set it before
    // anything is resolved.
    virtual void tell_begun(std::function<void(relay::target_id)> begun) = 0;
};

} // namespace portico::run
