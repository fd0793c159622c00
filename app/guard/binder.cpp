// The host's side of the binder.

#include "guard/binder.hpp"

#include "guard/binder_message.hpp"

#include "portico/base/deadline.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/fdpass.hpp"
#include "portico/os/pidfd.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

constexpr duration patience = std::chrono::seconds{5};

tl::unexpected<std::error_code> failed(int number) {
    return tl::unexpected{std::error_code{number, std::system_category()}};
}

} // namespace

// The numbers of the process before us are others, so that an answer which it did not wait for is
// not taken for ours.
binder::binder(os::fd channel)
    : channel_{std::move(channel)}, number_{static_cast<std::uint64_t>(::getpid()) << 32U} {}

binder binder::by(os::fd channel) {
    return binder{std::move(channel)};
}

tl::expected<binder, std::string> binder::start(const std::vector<port_range>& ports,
                                                const std::optional<os::new_identity>& who) {
    auto pair = os::passing_pair();
    if (!pair) {
        return tl::unexpected{"a channel to it: " + pair.error().message()};
    }
    const pid_t pid = ::fork();
    if (pid < 0) {
        return tl::unexpected{"fork: " + std::error_code{errno, std::system_category()}.message()};
    }
    if (pid == 0) {
        ::_exit(run_binder(std::move(pair->second), ports, who));
    }
    pair->second.reset();
    binder made{std::move(pair->first)};
    made.child_ = os::child{pid, os::pidfd_open(pid).value_or(os::fd{})};
    if (const auto ready = made.reply_to(binder_start); !ready) {
        static_cast<void>(made.child_.kill(SIGKILL));
        static_cast<void>(made.child_.reap());
        return tl::unexpected{ready.error().message()};
    }
    return made;
}

os::sys_status binder::bind(const os::fd& socket, const ip::endpoint& at) {
    const auto bytes = os::to_sockaddr(at);
    if (!bytes) {
        return tl::unexpected{bytes.error()};
    }
    binder_request asked;
    asked.number = ++number_;
    asked.length = bytes->size;
    if (asked.length > asked.at.size()) {
        return failed(EINVAL);
    }
    std::memcpy(asked.at.data(), bytes->data(), asked.length);
    const int one = socket.raw();
    const auto sent = os::send_descriptors(channel_.raw(), to_bytes(asked), std::span{&one, 1});
    if (!sent) {
        return tl::unexpected{sent.error()};
    }
    return reply_to(asked.number);
}

os::sys_status binder::reply_to(std::uint64_t number) const {
    const auto until = deadline::after(os::now(), patience);
    binder_reply_bytes room;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.remaining(os::now()));
        pollfd asked{channel_.raw(), POLLIN, 0};
        if (::poll(&asked, 1, static_cast<int>(left.count())) == 0) {
            return failed(ETIMEDOUT);
        }
        const auto got = os::receive_descriptors(channel_.raw(), room, 0);
        if (!got && (got.error().value() == EAGAIN || got.error().value() == EINTR)) {
            continue;
        }
        if (!got || got->size == 0) {
            return failed(EPIPE);
        }
        const auto reply = parse_binder_reply(std::span{room}.first(got->size));
        if (reply && (reply->number == number || reply->number == binder_start)) {
            return reply->why == 0 ? os::sys_status{} : os::sys_status{failed(reply->why)};
        }
    }
}

} // namespace portico::app
