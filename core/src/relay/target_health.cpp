#include "portico/relay/target_health.hpp"

#include <algorithm>
#include <array>

namespace portico::relay {

std::string_view to_text(way which) noexcept {
    constexpr std::array<std::string_view, ways> names{"ipv4", "ipv6", "unix"};
    return names[static_cast<std::size_t>(which)];
}

way way_of(const ip::any_endpoint& at) noexcept {
    const auto* const inet = std::get_if<ip::endpoint>(&at);
    return inet == nullptr ? way::local : way_of(inet->address.family());
}

bool speaks_of_target(const error& why) noexcept {
    constexpr std::array ours{
        std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
        std::errc::not_enough_memory,   std::errc::no_buffer_space,
        std::errc::address_in_use,      std::errc::address_not_available,
        std::errc::permission_denied,   std::errc::operation_not_permitted,
        std::errc::operation_canceled,
    };
    return why.who != side::portico &&
           std::none_of(ours.begin(), ours.end(), [&](std::errc each) { return why.code == each; });
}

void way_health::handle_chosen(instant now) noexcept {
    if (back_off_ != duration::zero() && now >= retry_at_) {
        trial_ = true;
        retry_at_ = deadline::after(now, back_off_).when();
    }
}

void way_health::handle_connected(const health_settings& how) noexcept {
    if (unfit_) {
        handle_check(how, true);
        return;
    }
    failures_ = 0;
    back_off_ = {};
    trial_ = false;
}

void way_health::handle_failed(instant now, const health_settings& how) noexcept {
    failures_ += failures_ != UINT32_MAX ? 1 : 0;
    if (unfit_ || how.failures == 0) {
        return;
    }
    if (back_off_ == duration::zero()) {
        if (failures_ >= how.failures) {
            rest(now, how.first_back_off);
        }
        return;
    }
    // Many that began while it was up may fail after it has gone down: only a trial that fails
    // makes the rest longer.
    if (trial_) {
        const auto doubled = back_off_ > how.max_back_off / 2 ? how.max_back_off : back_off_ * 2;
        rest(now, doubled);
    }
}

void way_health::rest(instant now, duration how_long) noexcept {
    back_off_ = std::max(how_long, duration{1});
    retry_at_ = deadline::after(now, back_off_).when();
    trial_ = false;
}

void way_health::handle_check(const health_settings& how, bool passed) noexcept {
    checks_in_row_ = passed == last_check_passed_ ? checks_in_row_ : 0;
    checks_in_row_ += checks_in_row_ != UINT32_MAX ? 1 : 0;
    last_check_passed_ = passed;
    if (!passed && checks_in_row_ >= std::max(how.fall, 1U)) {
        unfit_ = true;
    }
    const bool is_down = unfit_ || back_off_ != duration::zero();
    if (passed && is_down && checks_in_row_ >= std::max(how.rise, 1U)) {
        come_up();
    }
}

way_health::condition way_health::state() const noexcept {
    if (unfit_) {
        return condition::unfit;
    }
    if (back_off_ == duration::zero()) {
        return condition::up;
    }
    return trial_ ? condition::on_trial : condition::resting;
}

deadline way_health::retry_at() const noexcept {
    return unfit_ || back_off_ == duration::zero() ? deadline::never() : deadline::at(retry_at_);
}

bool way_health::is_less_bad_than(const way_health& other) const noexcept {
    if (unfit_ != other.unfit_) {
        return !unfit_;
    }
    return unfit_ ? failures_ < other.failures_ : retry_at_ < other.retry_at_;
}

std::string_view to_text(way_health::condition which) noexcept {
    constexpr std::array<std::string_view, 4> names{"up", "resting", "on trial", "unfit"};
    return names[static_cast<std::size_t>(which)];
}

} // namespace portico::relay
