// Counts the clients of a service that has no threads of its own, by listener and family.
#pragma once

#include "figures/service_figures.hpp"

#include "portico/run/service.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace portico::app {

class flow_meter {
public:
    // Why a connection is over, or did not begin.
    enum class ending : std::uint8_t { both_ended, client_failed, failed, denied, limited, full };
    static constexpr std::size_t endings = 6;

    // Whom a connection is counted for.
    struct place {
        std::size_t listener = 0;
        run::relay_family family = run::relay_family::v4;
    };

    flow_meter(std::span<const plan::wish> wishes, std::span<const run::bound_socket> sockets);

    [[nodiscard]] place handle_accepted(const run::accepted& who);
    void handle_refused(place where, ending why);
    void handle_end(place where, const run::connection_end& how);
    void read(service_figures& to) const;

private:
    struct flow {
        std::uint64_t accepted = 0;
        std::uint64_t active = 0;
        std::uint64_t received = 0;
        std::uint64_t sent = 0;
        std::array<std::uint64_t, endings> ended{};
    };
    [[nodiscard]] flow& at(place where);

    std::vector<named_listener> listeners_;
    std::vector<std::array<flow, run::relay_families>> flows_;
};

// "both_ended", "client_failed", ...: those of a relay where they are the same.
[[nodiscard]] std::string_view to_text(flow_meter::ending why) noexcept;

} // namespace portico::app
