// A network for tests: what the resolver answers when, and how each address behaves. Drives a race
// through it in virtual time and writes down what happened.
#pragma once

#include "portico/race/race.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace portico::race::test {

// What comes from the resolver, `at` after the race began.
struct scripted_answer {
    duration at{};
    ip::family which = ip::family::v6;
    std::vector<ip::destination> found;
    std::optional<error> why{}; // it failed
};

// How an address behaves once an attempt has started. Without an entry it never answers.
struct scripted_fate {
    duration after{};
    bool connects = true;
};

struct script {
    config how;
    std::vector<scripted_answer> answers;
    std::map<ip::address, scripted_fate> fates;
    std::vector<std::pair<duration, std::vector<translator>>> nat64;
    std::optional<duration> cancel{};
    // Picks one of `count` things that are due at the same instant (0: as in the order of script),
    // and whether to handle another one before polling.
    std::function<std::size_t(std::size_t count)> pick = [](std::size_t) { return std::size_t{0}; };
    std::function<bool()> batch = [] { return false; };
};

struct happening {
    enum class kind : std::uint8_t { answer, nat64, connect, fail, cancel, wake, start, abandon };
    kind what = kind::wake;
    duration at{};
    attempt_id id = 0;
    ip::address who;
    bool after_decision = false;

    friend bool operator==(const happening&, const happening&) = default;
};

struct run_result {
    std::vector<happening> log;
    report story;
    bool decided = false;
    std::string broken; // a rule that the race broke while it ran; empty: none
};

// Runs until the race is decided and nothing is left to happen: what comes after the decision is
// fed to it as well. A race that waits for ever ends undecided.
[[nodiscard]] run_result play(const script& what);

inline const instant start_of_time{std::chrono::hours{1}};

} // namespace portico::race::test
