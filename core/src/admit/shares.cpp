#include "portico/admit/shares.hpp"

#include <algorithm>

namespace portico::admit {

std::size_t shares::join(std::size_t each) {
    const auto free = std::find_if(members_.begin(), members_.end(),
                                   [](const member& one) { return one.each == 0; });
    const auto at = free == members_.end() ? members_.emplace(free) : free;
    *at = {std::max<std::size_t>(1, each), 0};
    share_out();
    return static_cast<std::size_t>(at - members_.begin());
}

void shares::leave(std::size_t who) {
    taken_ -= members_[who].has;
    members_[who] = {};
    share_out();
}

bool shares::take(std::size_t who) {
    if (!has_room(who)) {
        return false;
    }
    auto& one = members_[who];
    unused_ -= unused_by(one);
    one.has += one.each;
    unused_ += unused_by(one);
    taken_ += one.each;
    return true;
}

bool shares::has_room(std::size_t who) const {
    const auto& one = members_[who];
    const auto others = unused_ - unused_by(one);
    return taken_ + others + one.each <= total_;
}

void shares::give_back(std::size_t who) {
    auto& one = members_[who];
    if (one.has == 0) {
        return;
    }
    unused_ -= unused_by(one);
    one.has -= one.each;
    unused_ += unused_by(one);
    taken_ -= one.each;
}

void shares::set_total(std::size_t total) {
    total_ = total;
    share_out();
}

std::size_t shares::unused_by(const member& which) const noexcept {
    return which.each == 0 ? 0 : own_ - std::min(own_, which.has);
}

void shares::share_out() {
    const auto count = static_cast<std::size_t>(std::count_if(
        members_.begin(), members_.end(), [](const member& one) { return one.each != 0; }));
    own_ = count == 0 ? 0 : total_ / 2 / count;
    unused_ = 0;
    for (const auto& each : members_) {
        unused_ += unused_by(each);
    }
}

} // namespace portico::admit
