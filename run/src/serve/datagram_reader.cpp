#include "serve/datagram_reader.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t budget = 64;                        // datagrams of one socket in one turn
constexpr auto back_off = std::chrono::milliseconds{100}; // after an error that may stay

} // namespace

bool is_unheard(const os::datagram& query, const heard_groups& heard) noexcept {
    if (!query.to_group) {
        return false;
    }
    return query.to && query.to->is_multicast() ? !heard.multicasts : !heard.broadcasts;
}

std::optional<ip::address> choose_answer_address(os::datagram& query) {
    if (!query.to_group) {
        return query.to;
    }
    if (const auto* client = std::get_if<ip::endpoint>(&query.from)) {
        if (const auto from = os::source_address(*client, query.interface)) {
            query.answer_from = *from;
        }
    }
    return query.answer_from;
}

std::uint16_t port_of(const ip::any_endpoint& at) noexcept {
    const auto* endpoint = std::get_if<ip::endpoint>(&at);
    return endpoint == nullptr ? std::uint16_t{0} : endpoint->port;
}

ip::any_endpoint asked_endpoint(const os::datagram& query, const ip::any_endpoint& socket) {
    return query.to ? ip::any_endpoint{ip::endpoint{*query.to, port_of(socket)}} : socket;
}

void datagram_reader::start(std::span<const bound_socket> open) {
    for (const auto& each : open) {
        if (each.over == ip::transport::udp) {
            auto& made = sources_.emplace_back(executor_, each);
            error_code wrong; // shows again, and is dealt with, when it is waited for
            made.watch.assign(made.raw, wrong);
            wait(made);
        }
    }
}

void datagram_reader::stop() {
    stopped_ = true;
    for (auto& each : sources_) {
        each.pause.cancel();
        if (each.watch.is_open()) {
            each.watch.release(); // the listener closes it
        }
    }
}

void datagram_reader::pause(bool on) {
    paused_ = on;
    if (!on) {
        for (auto* each : std::exchange(held_, {})) {
            turn_later(*each);
        }
    }
}

void datagram_reader::wait(source& from) {
    from.watch.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this(), &from](error_code wrong) {
                              if (self->stopped_) {
                                  return;
                              }
                              if (wrong) {
                                  self->rest(from);
                              } else {
                                  self->turn(from);
                              }
                          });
}

// The socket is read again later: an error that stays must not become a loop without a pause.
void datagram_reader::rest(source& from) {
    from.pause.expires_after(back_off);
    from.pause.async_wait([self = shared_from_this(), &from](error_code) {
        if (!self->stopped_) {
            self->turn(from);
        }
    });
}

void datagram_reader::turn(source& from) {
    for (std::size_t i = 0; i < budget; ++i) {
        if (stopped_) {
            return;
        }
        if (paused_) {
            held_.push_back(&from);
            return;
        }
        if (!read_one(from)) {
            return;
        }
    }
    turn_later(from);
}

void datagram_reader::turn_later(source& from) {
    asio::post(executor_, [self = shared_from_this(), &from] {
        if (!self->stopped_) {
            self->turn(from);
        }
    });
}

// False when this turn is over.
bool datagram_reader::read_one(source& from) {
    auto query = os::recv_datagram(from.raw, buffer_);
    if (query) {
        take_(from, *query, std::span{buffer_}.first(query->size));
        return true;
    }
    if (query.error() == std::errc::resource_unavailable_try_again) {
        wait(from);
        return false;
    }
    ++failed_reads_;
    rest(from);
    return false;
}

} // namespace portico::run
