// The built-in services over streams. The path of echo is benchmarked: one callback object a
// connection, a send is tried before it is waited for, and nothing runs that is not needed.

#include "portico/run/builtin.hpp"
#include "portico/os/clock.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <string>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t echo_buffer = 16 << 10;
constexpr std::size_t sends_per_turn = 16; // of chargen, before others have their turn

error failure(std::error_code code, operation op, const ip::any_endpoint& peer) {
    const bool theirs = code == std::errc::connection_reset || code == std::errc::broken_pipe ||
                        code == std::errc::timed_out || code == std::errc::host_unreachable ||
                        code == std::errc::network_unreachable ||
                        code == std::errc::connection_aborted;
    return {code, op, theirs ? side::peer : side::system, peer};
}

int family_of(const ip::any_endpoint& local) {
    const auto* at = std::get_if<ip::endpoint>(&local);
    if (at == nullptr) {
        return AF_UNIX;
    }
    return at->address.is_v6() ? AF_INET6 : AF_INET;
}

class builtin_service;

// One connection.
//
//              +----------------------------------+
//              v                                  |
//   echo:   reading --bytes--> sending --all sent-+     reading --end--> FIN, over
//   discard: draining --end--> FIN, over
//   others: sending --all sent--> FIN --> draining, for a while --end, time, bytes--> over
class connection : public std::enable_shared_from_this<connection> {
public:
    using list = std::list<std::shared_ptr<connection>>;

    connection(builtin_service& service, const accepted& from, std::uint64_t number,
               stream_service::ended tell);

    void start(os::fd taken);
    // Takes it off the service's lists: whatever is pending ends without effect.
    connection_end close(std::optional<error> why, bool reset);

    list::iterator where; // in the list of the service that it is in
    bool lingers = false; // which of the two lists
    instant linger_until{};
    stream_service::ended done;

private:
    void start_answer();
    void read();
    void handle_read(error_code wrong, std::size_t size);
    void drain();
    void handle_drained(error_code wrong, std::size_t size);
    void send();
    bool send_some();
    [[nodiscard]] std::span<const std::byte> next_bytes() const;
    [[nodiscard]] bool all_sent() const;
    void wait_writable();
    void handle_sent();
    void finish(std::optional<error> why = {});
    void fail(std::error_code why, operation op) { finish(failure(why, op, end_.peer)); }

    builtin_service& service_;
    stream socket_;
    connection_end end_;
    instant began_;
    bool over_ = false;
    std::unique_ptr<std::byte[]> buffer_; // of echo
    std::size_t from_ = 0;                // what of the buffer is to be sent
    std::size_t until_ = 0;
    std::string answer_;        // of daytime, time and hello
    std::uint64_t to_send_ = 0; // bytes of an answer that has an end
    std::uint64_t drained_ = 0; // bytes while lingering
};

class builtin_service final : public stream_service {
public:
    builtin_service(asio::any_io_executor ex, serve::builtin which, builtin_options how)
        : executor{std::move(ex)}, kind{which}, options{how}, linger_timer_{executor} {}
    builtin_service(const builtin_service&) = delete;
    builtin_service& operator=(const builtin_service&) = delete;
    ~builtin_service() override {
        close_all([](const stream_service::ended&, const connection_end&) {});
    }

    void start(accepted from, std::uint64_t number, ended done) override {
        auto made = std::make_shared<connection>(*this, from, number, std::move(done));
        made->where = running_.insert(running_.end(), made);
        made->start(std::move(from.socket));
    }

    void stop_now() override {
        close_all([this](ended done, connection_end end) {
            asio::post(executor, [done = std::move(done), end = std::move(end)]() mutable {
                done(std::move(end));
            });
        });
    }

    // Puts a connection behind those that began to linger before it: they end in this order.
    void linger(connection& which) {
        which.linger_until = deadline::after(os::now(), options.linger).when();
        lingering_.splice(lingering_.end(), running_, which.where);
        which.lingers = true;
        if (!timer_set_) {
            set_timer();
        }
    }

    void remove(connection& which) { (which.lingers ? lingering_ : running_).erase(which.where); }

    const asio::any_io_executor executor;
    const serve::builtin kind;
    const builtin_options options;
    // What is read to be dropped lands here, from all connections.
    std::array<std::byte, 64 << 10> scratch;

private:
    template <class Tell>
    void close_all(Tell tell) {
        linger_timer_.cancel();
        timer_set_ = false;
        for (auto* list : {&running_, &lingering_}) {
            while (!list->empty()) {
                const auto each = list->front();
                const error stopped{
                    {ECANCELED, std::system_category()}, operation::close, side::caller, {}};
                auto end = each->close(stopped, true);
                tell(std::move(each->done), std::move(end));
            }
        }
    }

    void set_timer() {
        timer_set_ = true;
        linger_timer_.expires_after(
            deadline::at(lingering_.front()->linger_until).remaining(os::now()));
        linger_timer_.async_wait([this, alive = std::weak_ptr{alive_}](error_code wrong) {
            if (!alive.expired() && !wrong) {
                handle_timer();
            }
        });
    }

    void handle_timer() {
        timer_set_ = false;
        const auto now = os::now();
        while (!lingering_.empty() && lingering_.front()->linger_until <= now) {
            const auto each = lingering_.front();
            auto end = each->close({}, false);
            const auto tell = std::move(each->done);
            tell(std::move(end));
        }
        if (!lingering_.empty()) {
            set_timer();
        }
    }

    connection::list running_;
    connection::list lingering_;
    asio::steady_timer linger_timer_;
    bool timer_set_ = false;
    const std::shared_ptr<char> alive_ = std::make_shared<char>('\0');
};

connection::connection(builtin_service& service, const accepted& from, std::uint64_t number,
                       stream_service::ended tell)
    : done{std::move(tell)}, service_{service}, socket_{service.executor}, began_{os::now()} {
    end_.number = number;
    end_.local = from.local;
    end_.peer = from.peer;
}

// Nothing that is called from here may end the connection: `done` comes later.
void connection::start(os::fd taken) {
    error_code wrong;
    socket_.assign({family_of(end_.local), 0}, taken.raw(), wrong);
    if (wrong) {
        asio::post(service_.executor, [self = shared_from_this(), wrong] {
            if (!self->over_) {
                self->fail(wrong, operation::accept);
            }
        });
        return;
    }
    static_cast<void>(std::move(taken).release());
    switch (service_.kind) {
    case serve::builtin::echo:
        buffer_ = std::make_unique_for_overwrite<std::byte[]>(echo_buffer);
        read();
        break;
    case serve::builtin::discard:
        drain();
        break;
    default:
        start_answer();
        break;
    }
}

void connection::start_answer() {
    const auto now = os::unix_time();
    switch (service_.kind) {
    case serve::builtin::daytime:
        answer_ = serve::daytime_line(now);
        break;
    case serve::builtin::time: {
        const auto bytes = serve::time_bytes(now);
        answer_.resize(bytes.size());
        std::memcpy(answer_.data(), bytes.data(), bytes.size());
        break;
    }
    case serve::builtin::hello:
        answer_ = serve::hello_line(end_.peer, end_.local);
        break;
    default:
        break;
    }
    to_send_ =
        service_.kind == serve::builtin::chargen ? service_.options.chargen_limit : answer_.size();
    asio::post(service_.executor, [self = shared_from_this()] { self->send(); });
}

void connection::read() {
    socket_.async_receive(asio::buffer(buffer_.get(), echo_buffer),
                          [self = shared_from_this()](error_code wrong, std::size_t size) {
                              self->handle_read(wrong, size);
                          });
}

void connection::handle_read(error_code wrong, std::size_t size) {
    if (over_) {
        return;
    }
    if (wrong == asio::error::eof) {
        finish(); // the close is the FIN: nothing is left to be read
    } else if (wrong) {
        fail(wrong, operation::receive);
    } else {
        end_.received += size;
        from_ = 0;
        until_ = size;
        send();
    }
}

void connection::drain() {
    socket_.async_receive(asio::buffer(service_.scratch),
                          [self = shared_from_this()](error_code wrong, std::size_t size) {
                              self->handle_drained(wrong, size);
                          });
}

void connection::handle_drained(error_code wrong, std::size_t size) {
    if (over_) {
        return;
    }
    if (wrong) {
        // After the answer it is the client's business how it closes.
        if (lingers || wrong == asio::error::eof) {
            finish();
        } else {
            fail(wrong, operation::receive);
        }
        return;
    }
    end_.received += size;
    drained_ += size;
    if (lingers && drained_ > service_.options.linger_bytes) {
        finish();
    } else {
        drain();
    }
}

std::span<const std::byte> connection::next_bytes() const {
    if (service_.kind == serve::builtin::echo) {
        return {buffer_.get() + from_, until_ - from_};
    }
    const auto left = to_send_ - end_.sent;
    if (service_.kind == serve::builtin::chargen) {
        const auto turn = serve::chargen_turn();
        const auto rest = turn.substr(static_cast<std::size_t>(end_.sent % turn.size()));
        return std::as_bytes(std::span{rest})
            .first(static_cast<std::size_t>(std::min<std::uint64_t>(left, rest.size())));
    }
    return std::as_bytes(std::span{answer_}).last(static_cast<std::size_t>(left));
}

bool connection::all_sent() const {
    return service_.kind == serve::builtin::echo ? from_ == until_ : end_.sent >= to_send_;
}

void connection::send() {
    if (over_) {
        return;
    }
    for (std::size_t i = 0; i < sends_per_turn && !all_sent(); ++i) {
        if (!send_some()) {
            return;
        }
    }
    if (all_sent()) {
        handle_sent();
    } else {
        asio::post(service_.executor, [self = shared_from_this()] { self->send(); });
    }
}

// False when the connection waits, or is over.
bool connection::send_some() {
    const auto sent = os::send(socket_.native_handle(), next_bytes());
    if (sent) {
        end_.sent += *sent;
        from_ += *sent;
        return true;
    }
    if (sent.error() == std::errc::resource_unavailable_try_again) {
        wait_writable();
    } else {
        fail(sent.error(), operation::send);
    }
    return false;
}

// An error shows again in the send that follows.
void connection::wait_writable() {
    socket_.async_wait(stream::wait_write,
                       [self = shared_from_this()](error_code) { self->send(); });
}

void connection::handle_sent() {
    if (service_.kind == serve::builtin::echo) {
        read();
        return;
    }
    // Fails when the client has reset the connection; reading then tells.
    static_cast<void>(os::shutdown_send(socket_.native_handle()));
    service_.linger(*this);
    drain();
}

connection_end connection::close(std::optional<error> why, bool reset) {
    over_ = true;
    if (reset && socket_.is_open()) {
        static_cast<void>(os::set_linger_reset(socket_.native_handle())); // else a plain close
    }
    error_code ignored;
    socket_.close(ignored);
    service_.remove(*this);
    end_.lasted = os::now() - began_;
    end_.why = why;
    return std::move(end_);
}

void connection::finish(std::optional<error> why) {
    const auto self = shared_from_this(); // the service's list lets go of it
    auto end = close(why, false);
    const auto tell = std::move(done);
    tell(std::move(end));
}

} // namespace

std::unique_ptr<stream_service> make_builtin_service(asio::any_io_executor executor,
                                                     serve::builtin kind, builtin_options options) {
    return std::make_unique<builtin_service>(std::move(executor), kind, options);
}

} // namespace portico::run
