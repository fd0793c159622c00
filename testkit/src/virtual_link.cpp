#include "portico/testkit/virtual_link.hpp"

#include "portico/os/clock.hpp"
#include "portico/testkit/random.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <deque>
#include <optional>
#include <stdexcept>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace portico::testkit {
namespace {

std::runtime_error failure(const std::string& what) {
    return std::runtime_error{"virtual link: " + what + ": " + std::strerror(errno)};
}

// In the network namespace of the calling thread.
os::fd open_tun(const std::string& name) {
    os::fd device{::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)};
    if (!device) {
        throw failure("open /dev/net/tun");
    }
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (name.size() >= sizeof request.ifr_name) {
        throw std::runtime_error{"virtual link: '" + name + "' is too long for an interface"};
    }
    std::memcpy(request.ifr_name, name.c_str(), name.size());
    if (::ioctl(device.raw(), TUNSETIFF, &request) != 0) {
        throw failure("make the device " + name);
    }
    return device;
}

// A thread may be in a network namespace of its own, so one that ends afterwards goes over there.
os::fd open_tun_in(const std::string& network, const std::string& name) {
    os::fd device;
    std::string why;
    std::thread{[&] {
        try {
            const os::fd there{::open(network.c_str(), O_RDONLY | O_CLOEXEC)};
            if (!there || ::setns(there.raw(), CLONE_NEWNET) != 0) {
                throw failure("enter " + network);
            }
            device = open_tun(name);
        } catch (const std::runtime_error& failed) {
            why = failed.what();
        }
    }}.join();
    if (!why.empty()) {
        throw std::runtime_error{why};
    }
    return device;
}

std::string set_up(const std::string& name, const std::vector<std::string>& addresses) {
    std::string line =
        "echo 1 > /proc/sys/net/ipv6/conf/" + name + "/addr_gen_mode; ip link set " + name + " up";
    for (const auto& each : addresses) {
        // Only IPv6 knows duplicate address detection.
        const bool v6 = each.find(':') != std::string::npos;
        line += " && ip addr add " + each + " dev " + name + (v6 ? " nodad" : "");
    }
    return line;
}

struct packet {
    instant when;
    std::vector<std::byte> bytes;
};

// One direction and family: a fixed delay keeps the order, so a queue does.
struct lane {
    link_quality quality;
    std::deque<packet> queue;
};

// What goes in at end i comes out at the other one.
struct direction {
    lane v4;
    lane v6;
};

lane* lane_of(direction& way, const std::vector<std::byte>& bytes) {
    switch (std::to_integer<unsigned>(bytes[0]) >> 4) {
    case 4:
        return &way.v4;
    case 6:
        return &way.v6;
    default:
        return nullptr;
    }
}

std::size_t in_flight(const std::array<direction, 2>& ways) {
    std::size_t all = 0;
    for (const auto& way : ways) {
        all += way.v4.queue.size() + way.v6.queue.size();
    }
    return all;
}

// poll() counts in milliseconds, which is too coarse for a delay of a few.
void set_timer(int timer, const std::array<direction, 2>& ways) {
    std::optional<instant> first;
    for (const auto& way : ways) {
        for (const auto* each : {&way.v4, &way.v6}) {
            if (!each->queue.empty() && (!first || each->queue.front().when < *first)) {
                first = each->queue.front().when;
            }
        }
    }
    itimerspec when{};
    if (first) {
        const auto left = std::max<std::int64_t>((*first - os::now()).count(), 1);
        when.it_value = {static_cast<time_t>(left / 1'000'000'000), left % 1'000'000'000};
    }
    ::timerfd_settime(timer, 0, &when, nullptr);
}

} // namespace

virtual_link::virtual_link(const peer_network& peer, link_options how)
    : how_{std::move(how)}, stop_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    ends_[0] = open_tun(how_.here);
    ends_[1] = open_tun_in(peer.path(), how_.there);
    must_run(set_up(how_.here, how_.addresses_here));
    peer.must_run(set_up(how_.there, how_.addresses_there));
    thread_ = std::thread{[this] { carry(); }};
}

virtual_link::~virtual_link() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_.raw(), &one, sizeof one));
    thread_.join();
}

virtual_link::counters virtual_link::counted() const noexcept {
    return {carried_, lost_, overflow_, unknown_};
}

void virtual_link::carry() {
    const os::fd timer{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    seeded_random random{how_.seed};
    std::array<direction, 2> ways{direction{{how_.v4, {}}, {how_.v6, {}}},
                                  direction{{how_.v4, {}}, {how_.v6, {}}}};
    const auto take_from = [&](std::size_t end) {
        std::vector<std::byte> bytes(65536);
        const auto size = ::read(ends_[end].raw(), bytes.data(), bytes.size());
        if (size <= 0) {
            return false;
        }
        bytes.resize(static_cast<std::size_t>(size));
        auto* const into = lane_of(ways[end], bytes);
        if (into == nullptr) {
            ++unknown_;
        } else if (random.chance(into->quality.lost_of_1000, 1000)) {
            ++lost_;
        } else if (in_flight(ways) >= max_in_flight) {
            ++overflow_;
        } else {
            into->queue.push_back({os::now() + into->quality.delay, std::move(bytes)});
        }
        return true;
    };
    const auto deliver = [&](lane& from, std::size_t end) {
        while (!from.queue.empty() && from.queue.front().when <= os::now()) {
            const auto& bytes = from.queue.front().bytes;
            ++carried_; // before anybody can have seen it
            static_cast<void>(!::write(ends_[end].raw(), bytes.data(), bytes.size()));
            from.queue.pop_front();
        }
    };
    for (;;) {
        set_timer(timer.raw(), ways);
        std::array<pollfd, 4> watched{
            pollfd{ends_[0].raw(), POLLIN, 0}, pollfd{ends_[1].raw(), POLLIN, 0},
            pollfd{timer.raw(), POLLIN, 0}, pollfd{stop_.raw(), POLLIN, 0}};
        ::poll(watched.data(), watched.size(), -1);
        if (watched[3].revents != 0) {
            return;
        }
        for (const std::size_t end : {std::size_t{0}, std::size_t{1}}) {
            constexpr int budget = 64;
            for (int i = 0; i < budget && take_from(end); ++i) {
            }
        }
        for (const std::size_t end : {std::size_t{0}, std::size_t{1}}) {
            deliver(ways[end].v4, 1 - end);
            deliver(ways[end].v6, 1 - end);
        }
    }
}

} // namespace portico::testkit
