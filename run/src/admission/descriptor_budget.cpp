#include "portico/run/descriptor_budget.hpp"

#include <utility>

namespace portico::run {

std::size_t descriptor_budget::join(std::size_t each, std::function<void()> wake) {
    const std::lock_guard locked{mutex_};
    const auto who = shares_.join(each);
    if (who >= members_.size()) {
        members_.resize(who + 1);
    }
    members_[who] = {std::move(wake)};
    return who;
}

void descriptor_budget::leave(std::size_t who) {
    const std::lock_guard locked{mutex_};
    shares_.leave(who);
    members_[who] = {};
    wake_all();
}

bool descriptor_budget::take(std::size_t who) {
    const std::lock_guard locked{mutex_};
    return remember(who, shares_.take(who));
}

bool descriptor_budget::has_room(std::size_t who) {
    const std::lock_guard locked{mutex_};
    return remember(who, shares_.has_room(who));
}

void descriptor_budget::give_back(std::size_t who) {
    const std::lock_guard locked{mutex_};
    shares_.give_back(who);
    wake_all();
}

void descriptor_budget::set_left(std::size_t left) {
    const std::lock_guard locked{mutex_};
    shares_.set_total(left + shares_.taken());
    wake_all();
}

std::size_t descriptor_budget::total() const {
    const std::lock_guard locked{mutex_};
    return shares_.total();
}

bool descriptor_budget::remember(std::size_t who, bool is_there) {
    members_[who].waits = !is_there;
    somebody_waits_ = somebody_waits_ || !is_there;
    return is_there;
}

void descriptor_budget::wake_all() {
    if (!std::exchange(somebody_waits_, false)) {
        return;
    }
    for (auto& each : members_) {
        if (std::exchange(each.waits, false)) {
            each.wake();
        }
    }
}

} // namespace portico::run
