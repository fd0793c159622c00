// The plain relay, one object a connection. What is right comes before what is fast: the engine of
// the byte-moving path is to take its place behind stream_service.

#include "portico/run/relay.hpp"
#include "portico/os/clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <sys/socket.h>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t client = 0;
constexpr std::size_t target = 1;
constexpr std::size_t other(std::size_t which) {
    return 1 - which;
}

constexpr std::size_t rounds_per_turn = 16; // of one direction, before others have their turn

error failure(std::error_code code, operation op, const ip::any_endpoint& at) {
    const int number = code.value();
    const bool of_the_host =
        number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS;
    return {code, op, of_the_host ? side::system : side::peer, at};
}

// Gives a connected socket to Asio; it stays with `from` when that fails.
error_code adopt(stream& into, os::fd& from, const ip::any_endpoint& local) {
    const auto* at = std::get_if<ip::endpoint>(&local);
    const int family = at == nullptr ? AF_UNIX : at->address.is_v6() ? AF_INET6 : AF_INET;
    error_code wrong;
    into.assign({family, 0}, from.raw(), wrong);
    if (!wrong) {
        static_cast<void>(std::move(from).release());
    }
    return wrong;
}

// What goes from one side to the other one.
//
//   reading --bytes--> writing --all sent--> reading --end--> ended, FIN to the sink
//
// It reads only while nothing is waiting, so a slow sink holds its source back.
struct flow {
    std::vector<std::byte> waiting; // what the sink has not taken yet
    std::size_t taken = 0;          // of it
    bool ended = false;             // the source has sent all
};

struct end_point {
    explicit end_point(const asio::any_io_executor& executor) : socket{executor} {}

    stream socket;
    ip::any_endpoint peer;
    std::optional<std::error_code> failed{}; // it is dead; what it sent before may still be read
};

class relay_service;

// One connection.
//
//   dialling --connected--> joined --both ended--> over, closed
//      |                      +-----one failed---> over, the other one is reset
//      +--not connected, or the client failed----> over, reset
class relayed : public std::enable_shared_from_this<relayed> {
public:
    relayed(relay_service& service, const accepted& from, std::uint64_t number,
            stream_service::ended tell);

    void start(os::fd taken);
    // Closes both sides; what is pending has no effect from here on. Takes it off the service's
    // list.
    connection_end close(std::optional<error> why, bool reset);

    std::list<std::shared_ptr<relayed>>::iterator where; // in the service's list
    stream_service::ended done;

private:
    void dial();
    void handle_dialled(dial_outcome got);
    void watch_errors(std::size_t which);
    void handle_error(std::size_t which);

    void move(std::size_t from);
    bool read_some(std::size_t from);
    bool send_waiting(std::size_t from);
    std::optional<std::size_t> send(std::size_t to, std::span<const std::byte> bytes);
    void pass_end(std::size_t from);
    void wait(std::size_t which, stream::wait_type what, std::size_t from);

    void fail(std::size_t which, std::error_code why, operation op);
    void finish(std::optional<error> why, bool reset);
    [[nodiscard]] int raw(std::size_t which) { return sides_[which].socket.native_handle(); }

    relay_service& service_;
    std::array<end_point, 2> sides_;
    std::array<flow, 2> flows_; // by their source
    connection_end end_;
    instant began_;
    asio::cancellation_signal cancel_dial_;
    bool dialling_ = false;
    bool over_ = false;
};

class relay_service final : public stream_service {
public:
    relay_service(asio::any_io_executor ex, relay_options how)
        : executor{std::move(ex)}, options{std::move(how)},
          scratch(std::max<std::size_t>(options.buffer, 1)) {}
    relay_service(const relay_service&) = delete;
    relay_service& operator=(const relay_service&) = delete;
    ~relay_service() override {
        close_all([](ended, connection_end) {});
    }

    void start(accepted connection, std::uint64_t number, ended done) override {
        const auto made = std::make_shared<relayed>(*this, connection, number, std::move(done));
        made->where = running_.insert(running_.end(), made);
        made->start(std::move(connection.socket));
    }

    void stop_now() override {
        close_all([this](ended done, connection_end end) {
            asio::post(executor, [done = std::move(done), end = std::move(end)]() mutable {
                done(std::move(end));
            });
        });
    }

    void remove(const relayed& which) { running_.erase(which.where); }

    const asio::any_io_executor executor;
    const relay_options options;
    std::vector<std::byte> scratch; // what is read lands here, for all connections

private:
    template <class Tell>
    void close_all(Tell tell) {
        while (!running_.empty()) {
            const auto each = running_.front();
            const error stopped{
                {ECANCELED, std::system_category()}, operation::close, side::caller, {}};
            auto end = each->close(stopped, true);
            tell(std::move(each->done), std::move(end));
        }
    }

    std::list<std::shared_ptr<relayed>> running_;
};

relayed::relayed(relay_service& service, const accepted& from, std::uint64_t number,
                 stream_service::ended tell)
    : done{std::move(tell)}, service_{service},
      sides_{end_point{service.executor}, end_point{service.executor}}, began_{os::now()} {
    sides_[client].peer = from.peer;
    end_.number = number;
    end_.local = from.local;
    end_.peer = from.peer;
}

// ---- the dial ----

// Nothing that is called from here may end the connection: `done` comes later.
void relayed::start(os::fd taken) {
    const auto& wanted = service_.options.target;
    if (std::holds_alternative<ip::endpoint>(end_.local)) {
        // Without them the relay still works.
        static_cast<void>(os::set_no_delay(taken.raw(), wanted.no_delay));
        if (wanted.dead_after) {
            static_cast<void>(os::set_dead_after(taken.raw(), *wanted.dead_after));
        }
    }
    if (const auto wrong = adopt(sides_[client].socket, taken, end_.local)) {
        static_cast<void>(os::set_linger_reset(taken.raw())); // else it is a plain close
        asio::post(service_.executor, [self = shared_from_this(), wrong] {
            if (!self->over_) {
                self->fail(client, wrong, operation::accept);
            }
        });
        return;
    }
    dialling_ = true;
    watch_errors(client);
    dial();
}

void relayed::dial() {
    auto dialled = [self = shared_from_this()](dial_outcome got) {
        self->handle_dialled(std::move(got));
    };
    async_dial(
        service_.executor, service_.options.target,
        asio::bind_cancellation_slot(cancel_dial_.slot(),
                                     asio::bind_executor(service_.executor, std::move(dialled))));
}

void relayed::handle_dialled(dial_outcome got) {
    if (over_) {
        if (got.socket) { // the client's reset goes on
            static_cast<void>(os::set_linger_reset(got.socket.raw()));
        }
        return;
    }
    dialling_ = false;
    end_.detail = std::move(got.text);
    if (got.why) {
        return finish(got.why, true);
    }
    sides_[target].peer = got.peer;
    if (const auto wrong = adopt(sides_[target].socket, got.socket, got.local)) {
        static_cast<void>(os::set_linger_reset(got.socket.raw()));
        return fail(target, wrong, operation::connect);
    }
    flows_[target].waiting = std::move(got.early);
    watch_errors(target);
    move(client);
    if (!over_) {
        move(target);
    }
}

// ---- a side dies ----

// Reading tells of a reset, but nobody reads a side while the other one is dialled, or is slow.
void relayed::watch_errors(std::size_t which) {
    sides_[which].socket.async_wait(stream::wait_error,
                                    [self = shared_from_this(), which](error_code wrong) {
                                        if (!self->over_ && !wrong) {
                                            self->handle_error(which);
                                        }
                                    });
}

// It may also be a hang-up without an error, after both directions have ended: reading and sending
// tell of that, and watching again would be told of it again.
void relayed::handle_error(std::size_t which) {
    const auto state = os::so_error(raw(which));
    if (state) {
        return;
    }
    // After its FIN, a reset is told as EPIPE.
    sides_[which].failed = state.error() == std::errc::broken_pipe
                               ? std::error_code{ECONNRESET, std::system_category()}
                               : state.error();
    const auto& out = flows_[which];
    // Else what it sent before is still read, and goes on before the reset.
    if (dialling_ || out.ended || !out.waiting.empty()) {
        fail(which, *sides_[which].failed, operation::receive);
    }
}

// ---- bytes ----

void relayed::move(std::size_t from) {
    if (over_) {
        return;
    }
    const auto& now = flows_[from];
    for (std::size_t i = 0; i < rounds_per_turn; ++i) {
        if (now.waiting.empty() && now.ended) {
            return pass_end(from);
        }
        if (!(now.waiting.empty() ? read_some(from) : send_waiting(from))) {
            return;
        }
    }
    asio::post(service_.executor, [self = shared_from_this(), from] { self->move(from); });
}

// False when it waits, or all is over.
bool relayed::read_some(std::size_t from) {
    auto& now = flows_[from];
    const auto got = os::recv(raw(from), service_.scratch);
    if (!got) {
        if (got.error() == std::errc::resource_unavailable_try_again) {
            wait(from, stream::wait_read, from);
        } else {
            fail(from, got.error(), operation::receive);
        }
        return false;
    }
    if (*got == 0) {
        if (sides_[from].failed) {
            fail(from, *sides_[from].failed, operation::receive);
            return false;
        }
        now.ended = true;
        return true;
    }
    end_.received += from == client ? *got : 0;
    const auto bytes = std::span{service_.scratch}.first(*got);
    const auto sent = send(other(from), bytes);
    if (!sent) {
        return false;
    }
    now.waiting.assign(bytes.begin() + static_cast<std::ptrdiff_t>(*sent), bytes.end());
    now.taken = 0;
    return true;
}

// False when it waits, or all is over.
bool relayed::send_waiting(std::size_t from) {
    auto& now = flows_[from];
    const auto sent = send(other(from), std::span{now.waiting}.subspan(now.taken));
    if (!sent) {
        return false;
    }
    now.taken += *sent;
    if (now.taken == now.waiting.size()) {
        now.waiting = {}; // an idle connection holds no memory
        return true;
    }
    if (*sent != 0) {
        return true;
    }
    if (sides_[from].failed) {
        fail(from, *sides_[from].failed, operation::receive);
    } else {
        wait(other(from), stream::wait_write, from);
    }
    return false;
}

// How many bytes the side took, 0 when it is full; nullopt when all is over.
std::optional<std::size_t> relayed::send(std::size_t to, std::span<const std::byte> bytes) {
    const auto sent = os::send(raw(to), bytes);
    if (sent) {
        end_.sent += to == client ? *sent : 0;
        return *sent;
    }
    if (sent.error() == std::errc::resource_unavailable_try_again) {
        return 0;
    }
    fail(to, sent.error(), operation::send);
    return std::nullopt;
}

void relayed::pass_end(std::size_t from) {
    if (flows_[other(from)].ended && flows_[other(from)].waiting.empty()) {
        return finish({}, false); // closing is the second FIN
    }
    // Fails when that side has reset the connection; reading from it tells.
    static_cast<void>(os::shutdown_send(raw(other(from))));
}

// An error shows again in the call that follows.
void relayed::wait(std::size_t which, stream::wait_type what, std::size_t from) {
    sides_[which].socket.async_wait(
        what, [self = shared_from_this(), from](error_code) { self->move(from); });
}

// ---- the end ----

void relayed::fail(std::size_t which, std::error_code why, operation op) {
    const auto& dead = sides_[which];
    finish(failure(dead.failed.value_or(why), op, dead.peer), true);
}

void relayed::finish(std::optional<error> why, bool reset) {
    const auto self = shared_from_this(); // the service's list lets go of it
    auto end = close(why, reset);
    const auto tell = std::move(done);
    tell(std::move(end));
}

connection_end relayed::close(std::optional<error> why, bool reset) {
    over_ = true;
    for (auto& each : sides_) {
        if (!each.socket.is_open()) {
            continue;
        }
        if (reset) {
            static_cast<void>(os::set_linger_reset(each.socket.native_handle()));
        }
        error_code ignored;
        each.socket.close(ignored);
    }
    if (std::exchange(dialling_, false)) {
        cancel_dial_.emit(asio::cancellation_type::total);
    }
    service_.remove(*this);
    flows_ = {};
    end_.lasted = os::now() - began_;
    end_.why = why;
    return std::move(end_);
}

} // namespace

std::unique_ptr<stream_service> make_relay_service(asio::any_io_executor executor,
                                                   relay_options options) {
    return std::make_unique<relay_service>(std::move(executor), std::move(options));
}

} // namespace portico::run
