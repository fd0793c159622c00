// The driver of core/race: asks the resolver, starts and watches attempts, and tells the machine
// what happened.
//
//   resolver --addresses--> race --start--> attempts --connected, failed--> race --> outcome
//                             ^--deadline-- timer                                     (tunnel)

#include "portico/run/dial.hpp"

#include "dial/sources.hpp"
#include "dial/target.hpp"
#include "dial/tunnel.hpp"
#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/race/timeline.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>

namespace portico::run {
namespace {

// Longer than this nobody waits for a NAT64 to be discovered (RFC 7050) before IPv4 is given up.
constexpr duration nat64_patience = std::chrono::seconds{2};

// One connection attempt. `watch` only waits for the descriptor, which `socket` owns.
struct attempt {
    attempt(const asio::any_io_executor& executor, os::fd made)
        : socket{std::move(made)}, watch{executor} {}
    attempt(const attempt&) = delete;
    attempt& operator=(const attempt&) = delete;
    ~attempt() { let_go(); }

    void let_go() {
        if (watch.is_open()) {
            (void)watch.release();
        }
    }

    os::fd socket;
    asio::posix::stream_descriptor watch;
};

class dialling : public std::enable_shared_from_this<dialling> {
public:
    dialling(const asio::any_io_executor& executor, dial_request request,
             completion<dial_outcome> done)
        : executor_{executor}, request_{std::move(request)}, done_{std::move(done)},
          timer_{executor}, sources_{request_.from ? std::optional{request_.from->address}
                                                   : std::nullopt} {}

    void start();

private:
    void begin();
    void dial_unix(const ip::unix_name& name);
    void start_race(instant began);
    void ask(const std::string& name, ip::family which,
             void (dialling::*then)(ip::family, result<os::lookup_answer>), deadline until);

    void handle_answer(ip::family which, result<os::lookup_answer> got);
    void handle_nat64(ip::family which, result<os::lookup_answer> got);
    [[nodiscard]] bool hold_for_nat64(const std::vector<ip::destination>& places);
    [[nodiscard]] std::vector<ip::destination> places(const os::lookup_answer& found);

    void pump();
    void apply(const race::start& what);
    void apply(const race::abandon& what) { attempts_.erase(what.id); }
    [[nodiscard]] result<os::fd> open(const ip::endpoint& to) const;
    void handle_writable(race::attempt_id id, boost::system::error_code wrong);
    void set_timer();

    void conclude();
    void remember(const race::report& story);
    void open_tunnel(os::fd socket);
    void handle_tunnel(tunnel_outcome got);
    void cancel();
    void finish();
    void finish_failed(const error& why, std::string text);

    asio::any_io_executor executor_;
    dial_request request_;
    completion<dial_outcome> done_;
    asio::steady_timer timer_;
    deadline until_ = deadline::never();
    dial_target target_;
    source_finder sources_;
    std::optional<race::race> race_{};
    std::map<race::attempt_id, attempt> attempts_;
    std::deque<asio::cancellation_signal> lookups_; // they must not move
    bool asked_nat64_ = false;
    std::vector<ip::prefix> translators_;
    std::optional<std::vector<ip::destination>> held_v4_{}; // until the NAT64 is known
    std::weak_ptr<tunnel> tunnel_; // which holds this object until it has told its outcome
    dial_outcome outcome_;
};

error caused(std::error_code why, operation op, const ip::any_endpoint& at) {
    const int number = why.value();
    const bool of_the_host = number == EMFILE || number == ENFILE || number == ENOMEM ||
                             number == ENOBUFS || number == EADDRNOTAVAIL ||
                             number == EAFNOSUPPORT || number == EADDRINUSE;
    const bool of_the_caller = number == EACCES || number == EPERM || number == ENODEV;
    return {why, op, of_the_caller ? side::caller : of_the_host ? side::system : side::peer, at};
}

void dialling::start() {
    if (auto slot = done_.slot(); slot.is_connected()) {
        slot.assign([me = weak_from_this()](asio::cancellation_type) {
            if (const auto self = me.lock()) {
                // Not at once: completing takes this very handler away.
                asio::post(self->executor_, [self] { self->cancel(); });
            }
        });
    }
    asio::post(executor_, [self = shared_from_this()] { self->begin(); });
}

void dialling::begin() {
    if (!done_) {
        return;
    }
    // One reading of the clock, so that a race which times out has lasted the whole timeout.
    const auto began = os::now();
    if (request_.timeout) {
        until_ = deadline::after(began, *request_.timeout);
    }
    auto target = read_request(request_);
    if (!target) {
        return finish_failed(target.error().why, std::move(target.error().text));
    }
    target_ = std::move(*target);
    if (target_.unix_socket) {
        return dial_unix(*target_.unix_socket);
    }
    start_race(began);
}

// connect() to a UNIX socket either works at once or fails: EAGAIN when its queue is full.
void dialling::dial_unix(const ip::unix_name& name) {
    auto made = os::socket(name, request_.over);
    const auto connected =
        made ? os::connect(*made, name) : os::sys_status{tl::unexpected{made.error()}};
    if (!connected) {
        const error why = caused(connected.error(), operation::connect, name);
        return finish_failed(why, target_.title + ": " + why.code.message());
    }
    outcome_.socket = std::move(*made);
    outcome_.text = target_.title + ": connected";
    finish();
}

void dialling::start_race(instant began) {
    race::config how;
    how.attempt_delay = request_.attempt_delay;
    how.resolution_delay = request_.resolution_delay;
    how.port = target_.port;
    how.until = until_;
    how.expect_v4 = target_.wants_v4;
    how.expect_v6 = target_.wants_v6;
    race_.emplace(how, began);
    // AAAA first (RFC 8305 section 3).
    for (const auto which : {ip::family::v6, ip::family::v4}) {
        if (which == ip::family::v6 ? how.expect_v6 : how.expect_v4) {
            ask(target_.host, which, &dialling::handle_answer, until_);
        }
    }
    pump();
}

void dialling::ask(const std::string& name, ip::family which,
                   void (dialling::*then)(ip::family, result<os::lookup_answer>), deadline until) {
    auto& signal = lookups_.emplace_back();
    auto answered = [self = shared_from_this(), which, then](result<os::lookup_answer> got) {
        if (self->done_ && !self->race_->is_decided()) {
            (self.get()->*then)(which, std::move(got));
        }
    };
    async_resolve(executor_, name, which, false, until,
                  asio::bind_cancellation_slot(
                      signal.slot(), asio::bind_executor(executor_, std::move(answered))));
}

void dialling::handle_answer(ip::family which, result<os::lookup_answer> got) {
    if (!got) {
        race_->handle_resolve_failed(os::now(), which, got.error());
        return pump();
    }
    auto found = places(*got);
    if (request_.memory) {
        request_.memory->apply(os::now(), target_.title, found);
    }
    if (which == ip::family::v4 && hold_for_nat64(found)) {
        held_v4_ = std::move(found);
        return;
    }
    race_->handle_addresses(os::now(), which, found);
    pump();
}

std::vector<ip::destination> dialling::places(const os::lookup_answer& found) {
    std::vector<ip::destination> made;
    for (const auto& each : found.addresses) {
        made.push_back({each, sources_.find({each, target_.port})});
    }
    return made;
}

// An IPv4 address that cannot be reached from here may be behind a NAT64 (RFC 8305 section 7), when
// this host has IPv6 that goes anywhere.
bool dialling::hold_for_nat64(const std::vector<ip::destination>& places) {
    const bool unreachable =
        std::any_of(places.begin(), places.end(), [](const auto& each) { return !each.from; });
    const bool wanted = request_.only != ip::family::v4 && !request_.from;
    const auto& probe = ip::nat64_well_known().base();
    if (asked_nat64_ || !unreachable || !wanted || !os::source_address({probe, 9})) {
        return false;
    }
    asked_nat64_ = true;
    const auto limit = std::min(until_, deadline::after(os::now(), nat64_patience));
    ask("ipv4only.arpa", ip::family::v6, &dialling::handle_nat64, limit); // RFC 7050 section 3
    return true;
}

void dialling::handle_nat64(ip::family, result<os::lookup_answer> got) {
    if (got) {
        std::vector<race::translator> known;
        translators_ = ip::nat64_discover(got->addresses);
        for (const auto& through : translators_) {
            known.push_back({through, sources_.find({through.base(), target_.port})});
        }
        race_->handle_nat64(os::now(), known);
    }
    race_->handle_addresses(os::now(), ip::family::v4, *held_v4_);
    held_v4_.reset();
    pump();
}

void dialling::pump() {
    while (const auto todo = race_->poll_action()) {
        std::visit([this](const auto& what) { apply(what); }, *todo);
    }
    if (race_->is_decided()) {
        return conclude();
    }
    set_timer();
}

void dialling::apply(const race::start& what) {
    if (request_.allowed && !request_.allowed(what.to, translators_)) {
        const std::error_code no{EACCES, std::system_category()};
        return race_->handle_failed(os::now(), what.id, caused(no, operation::connect, what.to));
    }
    auto made = open(what.to);
    if (!made) {
        return race_->handle_failed(os::now(), what.id, made.error());
    }
    const auto connected = os::connect(*made, what.to);
    auto& now = attempts_.try_emplace(what.id, executor_, std::move(*made)).first->second;
    if (connected) {
        return race_->handle_connected(os::now(), what.id);
    }
    boost::system::error_code wrong;
    if (connected.error().value() == EINPROGRESS) {
        now.watch.assign(now.socket.raw(), wrong);
    }
    if (connected.error().value() != EINPROGRESS || wrong) {
        attempts_.erase(what.id);
        const std::error_code why =
            wrong ? std::error_code{wrong.value(), std::system_category()} : connected.error();
        return race_->handle_failed(os::now(), what.id, caused(why, operation::connect, what.to));
    }
    now.watch.async_wait(now.watch.wait_write, [self = shared_from_this(), id = what.id](
                                                   boost::system::error_code not_waited) {
        self->handle_writable(id, not_waited);
    });
}

// Without the option the dial still works, so only what the user asked for can fail it.
result<os::fd> dialling::open(const ip::endpoint& to) const {
    const auto failed = [](std::error_code why, operation op, const ip::any_endpoint& at) {
        return tl::unexpected{caused(why, op, at)};
    };
    auto made = os::socket(to, request_.over);
    if (!made) {
        return failed(made.error(), operation::open, to);
    }
    if (!request_.interface.empty()) {
        if (auto done = os::set_bind_to_device(*made, request_.interface); !done) {
            return failed(done.error(), operation::set_option, to);
        }
    }
    if (request_.from) {
        if (request_.from->port == 0) {
            // The port is chosen at connect, so that one port serves many destinations.
            (void)os::set_bind_address_no_port(*made);
        } else {
            (void)os::set_reuse_address(*made, true);
        }
        if (auto done = os::bind(*made, *request_.from); !done) {
            return failed(done.error(), operation::bind, *request_.from);
        }
    }
    if (request_.over == ip::transport::tcp && request_.no_delay) {
        (void)os::set_no_delay(made->raw(), true);
    }
    return std::move(*made);
}

void dialling::handle_writable(race::attempt_id id, boost::system::error_code wrong) {
    const auto found = attempts_.find(id);
    if (!done_ || found == attempts_.end() || race_->is_decided()) {
        return;
    }
    const auto& to = race_->story().attempts[id].to;
    const auto connected =
        wrong
            ? os::sys_status{tl::unexpected{std::error_code{wrong.value(), std::system_category()}}}
            : os::so_error(found->second.socket.raw());
    if (connected) {
        race_->handle_connected(os::now(), id);
    } else {
        attempts_.erase(found);
        race_->handle_failed(os::now(), id, caused(connected.error(), operation::connect, to));
    }
    pump();
}

void dialling::set_timer() {
    const auto next = race_->poll_deadline();
    if (next.is_never()) {
        timer_.cancel();
        return;
    }
    timer_.expires_after(next.remaining(os::now()));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code wrong) {
        if (self->done_ && !wrong && !self->race_->is_decided()) {
            self->race_->handle_deadline(os::now());
            self->pump();
        }
    });
}

void dialling::conclude() {
    const auto& story = race_->story();
    timer_.cancel();
    outcome_.text = race::describe(story, target_.title);
    remember(story);
    if (!story.winner) {
        return finish_failed(story.why.value_or(error{}), std::move(outcome_.text));
    }
    if (request_.over == ip::transport::udp) { // a connection would be somebody who is there
        outcome_.text =
            target_.title + ": sends to " + ip::to_text(story.attempts[*story.winner].to);
    }
    auto& winner = attempts_.at(*story.winner);
    winner.let_go();
    auto socket = std::move(winner.socket);
    attempts_.clear();
    if (request_.dead_after && request_.over == ip::transport::tcp) {
        if (auto done = os::set_dead_after(socket.raw(), *request_.dead_after); !done) {
            const error why{done.error(), operation::set_option, side::caller, {}};
            return finish_failed(why, target_.title + ": dead-after: " + why.code.message());
        }
    }
    if (target_.proxy) {
        return open_tunnel(std::move(socket));
    }
    outcome_.socket = std::move(socket);
    finish();
}

void dialling::remember(const race::report& story) {
    if (!request_.memory) {
        return;
    }
    for (const auto& each : story.attempts) {
        if (each.how == race::attempt_report::outcome::failed) {
            request_.memory->forget(target_.title, each.to.address);
        } else if (each.how == race::attempt_report::outcome::won) {
            request_.memory->remember(os::now(), target_.title, each.to.address,
                                      each.ended - each.started);
        }
    }
}

void dialling::open_tunnel(os::fd socket) {
    auto asking = std::make_shared<tunnel>(
        executor_, std::move(socket), std::move(*target_.proxy),
        [self = shared_from_this()](tunnel_outcome got) { self->handle_tunnel(std::move(got)); });
    tunnel_ = asking;
    asking->start(proxy_limit(until_, os::now()));
}

void dialling::handle_tunnel(tunnel_outcome got) {
    if (got.failure) {
        return finish_failed(got.failure->why, target_.title + ": " + got.failure->text);
    }
    outcome_.socket = std::move(got.socket);
    outcome_.early = std::move(got.early);
    finish();
}

void dialling::cancel() {
    if (!done_) {
        return;
    }
    if (const auto asking = tunnel_.lock()) {
        return asking->cancel();
    }
    if (race_) {
        race_->handle_cancel(os::now());
        return pump();
    }
    finish_failed(error{std::make_error_code(std::errc::operation_canceled),
                        operation::connect,
                        side::caller,
                        {}},
                  "the dial was cancelled");
}

void dialling::finish_failed(const error& why, std::string text) {
    outcome_.why = why;
    outcome_.text = std::move(text);
    outcome_.socket.reset();
    finish();
}

void dialling::finish() {
    if (race_) {
        outcome_.story = race_->story();
    }
    if (outcome_.socket) {
        const int raw = outcome_.socket.raw();
        outcome_.local = os::getsockname(raw).value_or(ip::any_endpoint{});
        outcome_.peer = os::getpeername(raw).value_or(ip::any_endpoint{});
    }
    auto done = std::move(done_);
    timer_.cancel();
    attempts_.clear();
    for (auto& each : lookups_) {
        each.emit(asio::cancellation_type::total);
    }
    done(std::move(outcome_));
}

} // namespace

void detail::start_dial(const asio::any_io_executor& executor, dial_request request,
                        completion<dial_outcome> done) {
    std::make_shared<dialling>(executor, std::move(request), std::move(done))->start();
}

} // namespace portico::run
