#include "portico/run/egress_watch.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/netlink.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <algorithm>
#include <utility>

namespace portico::run {
namespace {

bool is_same(const ip::address& left, const ip::address& right) {
    return left.with_zone({}) == right.with_zone({});
}

// A device, an address of this host, or both.
struct egress {
    std::string device{};
    std::optional<ip::address> from{};
};

std::string trouble_of(const egress& which, const os::snapshot& now) {
    const auto device = std::find_if(now.links.begin(), now.links.end(),
                                     [&](const auto& each) { return each.name == which.device; });
    if (!which.device.empty()) {
        if (device == now.links.end()) {
            return "the device " + which.device + " is gone";
        }
        if (!device->up || !device->running) {
            return "the device " + which.device + (device->up ? " has no carrier" : " is down");
        }
    }
    if (which.from &&
        std::none_of(now.addresses.begin(), now.addresses.end(), [&](const auto& each) {
            return is_same(each.address, *which.from) && !each.dad_failed;
        })) {
        return "the address " + ip::to_text(*which.from) + " is gone";
    }
    return {};
}

error system_error(std::error_code why) {
    return {why, operation::open, side::system, {}};
}

class watch : public std::enable_shared_from_this<watch> {
public:
    watch(const asio::any_io_executor& executor, egress which, os::monitor events,
          std::function<void(bool, const std::string&)> changed)
        : which_{std::move(which)}, events_{std::move(events)},
          descriptor_{executor}, changed_{std::move(changed)} {}
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;
    ~watch() = default;

    result<void> begin() {
        auto now = os::take_snapshot();
        if (!now) {
            return tl::unexpected{system_error(now.error())};
        }
        known_ = *std::move(now);
        trouble_ = trouble_of(which_, known_);
        boost::system::error_code wrong;
        descriptor_.assign(events_.raw(), wrong);
        if (wrong) {
            return tl::unexpected{system_error(wrong)};
        }
        wait();
        if (!trouble_.empty()) {
            changed_(false, trouble_);
        }
        return {};
    }
    void end() {
        changed_ = nullptr;
        if (descriptor_.is_open()) {
            descriptor_.release(); // it is the monitor's
        }
    }

private:
    void wait() {
        descriptor_.async_wait(descriptor_.wait_read,
                               [weak = weak_from_this()](boost::system::error_code wrong) {
                                   const auto self = weak.lock();
                                   if (self && !wrong && self->changed_) {
                                       self->look();
                                       self->wait();
                                   }
                               });
    }
    // Each change by itself: a device that was gone for a moment has taken its connections along.
    void look() {
        auto news = events_.read_changes();
        if (!news) {
            return;
        }
        if (news->lost) {
            if (auto now = os::take_snapshot()) {
                known_ = *std::move(now);
                // What was missed is not known; the worst of it is that it was gone meanwhile.
                judge("events of the network were lost");
                judge(trouble_of(which_, known_));
            }
            return;
        }
        for (const auto& each : news->changes) {
            known_.apply(each);
            judge(trouble_of(which_, known_));
        }
    }
    void judge(std::string trouble) {
        if (std::exchange(trouble_, std::move(trouble)).empty() != trouble_.empty()) {
            changed_(trouble_.empty(), trouble_);
        }
    }

    egress which_;
    os::monitor events_;
    asio::posix::stream_descriptor descriptor_;
    std::function<void(bool, const std::string&)> changed_;
    os::snapshot known_;
    std::string trouble_;
};

// What the handlers hold is not the owner's.
class owned_watch final : public egress_watch {
public:
    explicit owned_watch(std::shared_ptr<watch> inside) : inside_{std::move(inside)} {}
    owned_watch(const owned_watch&) = delete;
    owned_watch& operator=(const owned_watch&) = delete;
    ~owned_watch() override { inside_->end(); }

private:
    std::shared_ptr<watch> inside_;
};

} // namespace

result<std::unique_ptr<egress_watch>>
egress_watch::open(const asio::any_io_executor& executor, const std::string& device,
                   const std::optional<ip::endpoint>& from,
                   std::function<void(bool, const std::string&)> changed) {
    if (device.empty() && !from) {
        return nullptr;
    }
    egress which{device, from ? std::optional{from->address} : std::nullopt};
    auto events = os::monitor::open(); // before the first look: no change falls between
    if (!events) {
        return tl::unexpected{system_error(events.error())};
    }
    auto made =
        std::make_shared<watch>(executor, std::move(which), *std::move(events), std::move(changed));
    if (auto begun = made->begin(); !begun) {
        made->end();
        return tl::unexpected{begun.error()};
    }
    return std::make_unique<owned_watch>(std::move(made));
}

} // namespace portico::run
