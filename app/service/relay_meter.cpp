#include "service/relay_meter.hpp"

namespace portico::app {
namespace {

void subtract(service_figures::connect_times& from, const service_figures::connect_times& what) {
    for (std::size_t i = 0; i < from.below.size(); ++i) {
        from.below[i] -= what.below[i];
    }
    from.sum -= what.sum;
}

} // namespace

std::shared_ptr<relay_meter> relay_meter::make(std::shared_ptr<run::relay_targets> targets) {
    std::shared_ptr<relay_meter> made{new relay_meter{std::move(targets)}};
    made->targets_->tell_begun([weak = made->weak_from_this()](relay::target_id id) {
        if (const auto self = weak.lock()) {
            self->handle_begun(id);
        }
    });
    return made;
}

relay_meter::relay_meter(std::shared_ptr<run::relay_targets> targets)
    : targets_{std::move(targets)}, before_(targets_->capacity()) {}

void relay_meter::attach(const run::relay_group& group, std::span<const run::bound_socket> sockets,
                         std::span<const plan::wish> wishes, std::size_t max_connections) {
    group_ = &group;
    max_connections_ = max_connections;
    listeners_ = name_listeners(wishes, sockets);
}

void relay_meter::handle_begun(relay::target_id id) {
    before_[id] = connect_times_of(id);
}

relay_meter::times relay_meter::connect_times_of(relay::target_id id) const {
    times sum;
    for (std::size_t i = 0; group_ != nullptr && i < group_->size(); ++i) {
        const auto& one = group_->counters(i).targets[id];
        for (std::size_t bucket = 0; bucket < sum.below.size(); ++bucket) {
            sum.below[bucket] += one.connect_time[bucket].value();
        }
        sum.sum += one.connect_time_sum.value();
    }
    return sum;
}

void relay_meter::read(service_figures& to) const {
    const auto first = to.targets.size();
    add_targets(to, *targets_, ip::transport::tcp);
    for (auto i = first; i < to.targets.size(); ++i) {
        auto& each = to.targets[i];
        each.took = connect_times_of(each.state.id);
        subtract(each.took, before_[each.state.id]);
    }
    if (group_ != nullptr) {
        to.threads = group_->size();
        to.active = group_->active();
        to.max_connections = max_connections_;
        read_flows(to);
        read_totals(to);
    }
}

void relay_meter::read_flows(service_figures& to) const {
    for (std::size_t which = 0; which < listeners_.size(); ++which) {
        for (std::size_t family = 0; family < run::relay_families; ++family) {
            service_figures::flow sum;
            sum.listener = listeners_[which].name;
            sum.family = static_cast<run::relay_family>(family);
            std::array<std::uint64_t, run::relay_ends> ended{};
            for (std::size_t i = 0; i < group_->size(); ++i) {
                const auto& one = group_->counters(i).flows[which][family];
                sum.accepted += one.accepted.value();
                sum.active += one.active.value();
                sum.received += one.received.value();
                sum.sent += one.sent.value();
                for (std::size_t why = 0; why < ended.size(); ++why) {
                    ended[why] += one.ended[why].value();
                }
            }
            for (std::size_t why = 0; why < ended.size(); ++why) {
                sum.ended.emplace_back(run::to_text(static_cast<run::relay_end>(why)), ended[why]);
            }
            // An IPv6 socket may take IPv4 clients too, and a PROXY header name any.
            if (listeners_[which].has[family] || sum.accepted != 0) {
                to.flows.push_back(std::move(sum));
            }
        }
    }
}

void relay_meter::read_totals(service_figures& to) const {
    for (std::size_t i = 0; i < group_->size(); ++i) {
        const auto& one = group_->counters(i);
        to.accept_failed += one.accept_failed.value();
        to.shed += one.shed.value();
        to.times_full += one.times_full.value();
        to.buffers_short += one.buffers_short.value();
        to.ends_untold += one.ends_untold.value();
        for (std::size_t why = 0; why < to.bad_headers.size(); ++why) {
            to.bad_headers[why] += one.bad_headers[why].value();
        }
    }
}

} // namespace portico::app
