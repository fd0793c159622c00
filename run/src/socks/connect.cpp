// CONNECT: from the request to the joined connection.

#include "socks/conversation.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>

#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;
using outcome = race::attempt_report::outcome;

error not_allowed(const ip::any_endpoint& at) {
    return {{EACCES, std::system_category()}, operation::connect, side::peer, at};
}

// A name's addresses may fail for several reasons: what the network said about one is more use to
// the client than that we refused another.
wire::socks5_reply reply_for(const dial_outcome& got) {
    const auto why = got.why.value_or(error{});
    if (why.code != errc::all_attempts_failed) {
        return wire::socks5_reply_for(why);
    }
    auto reply = wire::socks5_reply::not_allowed;
    for (const auto& each : got.story.attempts) {
        if (each.how == outcome::failed && each.why && each.why->code.value() != EACCES) {
            return wire::socks5_reply_for(*each.why);
        }
    }
    return reply;
}

} // namespace

// Its request is there.
void socks_conversation::open() {
    if (opening_) {
        return;
    }
    unset_timer();
    const auto request = *machine_.poll_request();
    note(std::string{to_text(request.command)} + ' ' + request.to.text());
    if (!with_->has_egress) {
        return not_opened(wire::socks5_reply::network_unreachable,
                          {{ENETDOWN, std::system_category()}, operation::connect, side::peer, {}});
    }
    if (request.command == wire::socks5_command::udp_associate) {
        return associate(request.to);
    }
    connect(request.to);
}

void socks_conversation::connect(const wire::proxy_target& to) {
    dial_request how;
    const auto* address = std::get_if<ip::address>(&to.host());
    const auto refusal =
        address != nullptr ? with_->refuse(std::nullopt, {*address, to.port()})
                           : with_->refuse_unresolved(std::get<std::string>(to.host()), to.port());
    if (refusal) {
        note("not allowed: " + std::string{to_text(*refusal)});
        return not_opened(wire::socks5_reply::not_allowed, not_allowed({}));
    }
    if (address == nullptr) {
        name_ = std::get<std::string>(to.host());
    }
    const auto& settings = with_->options.settings;
    how.host = name_ ? *name_ : ip::to_text(ip::canonical(*address));
    how.port = std::to_string(to.port());
    how.timeout = with_->options.connect_timeout;
    how.attempt_delay = settings.attempt_delay;
    how.from = settings.from;
    how.interface = settings.interface;
    how.no_delay = settings.no_delay;
    how.dead_after = settings.dead_after;
    how.allowed = [self = shared_from_this()](const ip::endpoint& at,
                                              std::span<const ip::prefix> translators) {
        const auto no = self->with_->refuse(self->name_, at, translators);
        if (no && !self->over_) {
            self->note(ip::to_text(at) + " not allowed: " + std::string{to_text(*no)});
        }
        return !no;
    };
    opening_ = true;
    watch_client();
    async_dial(with_->executor, std::move(how),
               asio::bind_cancellation_slot(
                   dial_.slot(), asio::bind_executor(with_->executor,
                                                     [self = shared_from_this()](dial_outcome got) {
                                                         self->handle_dialled(std::move(got));
                                                     })));
}

// A client that goes away meanwhile shows as an error of its socket. Its end alone is no reason: it
// may have said all it has to say.
void socks_conversation::watch_client() {
    watch_.async_wait(watch_.wait_error, [self = shared_from_this()](error_code wrong) {
        if (wrong || !self->opening_) {
            return;
        }
        if (const auto broken = os::so_error(self->socket_.raw()); !broken) {
            self->fail(broken.error(), operation::receive);
        } // else it was urgent data, which nobody waits for
    });
}

void socks_conversation::handle_dialled(dial_outcome got) {
    if (over_ || !std::exchange(opening_, false)) {
        return;
    }
    set_timer(with_->options.patience, &socks_conversation::handle_late);
    if (!got.socket) {
        note(got.text);
        return not_opened(reply_for(got), got.why.value_or(error{}));
    }
    note("connected to " + ip::to_text(got.peer));
    target_ = std::move(got.socket);
    const auto* local = std::get_if<ip::endpoint>(&got.local);
    machine_.handle_opened(local != nullptr ? *local : ip::endpoint{});
    talk();
}

void socks_conversation::not_opened(wire::socks5_reply reply, error why) {
    set_timer(with_->options.patience, &socks_conversation::handle_late);
    why_ = why;
    note("told " + std::string{to_text(reply)});
    machine_.handle_not_opened(reply);
    talk();
}

// What was read behind the request goes to the target first.
void socks_conversation::join() {
    const auto self = shared_from_this(); // the list lets go of it
    let_go();
    ++with_->counters.connected;
    relay_pair pair;
    pair.client = std::move(socket_);
    pair.target = std::move(target_);
    pair.peer = end_.peer;
    pair.number = end_.number;
    pair.from_client = std::move(input_);
    end_.received -= pair.from_client.size(); // the engine counts them
    with_->engine->begin(end_.number, [before = std::move(end_), began = began_,
                                       done = std::move(done_)](connection_end end) {
        end.local = before.local;
        end.received += before.received;
        end.sent += before.sent;
        end.lasted = os::now() - began;
        end.detail = before.detail;
        done(std::move(end));
    });
    with_->engine->post(std::move(pair));
}

void socks_conversation::handle_egress_gone() {
    if (opening_ || target_ || association_) {
        finish(error{{ENETDOWN, std::system_category()}, operation::connect, side::peer, {}}, true);
    }
}

} // namespace portico::run
