// What services are doing, in figures, and as text: for people, as JSON, and for Prometheus.
#pragma once

#include "figures/process_figures.hpp"

#include "portico/plan/plan.hpp"
#include "portico/relay/targets.hpp"
#include "portico/run/builtin.hpp"
#include "portico/run/datagram_relay.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/program.hpp"
#include "portico/run/relay_group.hpp"
#include "portico/run/socks.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portico::app {

// One service, all its threads together, at one time. Texts are printable ASCII.
struct service_figures {
    // Clients of one listener and family.
    struct flow {
        std::string listener; // as written; the second of that text is "text#2"
        run::relay_family family = run::relay_family::v4;
        std::uint64_t accepted = 0;
        std::uint64_t active = 0;
        std::uint64_t received = 0; // bytes from clients
        std::uint64_t sent = 0;
        // How many ended or were not let in for each reason; those of a kind of service are always
        // the same.
        std::vector<std::pair<std::string_view, std::uint64_t>> ended{};
    };
    struct connect_times {
        std::array<std::uint64_t, run::connect_buckets> below{}; // see run::connect_buckets
        std::uint64_t sum = 0;                                   // microseconds

        [[nodiscard]] std::uint64_t count() const noexcept;
    };
    struct target {
        std::string name; // unique in the same way, among those of one transport
        ip::transport over = ip::transport::tcp;
        relay::target_state state;
        connect_times took; // tcp
    };
    struct datagrams {
        std::uint64_t associations = 0;
        std::uint64_t max_associations = 0;
        run::datagram_relay_counters counts{};
    };
    struct programs {
        run::program_counters counts{};
        std::uint64_t in_vain = 0; // runs that took nothing, of a program that takes its clients
    };
    std::string name{}; // empty: it is alone in its process
    std::string kind{}; // "relay", "echo", ...
    instant now{};
    duration up{};
    std::size_t threads = 0;  // of a relay; 0: it does not run
    std::uint64_t active = 0; // connections
    std::uint64_t max_connections = 0;
    std::vector<flow> flows{};
    std::vector<target> targets{};
    std::optional<datagrams> udp{};                  // of a relay
    std::optional<run::datagram_counters> queries{}; // of a built-in service
    std::optional<programs> started{};
    std::optional<run::socks_counters> socks{};
    std::uint64_t accept_failed = 0;
    std::uint64_t shed = 0;
    std::uint64_t times_full = 0;
    std::uint64_t buffers_short = 0;
    std::uint64_t ends_untold = 0;
    std::array<std::uint64_t, wire::proxy_header_refusals> bad_headers{};
    std::string trouble{};
};

// The targets of a relay, without their times. Those that are there already keep their names.
void add_targets(service_figures& to, const run::relay_targets& which, ip::transport over);
// Whether there is anything to tell about this way to a target.
[[nodiscard]] bool is_used(const relay::target_state::way_state& one) noexcept;
[[nodiscard]] std::string_view to_text(run::relay_family which) noexcept;

// A listener, and the families that its sockets are of.
struct named_listener {
    std::string name;
    std::array<bool, run::relay_families> has{};
};
[[nodiscard]] std::vector<named_listener>
name_listeners(std::span<const plan::wish> wishes, std::span<const run::bound_socket> sockets);
// Of the canonical address.
[[nodiscard]] run::relay_family family_of(const ip::any_endpoint& at) noexcept;

// All services of a process.
struct host_figures {
    instant now{};
    duration up{};
    std::vector<service_figures> services{};
    process_figures process{};
};

// Lines end in '\n'.
[[nodiscard]] std::string to_table(const host_figures& what);
[[nodiscard]] std::string to_json(const host_figures& what);
// The text format of Prometheus, version 0.0.4. A service that is alone is no label.
[[nodiscard]] std::string to_prometheus(const host_figures& what);

} // namespace portico::app
