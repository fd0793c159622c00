// The options that say where to listen; `listen` and `plan` have them in common.
#pragma once

#include "portico/plan/plan.hpp"

#include <CLI/CLI.hpp>

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace portico::app {

// Adds ADDR... -4 -6 --udp --tcp --required --both-families --reuseport --freebind --backlog --mode
// to a verb. It holds what CLI11 writes into, so it must live until the parser has run; it cannot
// be moved.
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
    [[nodiscard]] plan::wish wish_for(ip::listen_address where, ip::transport over) const;

    std::vector<std::string> addresses_;
    bool only_v4_ = false;
    bool only_v6_ = false;
    bool udp_ = false;
    bool tcp_ = false; // too
    bool required_ = false;
    bool both_families_ = false;
    bool reuse_port_ = false;
    bool freebind_ = false;
    int backlog_ = 0;
    std::string mode_;
};

} // namespace portico::app
