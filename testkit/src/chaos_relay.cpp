#include "portico/testkit/chaos_relay.hpp"

#include "portico/os/socket.hpp"
#include "portico/testkit/random.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <system_error>

namespace portico::testkit {
namespace {

void must(const os::sys_status& done, const char* what) {
    if (!done) {
        throw std::system_error{done.error(), what};
    }
}

// One connection, in a thread of its own.
class bad_cable {
public:
    bad_cable(const chaos_options& how, os::fd client, os::fd target, std::uint64_t number)
        : how_{how}, ends_{std::move(client), std::move(target)}, random_{how.seed + number} {}

    // Whether it was cut.
    bool carry() {
        while (!(flows_[0].passed && flows_[1].passed)) {
            wait();
            for (const std::size_t from : {0U, 1U}) {
                if (!move(from)) {
                    reset();
                    return is_cut_;
                }
            }
        }
        return false;
    }

private:
    struct flow {
        std::vector<std::byte> held{}; // what is on its way
        bool ended = false;
        bool passed = false; // the end
    };

    void wait() {
        std::array<pollfd, 2> both{};
        for (std::size_t i = 0; i < 2; ++i) {
            const bool reads = flows_[i].held.empty() && !flows_[i].ended;
            const bool writes = !flows_[1 - i].held.empty();
            both[i] = {reads || writes ? ends_[i].raw() : -1,
                       static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
        }
        ::poll(both.data(), both.size(), -1);
    }

    // False when it has failed, or is to be cut.
    bool move(std::size_t from) {
        auto& one = flows_[from];
        if (one.held.empty() && !one.ended && !receive(from)) {
            return false;
        }
        if (!one.held.empty()) {
            if (random_.chance(how_.late_of_1000, 1000)) {
                std::this_thread::sleep_for(std::chrono::microseconds{
                    random_.below(static_cast<std::uint64_t>(how_.latest.count()) + 1)});
            }
            const auto size = 1 + random_.below(one.held.size());
            const auto sent = os::send(ends_[1 - from].raw(), std::span{one.held}.first(size));
            if (!sent && sent.error() != std::errc::resource_unavailable_try_again) {
                return false;
            }
            one.held.erase(one.held.begin(),
                           one.held.begin() + static_cast<std::ptrdiff_t>(sent.value_or(0)));
        }
        if (one.held.empty() && one.ended && !one.passed) {
            one.passed = true;
            return os::shutdown_send(ends_[1 - from].raw()).has_value();
        }
        return true;
    }

    bool receive(std::size_t from) {
        auto& one = flows_[from];
        one.held.resize(1 + random_.below(how_.longest_piece));
        const auto got = os::recv(ends_[from].raw(), one.held);
        one.held.resize(got.value_or(0));
        if (!got) {
            return got.error() == std::errc::resource_unavailable_try_again;
        }
        one.ended = *got == 0;
        if (from == 0 && !is_decided_) {
            decide(one.held);
        }
        total_ += *got;
        is_cut_ = cut_after_ && total_ >= *cut_after_;
        return !is_cut_;
    }

    void decide(const std::vector<std::byte>& first) {
        is_decided_ = true;
        std::uint64_t name = 0;
        if (first.size() >= sizeof name) {
            std::memcpy(&name, first.data(), sizeof name);
        }
        cut_after_ = how_.cut ? how_.cut(name) : std::nullopt;
    }

    void reset() {
        for (auto& each : ends_) {
            static_cast<void>(os::set_linger_reset(each.raw()));
            each.reset();
        }
    }

    const chaos_options& how_;
    std::array<os::fd, 2> ends_;
    std::array<flow, 2> flows_;
    seeded_random random_;
    std::optional<std::size_t> cut_after_;
    std::size_t total_ = 0;
    bool is_decided_ = false;
    bool is_cut_ = false;
};

} // namespace

chaos_relay::chaos_relay(chaos_options how)
    : how_{std::move(how)}, stop_{::eventfd(0, EFD_CLOEXEC)} {
    const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
    auto made = os::socket(any, ip::transport::tcp);
    if (!made) {
        throw std::system_error{made.error(), "chaos_relay: socket"};
    }
    listener_ = *std::move(made);
    must(os::bind(listener_, any), "chaos_relay: bind");
    must(os::listen(listener_, 4096), "chaos_relay: listen");
    at_ = std::get<ip::endpoint>(os::getsockname(listener_.raw()).value());
    acceptor_ = std::jthread{[this] { accept_all(); }};
}

chaos_relay::~chaos_relay() {
    ::eventfd_write(stop_.raw(), 1);
    acceptor_.join();
}

void chaos_relay::accept_all() {
    for (std::uint64_t number = 0;;) {
        std::array<pollfd, 2> all{{{listener_.raw(), POLLIN, 0}, {stop_.raw(), POLLIN, 0}}};
        ::poll(all.data(), all.size(), -1);
        if (all[1].revents != 0) {
            return;
        }
        auto got = os::accept4(listener_.raw());
        if (got) {
            const auto client = std::make_shared<os::fd>(std::move(got->socket));
            connections_.start(
                [this, client, number = ++number] { relay(std::move(*client), number); });
        }
    }
}

void chaos_relay::relay(os::fd client, std::uint64_t number) {
    auto target = os::socket(how_.to, ip::transport::tcp);
    const auto begun = target ? os::connect(*target, how_.to) : tl::unexpected{target.error()};
    bool connected = begun || begun.error() == std::errc::operation_in_progress;
    if (connected) {
        pollfd one{target->raw(), POLLOUT, 0};
        ::poll(&one, 1, -1);
        connected = os::so_error(target->raw()).has_value();
    }
    if (!connected) {
        static_cast<void>(os::set_linger_reset(client.raw()));
        return;
    }
    cut_ += bad_cable{how_, std::move(client), *std::move(target), number}.carry() ? 1U : 0U;
}

} // namespace portico::testkit
