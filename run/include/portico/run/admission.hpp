// Who may come in to a service, and how many at once: for all its threads together.
#pragma once

#include "portico/admit/access.hpp"
#include "portico/admit/gate.hpp"
#include "portico/admit/rate_tiers.hpp"
#include "portico/run/descriptor_budget.hpp"
#include "portico/run/relay_counters.hpp"

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace portico::run {

struct admission_settings {
    admit::access access{};
    std::array<admit::tier_limit, admit::tiers> limits{}; // by prefix; see admit::rate_tiers
    std::size_t max_connections = 1000;                   // of all threads together
    admit::when_full then = admit::when_full::queue;
    hash_seed seed{};                                 // of the table of prefixes; not to be guessed
    std::shared_ptr<descriptor_budget> descriptors{}; // null: there are enough
    std::size_t descriptors_each = 1;                 // of a connection
};

// A connection takes a place before it is accepted and gives it back at its end. Its client is
// asked about as soon as it is known: at once, or after a PROXY header.
//
// Time: O(1), with a mutex. A client is looked at without one while there are no limits by prefix.
// Memory: fixed; see admit::rate_tiers. Threads: any.
class admission {
public:
    enum class room : std::uint8_t {
        taken,  // give_back() is owed
        wait,   // accept nothing; `wake` will be called
        refuse, // accept, and close
    };
    struct refusal {
        relay_end why = relay_end::denied; // or relay_end::limited
        std::string text{};                // for a person
    };

    explicit admission(admission_settings how);
    admission(const admission&) = delete;
    admission& operator=(const admission&) = delete;
    ~admission();

    // A thread that accepts. `wake` is called, from any thread, when it waits and there is room;
    // until leave(). Returns its number.
    [[nodiscard]] std::size_t join(std::function<void()> wake);
    void leave(std::size_t who);

    [[nodiscard]] room take_place(std::size_t who);
    void give_back(std::size_t who);
    // Whether take_place() would say other than `wait`; if not, `wake` will be called.
    [[nodiscard]] bool has_room(std::size_t who);

    // nullopt: let in, and forget() is owed. `client`: its canonical address.
    [[nodiscard]] std::optional<refusal> refuse(instant now, const ip::any_endpoint& client);
    void forget(const ip::any_endpoint& client);

    [[nodiscard]] const admission_settings& settings() const noexcept { return how_; }
    // Whether anybody may come in: then refuse() and forget() need not be called.
    [[nodiscard]] bool asks_nothing() const noexcept { return asks_nothing_; }
    [[nodiscard]] std::optional<admit::rate_counts> counts() const;
    // How often there was a place, and no descriptors for it.
    [[nodiscard]] std::uint64_t times_short() const;

private:
    struct thread {
        std::function<void()> wake;
        bool waits = false;
    };
    void give_back_place(std::size_t who);
    void wake_all();

    const admission_settings how_;
    const bool asks_nothing_;
    mutable std::mutex mutex_;
    admit::gate gate_;                         // guarded, and all that follows
    std::optional<admit::rate_tiers> tiers_{}; // when there are limits
    std::vector<thread> threads_;
    std::uint64_t times_short_ = 0;
    std::size_t at_budget_ = 0; // our number there; never called with the mutex held
};

} // namespace portico::run
