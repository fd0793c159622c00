// The built-in services over datagrams: one query, at most one answer.

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/builtin.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <list>
#include <string>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t budget = 64;                        // queries of one socket in one turn
constexpr auto back_off = std::chrono::milliseconds{100}; // after an error that may stay

// One socket. The descriptor belongs to the listener; `watch` only waits for it.
struct watched {
    watched(const asio::any_io_executor& executor, const bound_socket& which)
        : watch{executor}, pause{executor}, raw{which.descriptor.raw()}, at{which.at} {}

    asio::posix::stream_descriptor watch;
    asio::steady_timer pause;
    int raw;
    ip::any_endpoint at;
};

std::uint16_t port_of(const ip::any_endpoint& at) {
    const auto* endpoint = std::get_if<ip::endpoint>(&at);
    return endpoint == nullptr ? std::uint16_t{0} : endpoint->port;
}

} // namespace

struct datagram_service::state : std::enable_shared_from_this<datagram_service::state> {
    state(asio::any_io_executor ex, serve::builtin which, const datagram_options& options,
          heard listening)
        : executor{std::move(ex)}, kind{which}, tell{std::move(listening)}, lengths{options.seed},
          bound{options.amplification_rate, options.amplification_burst, os::now()},
          access{options.access} {}

    void start(std::span<const bound_socket> open);
    void stop();
    void wait(watched& from);
    void rest(watched& from);
    void turn(watched& from);
    bool read_one(watched& from);
    void handle_query(const watched& from, const os::datagram& query);
    void respond(const watched& from, const os::datagram& query, datagram_end& end);
    std::span<const std::byte> answer_to(const os::datagram& query, const datagram_end& end);

    asio::any_io_executor executor;
    serve::builtin kind;
    heard tell;
    serve::chargen_lengths lengths;
    serve::amplification_bound bound;
    const admit::access access;
    datagram_counters counts;
    std::list<watched> sockets; // a list: handlers keep references
    std::string text;           // of daytime and hello
    std::array<std::byte, 4> seconds{};
    std::array<std::byte, 65'535> buffer{};
    bool stopped = false;
};

void datagram_service::state::start(std::span<const bound_socket> open) {
    for (const auto& each : open) {
        if (each.over == ip::transport::udp) {
            auto& made = sockets.emplace_back(executor, each);
            error_code wrong; // shows again, and is dealt with, when it is waited for
            made.watch.assign(made.raw, wrong);
            wait(made);
        }
    }
}

void datagram_service::state::stop() {
    stopped = true;
    for (auto& each : sockets) {
        each.pause.cancel();
        if (each.watch.is_open()) {
            each.watch.release(); // the listener closes it
        }
    }
}

void datagram_service::state::wait(watched& from) {
    from.watch.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this(), &from](error_code wrong) {
                              if (self->stopped) {
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
void datagram_service::state::rest(watched& from) {
    from.pause.expires_after(back_off);
    from.pause.async_wait([self = shared_from_this(), &from](error_code) {
        if (!self->stopped) {
            self->turn(from);
        }
    });
}

void datagram_service::state::turn(watched& from) {
    for (std::size_t i = 0; i < budget; ++i) {
        if (stopped || !read_one(from)) {
            return;
        }
    }
    asio::post(executor, [self = shared_from_this(), &from] {
        if (!self->stopped) {
            self->turn(from);
        }
    });
}

// False when this turn is over.
bool datagram_service::state::read_one(watched& from) {
    const auto query = os::recv_datagram(from.raw, buffer);
    if (query) {
        handle_query(from, *query);
        return true;
    }
    if (query.error() == std::errc::resource_unavailable_try_again) {
        wait(from);
        return false;
    }
    ++counts.failed_reads;
    rest(from);
    return false;
}

void datagram_service::state::handle_query(const watched& from, const os::datagram& query) {
    ++counts.received;
    datagram_end end;
    end.local = query.to ? ip::any_endpoint{ip::endpoint{*query.to, port_of(from.at)}} : from.at;
    end.peer = query.from;
    end.received = query.size;
    if (!access.allows(ip::canonical(query.from))) {
        end.why = serve::drop::denied;
    } else if (kind != serve::builtin::discard) {
        respond(from, query, end);
    }
    if (end.why) {
        counts.dropped.count(*end.why);
    }
    if (tell) {
        tell(end);
    }
}

void datagram_service::state::respond(const watched& from, const os::datagram& query,
                                      datagram_end& end) {
    end.why = serve::refuse(query.from, query.to_group, port_of(from.at));
    if (end.why) {
        return;
    }
    const auto answer = answer_to(query, end);
    if (!bound.allow(query.size, answer.size(), os::now())) {
        end.why = serve::drop::amplification;
        return;
    }
    const auto sent = os::send_reply(from.raw, query, answer);
    if (!sent) {
        end.why = serve::drop::not_sent;
        end.failed = error{sent.error(), operation::send, side::system, query.from};
        return;
    }
    end.sent = *sent;
    ++counts.answered;
}

std::span<const std::byte> datagram_service::state::answer_to(const os::datagram& query,
                                                              const datagram_end& end) {
    switch (kind) {
    case serve::builtin::echo:
        return std::span{buffer}.first(query.size);
    case serve::builtin::chargen:
        return std::as_bytes(std::span{serve::chargen_turn()}).first(lengths.next());
    case serve::builtin::daytime:
        text = serve::daytime_line(os::unix_time());
        return std::as_bytes(std::span{text});
    case serve::builtin::time:
        seconds = serve::time_bytes(os::unix_time());
        return seconds;
    case serve::builtin::hello:
        text = serve::hello_line(end.peer, end.local);
        return std::as_bytes(std::span{text});
    case serve::builtin::discard:
        break;
    }
    return {};
}

datagram_service::datagram_service(asio::any_io_executor executor,
                                   std::span<const bound_socket> sockets, serve::builtin kind,
                                   datagram_options options, heard tell)
    : state_{std::make_shared<state>(std::move(executor), kind, options, std::move(tell))} {
    state_->start(sockets);
}

datagram_service::~datagram_service() {
    stop();
}

datagram_counters datagram_service::counters() const noexcept {
    return state_->counts;
}

void datagram_service::stop() {
    state_->stop();
}

} // namespace portico::run
