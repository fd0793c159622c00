#include "socks/conversation.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

// Of what comes behind a refusal, bytes: somebody who sends more does not listen.
constexpr std::size_t most_drained = 64 << 10;

wire::socks5_offer offer_of(const socks_options& options, const accepted& from) {
    wire::socks5_offer made;
    made.no_authentication = !options.users;
    made.password = options.users != nullptr;
    made.udp = std::holds_alternative<ip::endpoint>(from.local);
    return made;
}

std::errc code_of(wire::socks5_refusal why) {
    switch (why) {
    case wire::socks5_refusal::no_acceptable_method:
    case wire::socks5_refusal::wrong_credentials:
        return std::errc::permission_denied;
    case wire::socks5_refusal::bind:
    case wire::socks5_refusal::udp_not_offered:
        return std::errc::operation_not_supported;
    case wire::socks5_refusal::not_socks5:
    case wire::socks5_refusal::bad_authentication:
    case wire::socks5_refusal::bad_request:
    case wire::socks5_refusal::unknown_command:
    case wire::socks5_refusal::unknown_address_type:
    case wire::socks5_refusal::bad_name:
    case wire::socks5_refusal::bad_port:
    case wire::socks5_refusal::not_opened:
    case wire::socks5_refusal::cut_off:
        break;
    }
    return std::errc::protocol_error;
}

} // namespace

socks_conversation::socks_conversation(std::shared_ptr<socks_shared> with, accepted from,
                                       std::uint64_t number, stream_service::ended done)
    : with_{std::move(with)}, socket_{std::move(from.socket)}, watch_{with_->executor},
      timer_{with_->executor}, machine_{offer_of(with_->options, from)}, done_{std::move(done)},
      began_{os::now()} {
    end_.number = number;
    end_.local = from.local;
    end_.peer = from.peer;
}

void socks_conversation::start() {
    error_code wrong;
    watch_.assign(socket_.raw(), wrong);
    set_timer(with_->options.patience, &socks_conversation::handle_late);
    asio::post(with_->executor, [self = shared_from_this(), wrong] {
        if (wrong) {
            self->finish(error{wrong, operation::accept, side::system, self->end_.peer}, true);
        } else {
            self->talk();
        }
    });
}

void socks_conversation::set_timer(duration limit, void (socks_conversation::*then)()) {
    timer_.expires_after(limit);
    const auto at = timer_.expiry();
    timer_.async_wait([self = shared_from_this(), then, at](error_code cancelled) {
        // One that has expired already is not cancelled any more.
        if (!cancelled && !self->over_ && self->timer_.expiry() == at) {
            (self.get()->*then)();
        }
    });
}

void socks_conversation::unset_timer() {
    timer_.expires_at(asio::steady_timer::time_point::max());
}

void socks_conversation::talk() {
    while (!over_) {
        if (!machine_.poll_output().empty()) {
            if (!send()) {
                return;
            }
        } else if (machine_.refusal()) {
            return turn_away();
        } else if (machine_.is_done()) {
            return association_ ? begin_association() : join();
        } else if (machine_.poll_credentials() != nullptr) {
            check_credentials();
        } else if (machine_.poll_request() != nullptr) {
            return open();
        } else if (!receive()) {
            return;
        }
    }
}

// False when there is nothing more to do now.
bool socks_conversation::send() {
    const auto sent = os::send(socket_.raw(), machine_.poll_output());
    if (sent) {
        end_.sent += *sent;
        machine_.handle_sent(*sent);
        return true;
    }
    if (sent.error().value() == EAGAIN) {
        await(watch_.wait_write);
    } else {
        fail(sent.error(), operation::send);
    }
    return false;
}

bool socks_conversation::receive() {
    if (!input_.empty()) {
        const auto taken = machine_.handle_bytes(input_);
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
        return true;
    }
    std::array<std::byte, 1024> bytes;
    const auto size = os::recv(socket_.raw(), bytes);
    if (!size && size.error().value() == EAGAIN) {
        await(watch_.wait_read);
        return false;
    }
    if (!size) {
        fail(size.error(), operation::receive);
        return false;
    }
    if (*size == 0) {
        machine_.handle_eof();
        return true;
    }
    end_.received += *size;
    input_.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*size));
    return true;
}

void socks_conversation::await(asio::posix::stream_descriptor::wait_type what) {
    watch_.async_wait(what, [self = shared_from_this()](error_code wrong) {
        if (!wrong) {
            self->talk();
        }
    });
}

void socks_conversation::check_credentials() {
    const auto& who = *machine_.poll_credentials();
    const bool are_good = with_->options.users->knows(who.user, who.password);
    if (are_good) {
        note("user " + who.user); // it is in our file, so it is known to be fit for the log
    }
    machine_.handle_credentials(are_good);
}

void socks_conversation::handle_late() {
    ++with_->counters.late;
    note(machine_.is_done() || machine_.refusal() ? "the answer was not taken in time"
                                                  : "the request did not come in time");
    finish(error{{ETIMEDOUT, std::system_category()}, operation::proxy, side::peer, end_.peer},
           false);
}

// ---- the end ----

// The answer is sent. A close with bytes that were not read is a reset, which may reach the client
// before it has read the answer: so what comes is read until its end.
void socks_conversation::turn_away() {
    const auto& refusal = *machine_.refusal();
    ++with_->counters.refused[static_cast<std::size_t>(refusal.why)];
    if (!why_) {
        why_ = refused(std::make_error_code(code_of(refusal.why)));
        note(std::string{to_text(refusal.why)} + ": " + refusal.text);
    }
    static_cast<void>(os::shutdown_send(socket_.raw()));
    set_timer(with_->options.linger, &socks_conversation::drain);
    drained_ = 1; // from now on it lingers
    input_.clear();
    drain();
}

// Also called when the time is over.
void socks_conversation::drain() {
    std::array<std::byte, 4096> dropped;
    const bool has_time = timer_.expiry() > asio::steady_timer::clock_type::now();
    while (has_time && drained_ <= most_drained) {
        const auto size = os::recv(socket_.raw(), dropped);
        if (!size && size.error().value() == EAGAIN) {
            return watch_.async_wait(watch_.wait_read,
                                     [self = shared_from_this()](error_code wrong) {
                                         if (!wrong && !self->over_) {
                                             self->drain();
                                         }
                                     });
        }
        if (!size || *size == 0) {
            break;
        }
        drained_ += *size;
    }
    finish(why_, false);
}

error socks_conversation::refused(std::error_code why) const {
    return {why, operation::proxy, side::peer, end_.peer};
}

void socks_conversation::note(const std::string& text) {
    end_.detail += (end_.detail.empty() ? "" : "; ") + text;
}

void socks_conversation::fail(std::error_code why, operation during) {
    finish(error{why, during, side::peer, end_.peer}, true);
}

void socks_conversation::finish(std::optional<error> why, bool reset) {
    if (over_) {
        return;
    }
    const auto self = shared_from_this(); // the list lets go of it
    let_go();
    if (reset) {
        static_cast<void>(os::set_linger_reset(socket_.raw()));
    }
    socket_.reset();
    target_.reset();
    end_.why = why;
    end_.lasted = os::now() - began_;
    with_->engine->begin(end_.number, std::move(done_));
    with_->engine->end(std::move(end_));
}

void socks_conversation::stop() {
    finish(error{{ECANCELED, std::system_category()}, operation::close, side::caller, {}}, true);
}

socks_conversation::~socks_conversation() {
    release();
}

// It is closed by socket_, or passed on.
void socks_conversation::release() {
    if (watch_.is_open()) {
        static_cast<void>(watch_.release());
    }
}

// Takes it off the list: whatever is pending ends without effect.
void socks_conversation::let_go() {
    over_ = true;
    timer_.cancel();
    release();
    if (std::exchange(opening_, false)) {
        dial_.emit(asio::cancellation_type::total);
    }
    if (association_) {
        count_datagrams();
        association_->stop();
    }
    with_->talking.erase(where);
}

} // namespace portico::run
