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
    duration patience = std::chrono::seconds{10}; // from the first byte to the whole request
    duration linger = std::chrono::seconds{1};    // of a refused client, to read its answer
    // Of a UDP association, without a datagram either way. RFC 4787 section 4.3 wants two minutes
    // at least.
    duration association_idle = std::chrono::minutes{2};
    // Of an association: so many destinations are known at once, whose answers are let through, and
    // so many names. The one that was silent the longest makes room.
    std::size_t max_destinations = 256;
    std::size_t max_names = 64;
    duration connect_timeout = std::chrono::seconds{30}; // with resolving, for all addresses
    // Of it limits, buffers, `from`, `interface`, `no_delay`, `dead_after` and `attempt_delay`
    // count. While the interface or the address is gone, nothing is relayed.
    relay_settings settings{};
    // The way out is gone, with why, or is back.
    std::function<void(bool is_there, const std::string& why)> egress_changed{};
};

// Why a datagram of an association is dropped.
enum class socks_drop : std::uint8_t {
    // From clients, or those who may be.
    foreign,     // from another address, or port, than the client's
    malformed,   // its header; see wire::socks5_datagram_drop
    fragment,    // which are not put together
    not_allowed, // its destination; see socks_counters::not_allowed
    unresolved,  // there is no such name
    waiting,     // too much waits for names already
    no_socket,   // no descriptor, or none of that family
    no_egress,
    not_sent, // the network cannot be reached
    // From targets.
    unasked, // from where the client has not sent to
    // Both ways.
    truncated,
    busy, // the kernel has no room for it
    too_large,
};
inline constexpr std::size_t socks_drops = 13;
// "foreign", ...
[[nodiscard]] std::string_view to_text(socks_drop why) noexcept;

// How many. Threads: the executor's.
struct socks_counters {
    std::uint64_t connected = 0;                                // CONNECT
    std::uint64_t associated = 0;                               // UDP ASSOCIATE
    std::array<std::uint64_t, wire::socks5_refusals> refused{}; // clients
    std::uint64_t late = 0; // clients whose request did not come in time
    // Destinations; of a name each of its addresses that was looked at.
    std::array<std::uint64_t, admit::destination_refusals> not_allowed{};
    std::uint64_t to_targets = 0; // datagrams
    std::uint64_t to_clients = 0;
    std::array<std::uint64_t, socks_drops> dropped{};
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
// An association (RFC 1928 section 7) lasts as long as the connection that asked for it, and has a
// socket at the address that the client came to, and one of each family outside. It takes datagrams
// from the client's address alone, and from the port that it said, or else first sent from; each
// destination is checked each time, and only who was sent to is heard. Names are resolved once.
//
// The error is the system's: what the host's own addresses are, or whether the way out is there,
// cannot be learnt. Memory: about 2 KiB for a client until it is joined. Destroying it closes the
// connections; their `done` are not called. Threads: the executor's.
[[nodiscard]] result<std::unique_ptr<socks_service>>
make_socks_service(const asio::any_io_executor& executor, socks_options options);

} // namespace portico::run
