#include "portico/run/network_watch.hpp"

#include "portico/os/netlink.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

namespace portico::run {
namespace {

// All of an address that matters here. Lifetimes run down all the time.
using seen_address = std::tuple<std::uint32_t, ip::address, bool, bool, bool>;

struct view {
    std::vector<seen_address> addresses;
    std::vector<std::tuple<std::uint32_t, std::string, bool>> links;
    friend bool operator==(const view&, const view&) = default;
};

view view_of(const os::snapshot& now) {
    view made;
    for (const auto& each : now.addresses) {
        made.addresses.emplace_back(each.link, each.address.with_zone({}), each.tentative,
                                    each.dad_failed, each.deprecated);
    }
    for (const auto& each : now.links) {
        made.links.emplace_back(each.index, each.name, each.multicast);
    }
    std::sort(made.addresses.begin(), made.addresses.end());
    std::sort(made.links.begin(), made.links.end());
    return made;
}

error failed(std::error_code why) {
    return {why, operation::open, side::system, {}};
}

} // namespace

struct network_watch::state : std::enable_shared_from_this<network_watch::state> {
    state(const asio::any_io_executor& executor, os::monitor from, std::function<void()> tell,
          std::function<void(const error&)> tell_unseen)
        : events{std::move(from)}, descriptor{executor}, timer{executor}, changed{std::move(tell)},
          unseen{std::move(tell_unseen)} {}

    result<void> begin() {
        auto now = os::take_snapshot();
        if (!now) {
            return tl::unexpected{failed(now.error())};
        }
        last = view_of(*now);
        boost::system::error_code wrong;
        descriptor.assign(events.raw(), wrong);
        if (wrong) {
            return tl::unexpected{failed(wrong)};
        }
        wait();
        return {};
    }
    void end() {
        changed = nullptr;
        timer.cancel();
        if (descriptor.is_open()) {
            descriptor.release(); // it is the monitor's
        }
    }

    void wait() {
        descriptor.async_wait(descriptor.wait_read, [weak = weak_from_this()](auto wrong) {
            const auto self = weak.lock();
            if (self && !wrong && self->changed) {
                self->arm();
            }
        });
    }
    // No event may come any more that would be another chance.
    void look_again(const std::error_code& why) {
        const bool is_first = pause == rest;
        pause = std::min<duration>(2 * pause, longest_pause);
        arm(); // first: who is told may end us
        if (auto tell = unseen; is_first && tell) {
            tell(failed(why));
        }
    }
    // What comes meanwhile is looked at with the rest.
    void arm() {
        timer.expires_after(pause);
        timer.async_wait([weak = weak_from_this()](auto wrong) {
            const auto self = weak.lock();
            if (self && !wrong && self->changed) {
                self->look();
            }
        });
    }
    void look() {
        static_cast<void>(events.read_changes()); // lost ones, too: the snapshot has it all
        auto now = os::take_snapshot();
        if (!now) {
            return look_again(now.error());
        }
        pause = rest;
        wait();
        if (std::exchange(last, view_of(*now)) != last) {
            auto tell = changed; // it may end us
            tell();
        }
    }

    os::monitor events;
    asio::posix::stream_descriptor descriptor;
    asio::steady_timer timer;
    std::function<void()> changed;
    std::function<void(const error&)> unseen;
    duration pause = rest; // before the next look
    view last;
};

result<std::unique_ptr<network_watch>>
network_watch::open(const asio::any_io_executor& executor, std::function<void()> changed,
                    std::function<void(const error&)> unseen) {
    auto events = os::monitor::open();
    if (!events) {
        return tl::unexpected{failed(events.error())};
    }
    auto made = std::make_shared<state>(executor, *std::move(events), std::move(changed),
                                        std::move(unseen));
    if (auto done = made->begin(); !done) {
        return tl::unexpected{done.error()};
    }
    return std::unique_ptr<network_watch>{new network_watch{std::move(made)}};
}

network_watch::~network_watch() {
    state_->end();
}

} // namespace portico::run
