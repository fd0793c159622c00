// What a relay is doing, in figures, and as text: for people, as JSON, and for Prometheus.
#pragma once

#include "portico/plan/plan.hpp"
#include "portico/relay/targets.hpp"
#include "portico/run/datagram_relay.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/relay_group.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

// All engines together, at one time. Texts are printable ASCII.
struct relay_figures {
    // Clients of one listener and family.
    struct flow {
        std::string listener; // as written; the second of that text is "text#2"
        run::relay_family family = run::relay_family::v4;
        std::uint64_t accepted = 0;
        std::uint64_t active = 0;
        std::uint64_t received = 0; // bytes from clients
        std::uint64_t sent = 0;
        std::array<std::uint64_t, run::relay_ends> ended{};
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
    instant now{};
    duration up{};
    std::size_t threads = 0;
    std::uint64_t active = 0; // connections
    std::uint64_t max_connections = 0;
    std::vector<flow> flows{};
    std::vector<target> targets{};
    std::optional<datagrams> udp{};
    std::uint64_t accept_failed = 0;
    std::uint64_t shed = 0;
    std::uint64_t times_full = 0;
    std::uint64_t buffers_short = 0;
    std::uint64_t ends_untold = 0;
    std::array<std::uint64_t, wire::proxy_header_refusals> bad_headers{};
    std::string trouble{};
};

// The targets of a relay, without their times. Those that are there already keep their names.
void add_targets(relay_figures& to, const run::relay_targets& which, ip::transport over);
// Whether there is anything to tell about this way to a target.
[[nodiscard]] bool is_used(const relay::target_state::way_state& one) noexcept;
[[nodiscard]] std::string_view to_text(run::relay_family which) noexcept;

// Lines end in '\n'.
[[nodiscard]] std::string to_table(const relay_figures& what);
[[nodiscard]] std::string to_json(const relay_figures& what);
// The text format of Prometheus, version 0.0.4.
[[nodiscard]] std::string to_prometheus(const relay_figures& what);

// Reads the counters of a relay. The counters of an id go on when it stands for another target, so
// what they were then is kept here. Threads: that of the control side.
class relay_meter : public std::enable_shared_from_this<relay_meter> {
public:
    [[nodiscard]] static std::shared_ptr<relay_meter>
    make(std::shared_ptr<run::relay_targets> targets);

    // From now on there is something to count. `group` stays where it is.
    void attach(const run::relay_group& group, std::span<const run::bound_socket> sockets,
                std::span<const plan::wish> wishes, std::size_t max_connections);
    void read(relay_figures& to) const;

private:
    // A listener, and the families that its sockets are of.
    struct listener {
        std::string name;
        std::array<bool, run::relay_families> has{};
    };
    using times = relay_figures::connect_times;

    explicit relay_meter(std::shared_ptr<run::relay_targets> targets);
    void handle_begun(relay::target_id id);
    [[nodiscard]] times connect_times_of(relay::target_id id) const;
    void read_flows(relay_figures& to) const;
    void read_totals(relay_figures& to) const;

    std::shared_ptr<run::relay_targets> targets_;
    std::vector<times> before_; // by target_id
    const run::relay_group* group_ = nullptr;
    std::vector<listener> listeners_;
    std::size_t max_connections_ = 0;
};

} // namespace portico::app
