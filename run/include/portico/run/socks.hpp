// A SOCKS 5 server (RFC 1928, RFC 1929): connects, and relays datagrams, where its clients say.
#pragma once

#include "portico/admit/destinations.hpp"
#include "portico/admit/users.hpp"
#include "portico/run/dial.hpp"
#include "portico/run/relay_engine.hpp"
#include "portico/run/service.hpp"
#include "portico/wire/socks5_server.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace portico::run {

struct socks_options {
    // What clients may reach; see admit::destinations for what they may not without a rule.
    std::vector<admit::destination_rule> rules{};
    // Null: anybody may use it. Otherwise only these, by name and password.
    std::shared_ptr<const admit::users> users{};
    duration patience = std::chrono::seconds{10};        // from the first byte to the whole request
    duration linger = std::chrono::seconds{1};           // of a refused client, to read its answer
    duration connect_timeout = std::chrono::seconds{30}; // with resolving, for all addresses
    // Of it limits, buffers, `from`, `interface`, `no_delay`, `dead_after` and `attempt_delay`
    // count. While the interface or the address is gone, nothing is relayed.
    relay_settings settings{};
    // The way out is gone, with why, or is back.
    std::function<void(bool is_there, const std::string& why)> egress_changed{};
};

// How many. Threads: the executor's.
struct socks_counters {
    std::uint64_t connected = 0;                                // CONNECT
    std::array<std::uint64_t, wire::socks5_refusals> refused{}; // clients
    std::uint64_t late = 0; // clients whose request did not come in time
    // Destinations; of a name each of its addresses that was looked at.
    std::array<std::uint64_t, admit::destination_refusals> not_allowed{};
};

// Of each end, `detail` says what was asked for and what became of it; never the password.
class socks_service : public stream_service {
public:
    [[nodiscard]] virtual const socks_counters& counters() const noexcept = 0;
};

// Each client says what it wants, and is joined to it by an engine (see relay_engine) as soon as it
// has been told yes. Each address is checked just before it is dialled, also those that a name
// resolves to. A client that is refused is told so, and has `linger` to read it.
//
// The error is the system's: what the host's own addresses are, or whether the way out is there,
// cannot be learnt. Memory: about 2 KiB for a client until it is joined. Destroying it closes the
// connections; their `done` are not called. Threads: the executor's.
[[nodiscard]] result<std::unique_ptr<socks_service>>
make_socks_service(const asio::any_io_executor& executor, socks_options options);

} // namespace portico::run
