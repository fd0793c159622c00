// What the host takes away from itself when its services are open: new privileges, system calls and
// files.
#pragma once

#include "config/config.hpp"

#include "portico/os/sandbox.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// System calls that may be made; each is stricter than the one before.
enum class call_rule : std::uint8_t {
    all,
    ordinary, // but not those that change the whole system, such as mount(2)
    listed,   // only those that the host and what it starts of its own need
};

struct sandbox_plan {
    bool no_new_privileges = false;
    call_rule calls = call_rule::all;
    bool limits_files = false;
    std::vector<os::path_rule> paths{}; // all that is left, when it limits them

    friend bool operator==(const sandbox_plan&, const sandbox_plan&);
};

// As [serve] sandbox says. `own_program`: what a handover starts. Paths are made absolute, and
// those that are symbolic links stand there with what they lead to.
[[nodiscard]] sandbox_plan plan_sandbox(const serve_config& config, const std::string& own_program);

// Why these services cannot run in a sandbox that was made for others, with what to do; empty: they
// can.
[[nodiscard]] std::string find_shortage(const sandbox_plan& in_force, const serve_config& next,
                                        const std::string& own_program);

struct sandbox_outcome {
    sandbox_plan in_force;           // with what was there before
    std::vector<std::string> cannot; // what could not be done, a line each without its end
};
// For good, and for all that is started later; before threads are started. `before` is in force
// already: what is the same there is not done again.
[[nodiscard]] sandbox_outcome enter_sandbox(const sandbox_plan& plan, const sandbox_plan& before);

// For --check: a line each for new privileges, system calls and files, and what this kernel has.
[[nodiscard]] std::string explain_sandbox(const sandbox_plan& plan);

// For the next process, and back; the error is for a person.
[[nodiscard]] std::string to_json(const sandbox_plan& plan);
[[nodiscard]] tl::expected<sandbox_plan, std::string> parse_sandbox(std::string_view json);

// ---- the lists, which are data: sandbox_calls.cpp ----

// Those of a host without programs, of its resolver and of the next process.
[[nodiscard]] std::span<const std::string_view> needed_calls() noexcept;
[[nodiscard]] std::span<const int> needed_families() noexcept;
// Nobody makes these by accident in such a host: the process is killed.
[[nodiscard]] std::span<const std::string_view> hostile_calls() noexcept;
// Not needed by a program that serves somebody.
[[nodiscard]] std::span<const std::string_view> privileged_calls() noexcept;

} // namespace portico::app
