#include "portico/relay/deadline_wheel.hpp"

#include <algorithm>

namespace portico::relay {

deadline_wheel::deadline_wheel(instant now) noexcept : turn_{tick_of(now)} {
    for (auto& each : slots_) {
        each.next = &each;
        each.previous = &each;
    }
}

void deadline_wheel::link(node& which) noexcept {
    // A tick is looked at when it is over, so that nobody is woken early.
    const auto at =
        std::clamp(tick_of(which.due) + 1, turn_ + 1, turn_ + static_cast<std::int64_t>(ticks) - 1);
    const auto slot = slot_of(at);
    auto& head = slots_[slot];
    which.previous = head.previous;
    which.next = &head;
    head.previous->next = &which;
    head.previous = &which;
    filled_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void deadline_wheel::unlink(node& which) noexcept {
    if (cursor_ == &which) {
        cursor_ = which.next;
    }
    which.previous->next = which.next;
    which.next->previous = which.previous;
    if (which.next == which.previous) { // the head is alone
        const auto slot = static_cast<std::size_t>(which.next - slots_.data());
        filled_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    }
    which.next = nullptr;
    which.previous = nullptr;
}

void deadline_wheel::set_at_latest(node& which, deadline when) noexcept {
    if (when.is_never() || (which.is_set() && which.due <= when.when())) {
        return;
    }
    if (which.is_set()) {
        unlink(which);
    }
    which.due = when.when();
    link(which);
}

void deadline_wheel::cancel(node& which) noexcept {
    if (which.is_set()) {
        unlink(which);
    }
}

deadline_wheel::node* deadline_wheel::poll_expired(instant now) noexcept {
    const auto current = tick_of(now);
    if (cursor_ == nullptr) { // after a long sleep, one turn finds all
        turn_ = std::max(turn_, current - static_cast<std::int64_t>(ticks) + 1);
    }
    while (turn_ <= current) {
        const auto slot = slot_of(turn_);
        auto& head = slots_[slot];
        if (cursor_ == nullptr) {
            cursor_ = head.next;
        }
        while (cursor_ != &head) {
            auto& found = *cursor_;
            unlink(found);
            if (found.due <= now) {
                return &found;
            }
            link(found); // its time is turns away; never into this slot
        }
        cursor_ = nullptr;
        filled_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
        if (turn_ == current) {
            return nullptr;
        }
        ++turn_;
    }
    return nullptr;
}

deadline deadline_wheel::poll_deadline() const noexcept {
    const auto first = slot_of(turn_);
    for (std::size_t i = 0; i <= filled_.size(); ++i) {
        const auto word = (first / 64 + i) % filled_.size();
        auto bits = filled_[word];
        if (i == 0) {
            bits &= ~std::uint64_t{0} << (first % 64);
        } else if (i == filled_.size()) {
            bits &= ~(~std::uint64_t{0} << (first % 64));
        }
        if (bits != 0) {
            const auto slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
            const auto ahead = (slot + ticks - first) % ticks;
            return deadline::at(instant{tick * (turn_ + static_cast<std::int64_t>(ahead))});
        }
    }
    return deadline::never();
}

} // namespace portico::relay
