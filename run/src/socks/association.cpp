#include "socks/association.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t read_budget = 32; // datagrams of one socket in one turn

socks_drop drop_for(wire::socks5_datagram_drop why) {
    return why == wire::socks5_datagram_drop::fragment ? socks_drop::fragment
                                                       : socks_drop::malformed;
}

socks_drop drop_for(std::error_code why) {
    return why == std::errc::resource_unavailable_try_again || why == std::errc::no_buffer_space ||
                   why == std::errc::not_enough_memory
               ? socks_drop::busy
           : why == std::errc::message_size ? socks_drop::too_large
                                            : socks_drop::not_sent;
}

os::sys_result<std::size_t> send_to(int socket, const ip::any_endpoint& to,
                                    std::span<const std::byte> bytes) {
    os::datagram where;
    where.from = to; // without a `to` it leaves from the socket's own address
    return os::send_reply(socket, where, bytes);
}

} // namespace

std::string_view to_text(socks_drop why) noexcept {
    static constexpr std::array<std::string_view, socks_drops> texts{
        "foreign",   "malformed", "fragment", "not_allowed", "unresolved", "waiting",  "no_socket",
        "no_egress", "not_sent",  "unasked",  "truncated",   "busy",       "too_large"};
    return texts[static_cast<std::size_t>(why)];
}

// ---- begin and end ----

socks_association::socks_association(std::shared_ptr<socks_shared> with)
    : with_{std::move(with)}, client_{with_->executor}, v4_{with_->executor}, v6_{with_->executor},
      idle_{with_->executor} {}

result<std::shared_ptr<socks_association>>
socks_association::open(std::shared_ptr<socks_shared> with, const ip::endpoint& peer,
                        const ip::endpoint& local, std::uint16_t port) {
    auto made = std::make_shared<socks_association>(std::move(with));
    made->peer_ = {ip::canonical(peer.address), port};
    const ip::endpoint at{ip::canonical(local.address), 0};
    if (const auto done = made->bind(at); !done) {
        return tl::unexpected{error{done.error(), operation::bind, side::system, at}};
    }
    return made;
}

os::sys_status socks_association::bind(const ip::endpoint& local) {
    auto made = os::socket(local, ip::transport::udp);
    if (!made) {
        return tl::unexpected{made.error()};
    }
    if (const auto done = os::bind(*made, local); !done) {
        return done;
    }
    const auto name = os::getsockname(made->raw());
    if (!name) {
        return tl::unexpected{name.error()};
    }
    at_ = std::get<ip::endpoint>(*name);
    client_.socket = *std::move(made);
    return watch(client_);
}

os::sys_status socks_association::watch(channel& which) {
    error_code wrong;
    which.watch.assign(which.socket.raw(), wrong);
    if (wrong) {
        which.socket.reset();
        return tl::unexpected{std::error_code{wrong}};
    }
    return {};
}

void socks_association::start(std::function<void(std::error_code)> over) {
    over_ = std::move(over);
    used_ = os::now();
    wait(client_);
    arm();
}

void socks_association::stop() {
    over_ = nullptr;
    idle_.cancel();
    for (auto* each : {&client_, &v4_, &v6_}) {
        close(*each);
    }
    for (auto& each : lookups_) {
        each.emit(asio::cancellation_type::total);
    }
}

void socks_association::end(std::error_code why) {
    if (auto tell = std::exchange(over_, nullptr)) {
        asio::post(with_->executor, [tell = std::move(tell), why] { tell(why); });
    }
    stop();
}

// Most datagrams only put the end off: the timer then finds nothing to do, and is set anew.
void socks_association::arm() {
    const auto limit = with_->options.association_idle;
    const auto left = deadline::after(used_, limit).remaining(os::now());
    if (left <= duration::zero()) {
        return end(std::make_error_code(std::errc::timed_out));
    }
    idle_.expires_after(left);
    idle_.async_wait([weak = weak_from_this()](error_code cancelled) {
        if (const auto self = weak.lock(); self && !cancelled && self->over_) {
            self->arm();
        }
    });
}

void socks_association::touch() {
    used_ = os::now();
}

void socks_association::drop(socks_drop why) {
    ++told_.dropped;
    ++with_->counters.dropped[static_cast<std::size_t>(why)];
}

// ---- sockets ----

void socks_association::close(channel& which) {
    if (which.watch.is_open()) {
        static_cast<void>(which.watch.release());
    }
    which.socket.reset();
}

void socks_association::wait(channel& which) {
    which.watch.async_wait(which.watch.wait_read,
                           [self = shared_from_this(), &which](error_code wrong) {
                               if (wrong || !self->over_ || !which.socket) {
                                   return;
                               }
                               const auto failed = self->read(which);
                               if (!failed) {
                                   return self->wait(which);
                               }
                               if (&which == &self->client_) {
                                   return self->end(failed);
                               }
                               self->close(which); // the next datagram opens it again
                           });
}

// Unset: all that there was, or enough for one turn.
std::error_code socks_association::read(channel& from) {
    auto& buffer = with_->buffer;
    const auto room = std::span{buffer}.subspan(wire::max_socks5_datagram_head);
    for (std::size_t i = 0; i < read_budget && over_; ++i) {
        const auto got = os::recv_datagram(from.socket.raw(), room);
        if (!got) {
            return got.error() == std::errc::resource_unavailable_try_again ? std::error_code{}
                                                                            : got.error();
        }
        if (&from == &client_) {
            handle_client(*got, room.first(got->size));
        } else {
            handle_target(*got);
        }
    }
    return {};
}

// ---- from the client ----

bool socks_association::is_client(const ip::endpoint& from) const {
    const auto who = ip::canonical(from);
    return who.address == peer_.address && (peer_.port == 0 || who.port == peer_.port);
}

void socks_association::handle_client(const os::datagram& got, std::span<const std::byte> whole) {
    const auto* from = std::get_if<ip::endpoint>(&got.from);
    if (from == nullptr || !is_client(*from)) {
        return drop(socks_drop::foreign);
    }
    if (got.truncated) {
        return drop(socks_drop::truncated);
    }
    const auto read = wire::read_socks5_datagram(whole);
    if (!read) {
        return drop(drop_for(read.error()));
    }
    peer_.port = from->port;
    reply_to_ = got;
    ++told_.datagrams_in;
    told_.bytes_in += whole.size();
    touch();
    if (!with_->has_egress) {
        return drop(socks_drop::no_egress);
    }
    if (const auto* name = std::get_if<wire::socks5_name>(&read->remote)) {
        return handle_named(*name, read->data);
    }
    auto why = socks_drop::not_allowed;
    if (send(std::nullopt, std::get<ip::endpoint>(read->remote), read->data, why) != sent::yes) {
        drop(why);
    }
}

// `failed`: another address of the same name may do. `why` is set for both.
socks_association::sent socks_association::send(const std::optional<std::string>& name,
                                                const ip::endpoint& to,
                                                std::span<const std::byte> data, socks_drop& why) {
    const auto where = ip::canonical(to);
    if (with_->refuse(name, where)) {
        why = socks_drop::not_allowed;
        return sent::refused;
    }
    auto& out = where.address.is_v6() ? v6_ : v4_;
    if (!out.socket && !open_towards(out, where.address.family())) {
        why = socks_drop::no_socket;
        return sent::failed;
    }
    const auto done = send_to(out.socket.raw(), where, data);
    if (!done) {
        why = drop_for(done.error());
        return why == socks_drop::not_sent ? sent::failed : sent::refused;
    }
    ++with_->counters.to_targets;
    remember(where);
    return sent::yes;
}

bool socks_association::open_towards(channel& out, ip::family which) {
    const auto& settings = with_->options.settings;
    const auto any = settings.from.value_or(ip::endpoint{ip::address::any(which), 0});
    if (any.address.family() != which) {
        return false;
    }
    auto made = os::socket(any, ip::transport::udp);
    if (!made || (any.address.is_v6() && !os::set_v6only(*made, true)) ||
        (!settings.interface.empty() && !os::set_bind_to_device(*made, settings.interface)) ||
        !os::bind(*made, any)) {
        return false;
    }
    out.socket = *std::move(made);
    if (!watch(out)) {
        return false;
    }
    wait(out);
    return true;
}

void socks_association::remember(const ip::endpoint& to) {
    const auto limit = std::max<std::size_t>(with_->options.max_destinations, 1);
    const auto now = os::now();
    if (const auto known = destinations_.find(to); known != destinations_.end()) {
        known->second = now;
        return;
    }
    if (destinations_.size() >= limit) {
        destinations_.erase(
            std::min_element(destinations_.begin(), destinations_.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    destinations_.emplace(to, now);
}

// ---- to the client ----

// It lies in the buffer, with room for the header in front of it.
void socks_association::handle_target(const os::datagram& got) {
    const auto* from = std::get_if<ip::endpoint>(&got.from);
    if (from == nullptr || !destinations_.contains(ip::canonical(*from))) {
        return drop(socks_drop::unasked);
    }
    if (got.truncated) {
        return drop(socks_drop::truncated);
    }
    std::vector<std::byte> head;
    wire::write_socks5_datagram_head(*from, head);
    const auto begin = wire::max_socks5_datagram_head - head.size();
    std::copy(head.begin(), head.end(), with_->buffer.begin() + static_cast<std::ptrdiff_t>(begin));
    const auto whole = std::span{with_->buffer}.subspan(begin, head.size() + got.size);
    touch();
    const auto done = send_to(client_.socket.raw(), reply_to_.from, whole);
    if (!done) {
        return drop(drop_for(done.error()));
    }
    ++told_.datagrams_out;
    told_.bytes_out += whole.size();
    ++with_->counters.to_clients;
}

} // namespace portico::run
