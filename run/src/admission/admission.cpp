#include "portico/run/admission.hpp"

#include <algorithm>
#include <utility>

namespace portico::run {
namespace {

bool has_limits(const admission_settings& how) {
    return std::any_of(how.limits.begin(), how.limits.end(),
                       [](const auto& each) { return each.max_open || each.rate; });
}

std::string denial(const admit::access& rules, const ip::any_endpoint& client) {
    const auto* at = std::get_if<ip::endpoint>(&client);
    const auto* rule = at == nullptr ? nullptr : rules.rule_for(at->address);
    return rule != nullptr ? "the rule " + to_text(*rule) : "no rule allows it";
}

std::string text_of(const admit::rate_verdict& verdict) {
    if (verdict.why == admit::rate_refusal::full) {
        return "too many connections are open";
    }
    return std::string{verdict.why == admit::rate_refusal::rate ? "too many in a short time"
                                                                : "too many at once"} +
           " from its " + std::string{admit::to_text(verdict.where)};
}

} // namespace

admission::admission(admission_settings how)
    : how_{std::move(how)}, asks_nothing_{how_.access.rules().empty() && !has_limits(how_)},
      gate_{how_.max_connections, how_.then} {
    if (has_limits(how_)) {
        admit::rate_tiers::config tiers;
        tiers.limits = how_.limits;
        tiers.max_connections = how_.max_connections;
        tiers_.emplace(tiers, how_.seed);
    }
    if (how_.descriptors) {
        at_budget_ = how_.descriptors->join(how_.descriptors_each, [this] { wake_all(); });
    }
}

admission::~admission() {
    if (how_.descriptors) {
        how_.descriptors->leave(at_budget_);
    }
}

std::size_t admission::join(std::function<void()> wake) {
    const std::lock_guard locked{mutex_};
    threads_.push_back({std::move(wake)});
    return threads_.size() - 1;
}

void admission::leave(std::size_t who) {
    const std::lock_guard locked{mutex_};
    threads_[who] = {};
}

admission::room admission::take_place(std::size_t who) {
    {
        const std::lock_guard locked{mutex_};
        if (!gate_.poll_accepting()) {
            threads_[who].waits = true;
            return room::wait;
        }
        if (!gate_.handle_connection()) {
            return room::refuse;
        }
        if (!how_.descriptors) {
            return room::taken;
        }
        threads_[who].waits = true; // the call of `wake` may come before the answer
    }
    if (how_.descriptors->take(at_budget_)) {
        const std::lock_guard locked{mutex_};
        threads_[who].waits = false;
        return room::taken;
    }
    give_back_place(who);
    const std::lock_guard locked{mutex_};
    ++times_short_;
    return how_.then == admit::when_full::refuse ? room::refuse : room::wait;
}

void admission::give_back(std::size_t who) {
    give_back_place(who);
    if (how_.descriptors) {
        how_.descriptors->give_back(at_budget_);
    }
}

void admission::give_back_place(std::size_t who) {
    const std::lock_guard locked{mutex_};
    if (!gate_.handle_ended()) {
        return;
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        if (i != who && std::exchange(threads_[i].waits, false)) {
            threads_[i].wake();
        }
    }
}

void admission::wake_all() {
    const std::lock_guard locked{mutex_};
    for (auto& each : threads_) {
        if (std::exchange(each.waits, false)) {
            each.wake();
        }
    }
}

bool admission::has_room(std::size_t who) {
    {
        const std::lock_guard locked{mutex_};
        threads_[who].waits = !gate_.poll_accepting() || how_.descriptors;
        if (!gate_.poll_accepting() || !how_.descriptors) {
            return !threads_[who].waits;
        }
    }
    const bool is_there =
        how_.then == admit::when_full::refuse || how_.descriptors->has_room(at_budget_);
    const std::lock_guard locked{mutex_};
    if (is_there) {
        threads_[who].waits = false;
    } else {
        ++times_short_;
    }
    return is_there;
}

std::optional<admission::refusal> admission::refuse(instant now, const ip::any_endpoint& client) {
    if (asks_nothing_) {
        return std::nullopt;
    }
    if (!how_.access.allows(client)) {
        return refusal{relay_end::denied, denial(how_.access, client)};
    }
    const auto* at = std::get_if<ip::endpoint>(&client);
    if (!tiers_ || at == nullptr) {
        return std::nullopt;
    }
    const std::lock_guard locked{mutex_};
    const auto verdict = tiers_->admit(now, at->address);
    return verdict.let_in ? std::nullopt
                          : std::optional{refusal{relay_end::limited, text_of(verdict)}};
}

void admission::forget(const ip::any_endpoint& client) {
    if (const auto* at = std::get_if<ip::endpoint>(&client); tiers_ && at != nullptr) {
        const std::lock_guard locked{mutex_};
        tiers_->handle_ended(at->address);
    }
}

std::optional<admit::rate_counts> admission::counts() const {
    const std::lock_guard locked{mutex_};
    return tiers_ ? std::optional{tiers_->counts()} : std::nullopt;
}

std::uint64_t admission::times_short() const {
    const std::lock_guard locked{mutex_};
    return times_short_;
}

} // namespace portico::run
