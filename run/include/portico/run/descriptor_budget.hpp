// The descriptors of a process, shared by all its services.
#pragma once

#include "portico/admit/shares.hpp"

#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace portico::run {

// Without it each service takes what is there, and a flood at one leaves the others unable to
// accept, or to reach a target for a client that they have accepted.
//
// Time: as admit::shares, with a mutex; a return wakes all who wait. Threads: any.
class descriptor_budget {
public:
    // `total`: how many may be open for the clients of all members together.
    explicit descriptor_budget(std::size_t total) : shares_{total} {}

    // `each`: descriptors of one client. `wake` is called, from any thread, when it waits and there
    // may be room; it must not call back here. Returns its number.
    [[nodiscard]] std::size_t join(std::size_t each, std::function<void()> wake);
    // No `wake` is running when this returns.
    void leave(std::size_t who);

    // True: give_back() is owed. False: `wake` will be called.
    [[nodiscard]] bool take(std::size_t who);
    [[nodiscard]] bool has_room(std::size_t who); // as take() would say, which it does not do
    void give_back(std::size_t who);
    // `left`: as many as could be opened now; what is taken already counts besides.
    void set_left(std::size_t left);

    [[nodiscard]] std::size_t total() const;

private:
    struct member {
        std::function<void()> wake;
        bool waits = false;
    };
    bool remember(std::size_t who, bool is_there);
    void wake_all();

    mutable std::mutex mutex_;
    admit::shares shares_; // guarded, as what follows
    std::vector<member> members_;
    bool somebody_waits_ = false;
};

} // namespace portico::run
