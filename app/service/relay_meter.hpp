// The counters of a relay, read while its threads count.
#pragma once

#include "figures/service_figures.hpp"

#include <memory>

namespace portico::app {

// Reads the counters of a relay. The counters of an id go on when it stands for another target, so
// what they were then is kept here. Threads: that of the control side.
class relay_meter : public std::enable_shared_from_this<relay_meter> {
public:
    [[nodiscard]] static std::shared_ptr<relay_meter>
    make(std::shared_ptr<run::relay_targets> targets);

    // From now on there is something to count. `group` stays where it is.
    void attach(const run::relay_group& group, std::span<const run::bound_socket> sockets,
                std::span<const plan::wish> wishes, std::size_t max_connections);
    void read(service_figures& to) const;

private:
    using times = service_figures::connect_times;

    explicit relay_meter(std::shared_ptr<run::relay_targets> targets);
    void handle_begun(relay::target_id id);
    [[nodiscard]] times connect_times_of(relay::target_id id) const;
    void read_flows(service_figures& to) const;
    void read_totals(service_figures& to) const;

    std::shared_ptr<run::relay_targets> targets_;
    std::vector<times> before_; // by target_id
    const run::relay_group* group_ = nullptr;
    std::vector<named_listener> listeners_;
    std::size_t max_connections_ = 0;
};

} // namespace portico::app
