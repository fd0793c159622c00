#include "relay/target_sockets.hpp"

#include "portico/ip/canonical.hpp"

#include <utility>

namespace portico::run {
namespace {

constexpr std::size_t most_tries = 8; // for a port that was not closed lately

} // namespace

os::sys_result<target_sockets::made> target_sockets::open(const ip::any_endpoint& to) {
    auto found = connect(to);
    // The unfit ones stay open meanwhile, so that the kernel gives another port.
    std::array<made, most_tries> unfit;
    for (std::size_t i = 0; i < most_tries && found && was_closed_lately(found->name); ++i) {
        auto other = connect(to);
        if (!other) {
            break; // there is none to choose
        }
        unfit[i] = std::exchange(*found, *std::move(other));
    }
    if (found) {
        if (const auto* name = std::get_if<ip::endpoint>(&found->name)) {
            names_.insert(ip::canonical(*name));
        }
    }
    return found;
}

os::sys_result<target_sockets::made> target_sockets::connect(const ip::any_endpoint& to) const {
    auto socket = os::socket(to, ip::transport::udp);
    if (!socket) {
        return tl::unexpected{socket.error()};
    }
    const bool is_local = std::holds_alternative<ip::unix_name>(to);
    if (const auto done = prepare(*socket, is_local); !done) {
        return tl::unexpected{done.error()};
    }
    if (const auto done = os::connect(*socket, to); !done) {
        return tl::unexpected{done.error()};
    }
    const auto name = os::getsockname(socket->raw()).value_or(ip::any_endpoint{});
    return made{*std::move(socket), name};
}

os::sys_status target_sockets::prepare(const os::fd& socket, bool is_local) const {
    if (buffer_) {
        static_cast<void>(os::set_buffers(socket.raw(), *buffer_));
    }
    if (is_local) { // a name of the kernel's choice, without which there is no answer
        return os::bind(socket, ip::unix_name{});
    }
    if (!interface_.empty()) {
        if (auto done = os::set_bind_to_device(socket, interface_); !done) {
            return done;
        }
    }
    return from_ ? os::bind(socket, *from_) : os::sys_status{};
}

bool target_sockets::was_closed_lately(const ip::any_endpoint& name) const {
    const auto* at = std::get_if<ip::endpoint>(&name);
    return at != nullptr && is_closed_[at->port];
}

void target_sockets::handle_closed(const ip::any_endpoint& name) {
    const auto* at = std::get_if<ip::endpoint>(&name);
    if (at == nullptr) {
        return;
    }
    names_.erase(ip::canonical(*at));
    is_closed_.reset(closed_[next_]);
    closed_[next_] = at->port;
    is_closed_.set(at->port);
    next_ = (next_ + 1) % remembered;
}

} // namespace portico::run
