// What the conversations of one SOCKS server have in common.
#pragma once

#include "portico/run/socks.hpp"
#include "relay/nested_engine.hpp"

#include <algorithm>
#include <list>
#include <span>

namespace portico::run {

class socks_conversation;

// Threads: the executor's.
struct socks_shared {
    socks_shared(asio::any_io_executor ex, socks_options how);

    // Notes the translators that a dial has found (RFC 7050), and what is refused.
    [[nodiscard]] std::optional<admit::destination_refusal>
    refuse(const std::optional<std::string>& name, const ip::endpoint& to,
           std::span<const ip::prefix> translators = {});
    [[nodiscard]] std::optional<admit::destination_refusal>
    refuse_unresolved(const std::string& name, std::uint16_t port);

    const asio::any_io_executor executor;
    const socks_options options;
    admit::destinations allowed;
    socks_counters counters;
    std::shared_ptr<nested_engine> engine;
    std::list<std::shared_ptr<socks_conversation>> talking; // not yet joined
    bool has_egress = true;
    std::vector<std::byte> buffer; // one datagram at a time, with room for a header in front of it

private:
    [[nodiscard]] std::optional<admit::destination_refusal>
    count(std::optional<admit::destination_refusal> why);

    std::vector<ip::prefix> translators_; // at most `most_translators`
};

} // namespace portico::run
