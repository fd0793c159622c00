// The options of `portico listen` that are about a relay (--to).
#pragma once

#include "flags/setting_error.hpp"

#include "portico/relay/associations.hpp"
#include "portico/run/relay.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

// What CLI11 writes into: it must live until the parser has run, and stay where it is.
struct relay_flags {
    std::vector<std::string> to{};
    std::size_t threads = 0; // 0: one for each core
    std::string balance = "round-robin";
    std::optional<duration> check_every{};
    std::optional<duration> idle_limit{};
    std::optional<duration> half_closed_limit{};
    std::optional<duration> connect_timeout{};
    std::vector<std::string> proxy_in{};
    std::optional<duration> proxy_in_timeout{};
    std::string proxy_out{};
    std::string status{};
    std::string egress_device{};
    std::string from{};
    int socket_buffer = 0; // 0: the kernel's choice
    bool fast_open = false;
    std::size_t associations = relay::association_settings{}.capacity;
    std::optional<std::size_t> associations_per_client{};

    [[nodiscard]] bool is_asked() const noexcept { return !to.empty(); }
    [[nodiscard]] std::size_t engines() const;
};

void add_relay_flags(CLI::App& verb, relay_flags& flags);

// `over`: what the targets are reached over.
[[nodiscard]] or_setting_error<run::relay_options>
read_relay_flags(const relay_flags& flags, ip::transport over = ip::transport::tcp);

// The table of a relay of datagrams.
[[nodiscard]] relay::association_settings read_association_flags(const relay_flags& flags);
// A setting that was given and that a relay of datagrams cannot heed; empty: none. `has_tcp`: there
// is a relay of connections as well, for which those are that may be left out for datagrams.
[[nodiscard]] std::string_view connection_setting(const relay_flags& flags, bool has_tcp) noexcept;

} // namespace portico::app
