// The options that say where to listen; `listen` and `plan` have them in common.
#pragma once

#include "portico/plan/plan.hpp"

#include <CLI/CLI.hpp>

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace portico::app {

// What CLI11, or a file, says about where to listen.
struct wish_flags {
    std::vector<std::string> addresses{};
    bool only_v4 = false;
    bool only_v6 = false;
    bool udp = false;
    bool tcp = false; // too
    bool required = false;
    bool both_families = false;
    bool reuse_port = false;
    bool freebind = false;
    int backlog = 0;
    std::string mode{}; // in octal
    bool broadcast = false;
    std::vector<std::string> join{}; // groups

    // One wish for each transport. `mode` and `join` have to be right.
    [[nodiscard]] std::vector<plan::wish> wishes_for(const ip::listen_address& where) const;
};

// What is wrong with the text of a mode; empty: nothing.
[[nodiscard]] std::string mode_fault(const std::string& text);

// Whether one of them is a file, which has a mode.
[[nodiscard]] bool has_socket_file(const std::vector<plan::wish>& wishes) noexcept;

// What is wrong with the text of a group; empty: nothing.
[[nodiscard]] std::string group_fault(const std::string& text);

// Adds ADDR... -4 -6 --udp --tcp --broadcast --join --required --both-families --reuseport
// --freebind --backlog --mode to a verb. It holds what CLI11 writes into, so it must live until the
// parser has run; it cannot be moved.
class wish_options {
public:
    explicit wish_options(CLI::App& verb);
    wish_options(const wish_options&) = delete;
    wish_options& operator=(const wish_options&) = delete;

    // One wish for each address and transport, in the order given; a comma separates as a space
    // does. nullopt when any cannot be read: then all that are wrong have been explained on
    // `complaints`, and the exit code is 100.
    [[nodiscard]] std::optional<std::vector<plan::wish>> wishes(std::ostream& complaints) const;

private:
    wish_flags flags_;
};

} // namespace portico::app
