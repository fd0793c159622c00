// Relaying datagrams: each client of a UDP service gets a socket of its own towards a target.
#pragma once

#include "portico/relay/associations.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/relay_targets.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace portico::run {

struct datagram_relay_settings {
    relay::association_settings table{};      // each of its places may take a descriptor
    hash_seed seed{};                         // of the table; not to be guessed
    std::optional<ip::endpoint> from{};       // local address of the sockets towards targets
    std::string interface {};                 // SO_BINDTODEVICE for them
    std::optional<int> socket_buffer{};       // see os::set_buffers(); theirs
    duration drain = std::chrono::seconds{2}; // how long a drain waits for answers
};

// Why a datagram went no further; the order is the order in which they are looked at.
enum class datagram_drop : std::uint8_t {
    truncated,   // longer than 65,535 bytes
    to_group,    // it came to a multicast or broadcast address, which no answer can come from
    bad_source,  // its source cannot be answered, or a service of RFC 862 to 868 would answer back
    looped,      // from a socket of this relay: its target is itself
    no_egress,   // the way out is gone, see set_egress()
    denied,      // by the door
    full,        // of the table, see relay::association_drop
    prefix_full, // of the table
    no_socket,   // no descriptor, memory or local port for one
    no_target,   // none has an address, or none could be sent to
    busy,        // the kernel's buffer is full
    too_large,   // for the family that it goes on over (EMSGSIZE)
    not_sent,    // any other error of sendmsg(2)
};
inline constexpr std::size_t datagram_drops = 13;
// "truncated", "to_group", ...
[[nodiscard]] std::string_view to_text(datagram_drop why) noexcept;

// What came from one side, and went on to the other one.
struct datagram_flow {
    std::uint64_t received = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t sent = 0;
    std::uint64_t sent_bytes = 0;
    std::array<std::uint64_t, datagram_drops> dropped{}; // by reason

    [[nodiscard]] std::uint64_t of(datagram_drop why) const noexcept {
        return dropped[static_cast<std::size_t>(why)];
    }
    [[nodiscard]] std::uint64_t all_dropped() const noexcept;
};

struct datagram_relay_counters {
    datagram_flow from_clients;
    datagram_flow from_targets;
    std::uint64_t failed_reads = 0;      // errors of recvmsg(2) on the sockets of clients
    std::uint64_t target_failures = 0;   // sends that failed, and refusals by ICMP
    std::optional<error> last_failure{}; // of those
    relay::association_counts associations{};
};

// One association, at its end.
struct association_end {
    std::uint64_t number = 0; // counts those of this relay from 1
    ip::any_endpoint client;
    ip::any_endpoint local;  // where its datagrams came to
    ip::any_endpoint target; // the last one; std::monostate when there was none
    std::uint64_t received = 0, received_bytes = 0; // from the client, and relayed
    std::uint64_t sent = 0, sent_bytes = 0;         // to the client
    duration lasted{};
    relay::association_drop why = relay::association_drop::closed;
};

// Who may begin an association, by canonical address; the parts that are unset ask nobody.
struct association_door {
    // nullopt: let in; else what its datagram is dropped for.
    std::function<std::optional<datagram_drop>(instant now, const ip::endpoint& client)> let_in{};
    std::function<void(const ip::endpoint& client)> left{}; // once for each one that was let in
};

// The relay.
//
//     client -- datagram --> our socket -- association --> connected socket -- datagram --> target
//            <-- answer from the address that was asked --/                 <-- answer ----/
//
// The first datagram of a client, which is its address and port and the address of ours that it
// sends to, begins an association: a target is chosen, and a socket connected to it. Every further
// one goes the same way, and what comes back goes to the client from the address that it had sent
// to, over the same interface when that is link-local. Boundaries are kept, and nothing is changed;
// an empty datagram is one. The table is bounded (see relay::associations).
//
// A target that refuses (ICMP tells so a moment after the datagram that is lost by it), or cannot
// be sent to, is reported, and what the client sends next goes to the next address or target. What
// only is silent cannot be told from what has nothing to say.
//
// Nobody waits here: a datagram that the kernel has no room for is dropped, and counted. In one
// turn at most 64 are taken from one socket of clients, and 16 from one of a target, so that nobody
// starves the others.
//
// Memory: 180 bytes for each place of the table, 64 KiB, and about 1 KiB for each association.
// Threads: all calls on the executor's thread or strand, and the callbacks are called there. Within
// `tell` and those of the door the relay must not be called, or destroyed.
class datagram_relay {
public:
    using ended = std::function<void(const association_end&)>;

    // Reads from the UDP sockets of IP among `sockets`, by descriptors of its own: they stay bound
    // until its end, even if the listener closes them before. `tell` may be empty. The error: no
    // descriptor was left.
    [[nodiscard]] static result<std::unique_ptr<datagram_relay>>
    make(const asio::any_io_executor& executor, std::span<const bound_socket> sockets,
         std::shared_ptr<relay_targets> targets, const datagram_relay_settings& how,
         association_door door = {}, ended tell = {});
    datagram_relay(const datagram_relay&) = delete;
    datagram_relay& operator=(const datagram_relay&) = delete;
    ~datagram_relay(); // as stop(), but tells nobody

    [[nodiscard]] std::size_t active() const noexcept; // associations
    [[nodiscard]] datagram_relay_counters counters() const noexcept;

    // While the device or address of the sockets towards targets is gone nothing is relayed, and
    // there are no associations: nothing may leave by another way. It is there at first.
    void set_egress(bool is_there);

    // Takes what is in the queues of clients, at most 1,024 of each socket, and nothing after it;
    // passes answers on until nobody waits for one, or settings.drain is over; then stops, and
    // calls `over`, not within this call. `over` may destroy it.
    void drain(std::function<void()> over);
    // Ends everything at once. A drain's `over` is not called any more.
    void stop();

private:
    struct state;
    explicit datagram_relay(std::shared_ptr<state> made) : state_{std::move(made)} {}
    std::shared_ptr<state> state_;
};

} // namespace portico::run
