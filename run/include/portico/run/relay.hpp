// Joining each connection to one that is connected for it.
#pragma once

#include "portico/run/dial.hpp"
#include "portico/run/relay_engine.hpp"
#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace portico::run {

// Where a relay's connections go. Of a dial_request the host, the port, `only`, `from`, `interface`
// and, for one target alone, `via` count here; the rest is in the settings. A host may also be
// "srv:_name._tcp.domain", without a port: the targets of its SRV records (RFC 2782), with their
// priorities and weights. Beside other targets the best of its priorities is equal to theirs, and a
// target that is written out has the average weight of those.
struct relay_options {
    std::vector<dial_request> targets; // at least one
    relay_settings settings{};
    relay::policy balance = relay::policy::round_robin;
    relay::health_settings health{};
    std::optional<duration> check_every{}; // connects to each family of each target; unset: never
    // Names are asked for again so often, and SRV records when their lifetime is over, but not more
    // often, or less, than these. After a failure: at the least.
    duration refresh = std::chrono::seconds{30};
    duration least_refresh = std::chrono::seconds{5};
    // Of all SRV records, with those that are gone but have connections.
    std::size_t max_service_targets = 256;
    // Of the hash of clients; relays with the same seed and targets give a client the same target.
    hash_seed seed{};
};

// The targets of a relay, resolved now and again and again; hand it to the engines. The error is
// for a person. `known` is called once, when every target has been asked for, and not within this
// call. They are resolved for as long as somebody else holds them.
[[nodiscard]] tl::expected<std::shared_ptr<relay_targets>, std::string>
resolve_relay_targets(const asio::any_io_executor& executor, const relay_options& how,
                      std::function<void()> known);

// A relay inside Asio's loop, for connections that others accept. (Where a relay is all there is,
// give engines threads of their own: see relay_engine.)
//
// The end of a stream goes on as an end (half-close); a reset, or a peer that was given up, goes on
// as a reset, from either side and also while the target is still being connected. A side that does
// not read holds the other one back. When no target can be reached the client gets a reset, and
// `detail` of its end names every attempt.
//
// Memory: see relay_engine. Destroying it closes the connections; their `done` are not called.
[[nodiscard]] tl::expected<std::unique_ptr<stream_service>, std::string>
make_relay_service(const asio::any_io_executor& executor, relay_options options);

} // namespace portico::run
