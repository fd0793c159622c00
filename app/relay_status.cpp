#include "relay_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace portico::app {
namespace {

using run::relay_family;

relay_family family_of(const ip::any_endpoint& at) {
    const auto* where = std::get_if<ip::endpoint>(&at);
    return where == nullptr         ? relay_family::local
           : where->address.is_v6() ? relay_family::v6
                                    : relay_family::v4;
}

// Whatever a user has written: for a terminal, and as UTF-8. As in the log.
std::string printable(std::string_view text) {
    std::string made;
    for (const char each : text) {
        if (each >= ' ' && each < '\x7f') {
            made += each;
        } else {
            made += fmt::format("\\x{:02x}", static_cast<unsigned char>(each));
        }
    }
    return made;
}

// A name is used once, or metrics could not be told apart: the second "x" is "x#2".
template <class IsTaken>
std::string unique(std::string_view text, IsTaken is_taken) {
    const auto name = printable(text);
    auto made = name;
    for (unsigned number = 2; is_taken(made); ++number) {
        made = name + "#" + std::to_string(number);
    }
    return made;
}

void subtract(relay_figures::connect_times& from, const relay_figures::connect_times& what) {
    for (std::size_t i = 0; i < from.below.size(); ++i) {
        from.below[i] -= what.below[i];
    }
    from.sum -= what.sum;
}

} // namespace

bool is_used(const relay::target_state::way_state& one) noexcept {
    return one.has_addresses || one.connected + one.failed != 0;
}

std::string_view to_text(relay_family which) noexcept {
    return relay::to_text(static_cast<relay::way>(which));
}

void add_targets(relay_figures& to, const run::relay_targets& which, ip::transport over) {
    for (auto& each : which.snapshot()) {
        auto name = unique(each.name, [&](const std::string& made) {
            return std::any_of(to.targets.begin(), to.targets.end(), [&](const auto& other) {
                return other.over == over && other.name == made;
            });
        });
        to.targets.push_back({std::move(name), over, std::move(each), {}});
    }
    if (const auto trouble = printable(which.trouble()); !trouble.empty()) {
        to.trouble += (to.trouble.empty() ? "" : "; ") + trouble;
    }
}

std::uint64_t relay_figures::connect_times::count() const noexcept {
    return std::accumulate(below.begin(), below.end(), std::uint64_t{0});
}

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
    for (const auto& each : wishes) {
        auto name = unique(each.where.text, [&](const std::string& made) {
            return std::any_of(listeners_.begin(), listeners_.end(),
                               [&](const auto& other) { return other.name == made; });
        });
        listeners_.push_back({std::move(name), {}});
    }
    for (const auto& each : sockets) {
        listeners_[each.wish].has[static_cast<std::size_t>(family_of(each.at))] = true;
    }
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

void relay_meter::read(relay_figures& to) const {
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

void relay_meter::read_flows(relay_figures& to) const {
    for (std::size_t which = 0; which < listeners_.size(); ++which) {
        for (std::size_t family = 0; family < run::relay_families; ++family) {
            relay_figures::flow sum;
            sum.listener = listeners_[which].name;
            sum.family = static_cast<relay_family>(family);
            for (std::size_t i = 0; i < group_->size(); ++i) {
                const auto& one = group_->counters(i).flows[which][family];
                sum.accepted += one.accepted.value();
                sum.active += one.active.value();
                sum.received += one.received.value();
                sum.sent += one.sent.value();
                for (std::size_t why = 0; why < sum.ended.size(); ++why) {
                    sum.ended[why] += one.ended[why].value();
                }
            }
            // An IPv6 socket may take IPv4 clients too, and a PROXY header name any.
            if (listeners_[which].has[family] || sum.accepted != 0) {
                to.flows.push_back(std::move(sum));
            }
        }
    }
}

void relay_meter::read_totals(relay_figures& to) const {
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
