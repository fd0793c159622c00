#include "socks/own_addresses.hpp"

#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr auto back_off = std::chrono::seconds{1};

} // namespace

own_addresses::own_addresses(const asio::any_io_executor& executor, os::monitor events, told tell)
    : events_{std::move(events)}, watched_{executor}, again_{executor}, tell_{std::move(tell)} {}

result<std::shared_ptr<own_addresses>> own_addresses::watch(const asio::any_io_executor& executor,
                                                            told tell) {
    const auto failed = [](std::error_code why) {
        return tl::unexpected{error{why, operation::inspect, side::system, {}}};
    };
    auto events = os::monitor::open(); // before the first look: no change falls between
    if (!events) {
        return failed(events.error());
    }
    auto made = std::make_shared<own_addresses>(executor, *std::move(events), std::move(tell));
    if (const auto done = made->look(); !done) {
        return failed(done.error());
    }
    error_code wrong;
    made->watched_.assign(made->events_.raw(), wrong);
    if (wrong) {
        return failed(wrong);
    }
    made->wait();
    return made;
}

os::sys_status own_addresses::look() {
    auto now = os::take_snapshot();
    if (!now) {
        return tl::unexpected{now.error()};
    }
    known_ = *std::move(now);
    publish();
    return {};
}

void own_addresses::publish() {
    std::vector<ip::address> all;
    for (const auto& each : known_.addresses) {
        all.push_back(each.address);
    }
    tell_(all);
}

void own_addresses::wait() {
    watched_.async_wait(watched_.wait_read, [weak = weak_from_this()](error_code wrong) {
        const auto self = weak.lock();
        if (self && !wrong && self->tell_) {
            self->read();
            self->wait();
        }
    });
}

void own_addresses::read() {
    const auto news = events_.read_changes();
    if (!news || news->lost) {
        return look_again();
    }
    bool any = false;
    for (const auto& each : news->changes) {
        any = known_.apply(each) || any;
    }
    if (any) {
        publish();
    }
}

void own_addresses::look_again() {
    if (look()) {
        return;
    }
    again_.expires_after(back_off);
    again_.async_wait([weak = weak_from_this()](error_code wrong) {
        const auto self = weak.lock();
        if (self && !wrong && self->tell_) {
            self->look_again();
        }
    });
}

void own_addresses::end() {
    tell_ = nullptr;
    again_.cancel();
    if (watched_.is_open()) {
        static_cast<void>(watched_.release()); // it is the monitor's
    }
}

} // namespace portico::run
