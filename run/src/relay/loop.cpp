#include "relay/loop.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace portico::run {
namespace {

constexpr std::size_t events_at_once = 256;

int milliseconds_until(deadline when, instant now) {
    if (when.is_never()) {
        return -1;
    }
    constexpr auto longest = std::chrono::hours{1};
    const auto left = std::min<duration>(when.remaining(now), longest);
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

std::optional<error> as_error(relay_end why, int number, const ip::any_endpoint& peer) {
    const auto failed = [&](int code, operation op, side who) {
        return error{{code, std::system_category()}, op, who, peer};
    };
    switch (why) {
    case relay_end::both_ended:
        return std::nullopt;
    case relay_end::client_failed:
    case relay_end::client_gone:
    case relay_end::target_failed:
        return failed(number == 0 || number == EPIPE ? ECONNRESET : number, operation::receive,
                      side::peer);
    case relay_end::idle:
    case relay_end::half_closed:
    case relay_end::header_late:
        return failed(ETIMEDOUT, operation::receive, side::peer);
    case relay_end::bad_header:
        return failed(EPROTO, operation::proxy, side::peer);
    case relay_end::untrusted:
    case relay_end::denied:
    case relay_end::limited:
    case relay_end::full:
        return error{refusal(why), operation::accept, side::peer, peer};
    case relay_end::no_memory:
        return failed(number == 0 ? ENOMEM : number, operation::open, side::system);
    case relay_end::no_target:
        return failed(number == 0 ? EHOSTUNREACH : number, operation::connect, side::peer);
    case relay_end::stopped:
        return failed(ECANCELED, operation::close, side::caller);
    case relay_end::egress_gone:
        return failed(ENETDOWN, operation::connect, side::system);
    }
    return std::nullopt;
}

class refusals final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "portico.refusal"; }
    [[nodiscard]] std::string message(int number) const override {
        switch (static_cast<relay_end>(number)) {
        case relay_end::untrusted:
            return "not let in: it may not send a PROXY header";
        case relay_end::limited:
            return "not let in: too many of its network";
        case relay_end::full:
            return "not let in: as many connections are open as may be";
        default:
            return "not let in: denied by a rule";
        }
    }
    [[nodiscard]] std::error_condition
    default_error_condition(int /*number*/) const noexcept override {
        return std::errc::permission_denied;
    }
};

} // namespace

const std::error_category& refusal_category() noexcept {
    static const refusals only;
    return only;
}

std::string_view to_text(relay_end why) noexcept {
    constexpr std::array<std::string_view, relay_ends> words{
        "both_ended", "client_failed", "target_failed", "idle",        "half_closed", "client_gone",
        "no_target",  "no_memory",     "bad_header",    "header_late", "untrusted",   "denied",
        "limited",    "full",          "stopped",       "egress_gone"};
    return words.at(static_cast<std::size_t>(why));
}

relay_engine::loop::loop(std::shared_ptr<const relay_settings> settings,
                         std::shared_ptr<relay_targets> targets, std::shared_ptr<admission> door,
                         std::shared_ptr<relay_counters> counters, ended tell)
    : settings_{std::move(settings)}, targets_{std::move(targets)}, door_{std::move(door)},
      counters_{std::move(counters)}, tell_{std::move(tell)}, epoll_{calls::epoll()},
      wakeup_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      spare_{::open("/dev/null", O_RDONLY | O_CLOEXEC)}, now_{os::now()}, events_(events_at_once),
      scratch_(std::max<std::size_t>(settings_->buffer, 1)), wheel_{now_},
      buffers_{scratch_.size(), std::max<std::size_t>(settings_->max_buffers, 1)},
      pipes_{settings_->max_pipes} {
    calls::watch(epoll_.raw(), wakeup_.raw(), EPOLLIN, tag::make(tag::work, 0, 0));
    number_at_door_ = door_->join([this] { wake(); });
}

relay_engine::loop::~loop() {
    door_->leave(number_at_door_);
    for (const auto& each : pairs_) { // nobody has looked at them yet
        for (const auto* side : {&each.client, &each.target}) {
            static_cast<void>(os::set_linger_reset(side->raw()));
        }
    }
    for (auto& each : connections_) {
        if (each.stage != phase::unused) {
            close_attempts(each, true);
            give_up_choice(each);
            for (const auto& side : each.ends) {
                if (side.socket >= 0) {
                    calls::close(side.socket, true);
                }
            }
            wheel_.cancel(each);
            if (each.has_target) {
                targets_->handle_closed(each.target);
            }
            leave_door(each);
        }
    }
}

result<void> relay_engine::loop::ready() const {
    if (epoll_ && wakeup_) {
        return {};
    }
    return tl::unexpected{
        error{{EMFILE, std::system_category()}, operation::open, side::system, {}}};
}

// ---- turns ----

deadline relay_engine::loop::next_deadline() const noexcept {
    if (!ready_.empty()) {
        return deadline::at(now_);
    }
    auto next = wheel_.poll_deadline();
    if (close_listening_at_) {
        next = std::min(next, deadline::at(*close_listening_at_));
    }
    for (const auto& each : listening_) {
        if (each.paused) {
            next = std::min(next, deadline::at(*each.paused));
        }
    }
    return next;
}

bool relay_engine::loop::turn(bool may_wait, const os::sigpipe_held& quiet) {
    quiet_ = &quiet;
    const int limit = may_wait ? milliseconds_until(next_deadline(), now_) : 0;
    const auto count = calls::wait(epoll_.raw(), events_, limit);
    now_ = os::now();
    for (const auto& each : std::span{events_}.first(count)) {
        handle_event(each);
    }
    run_ready_ones();
    if (!starved_.empty()) {
        feed_starved();
    }
    while (auto* due = wheel_.poll_expired(now_)) {
        auto& c = static_cast<connection&>(*due);
        guarded(c, [&] { handle_due(c); });
    }
    if (close_listening_at_ && *close_listening_at_ <= now_) {
        close_listening_at_.reset();
        close_listening();
    }
    if (std::any_of(listening_.begin(), listening_.end(),
                    [](const auto& each) { return !each.watched; })) {
        resume_listening();
    }
    return !(stopped_ || !accepting_) || active_ != 0;
}

void relay_engine::loop::handle_event(const epoll_event& event) {
    const auto what = tag::what(event.data.u64);
    if (what == tag::listener) {
        const auto number = tag::index(event.data.u64);
        if (number < listening_.size() && listening_[number].watched) {
            accept_from(listening_[number]);
        }
        return;
    }
    if (what == tag::work) {
        return handle_work();
    }
    auto* c = find(event.data.u64);
    if (c == nullptr) {
        return; // it ended in this turn
    }
    guarded(*c, [&] { handle_event(*c, what, event.events); });
}

void relay_engine::loop::handle_event(connection& c, std::uint64_t what, std::uint32_t events) {
    if (c.stage == phase::joined) {
        const bool of_client = what == tag::client;
        if (of_client || what == c.target_what) {
            handle_joined(c, of_client ? relay::end::client : relay::end::target, events);
        }
    } else if (c.stage == phase::header) {
        read_header(c);
    } else if (c.stage == phase::joining) {
        if (what == tag::client) {
            handle_client_while_joining(c, events);
        } else {
            handle_attempt(c, static_cast<std::uint32_t>(what - tag::first_attempt), events);
        }
    }
}

void relay_engine::loop::handle_due(connection& c) {
    switch (c.stage) {
    case phase::unused:
        return;
    case phase::header:
        if (c.began + settings_->headers_in->patience <= now_) {
            return turn_away(c, relay_end::header_late, "the PROXY header did not come");
        }
        return wheel_.set_at_latest(c, deadline::after(c.began, settings_->headers_in->patience));
    case phase::joining:
        if (c.joining->race) {
            c.joining->race->handle_deadline(now_);
            return pump_race(c);
        }
        if (c.joining->began + settings_->connect_timeout <= now_) {
            return attempt_failed(c, 0, ETIMEDOUT);
        }
        return wheel_.set_at_latest(c,
                                    deadline::after(c.joining->began, settings_->connect_timeout));
    case phase::joined:
        c.streams.handle_deadline(now_);
        return pump(c);
    case phase::lingering:
        return linger(c);
    }
}

// ---- work from other threads ----

void relay_engine::loop::wake() noexcept {
    static_cast<void>(::eventfd_write(wakeup_.raw(), 1));
}

void relay_engine::loop::post(order what) {
    {
        const std::lock_guard locked{work_mutex_};
        orders_.push_back(what);
    }
    wake();
}

void relay_engine::loop::post(relay_pair pair) {
    {
        const std::lock_guard locked{work_mutex_};
        pairs_.push_back(std::move(pair));
    }
    wake();
}

void relay_engine::loop::handle_work() {
    eventfd_t ignored = 0;
    static_cast<void>(::eventfd_read(wakeup_.raw(), &ignored));
    std::vector<order> orders;
    std::vector<relay_pair> pairs;
    {
        const std::lock_guard locked{work_mutex_};
        orders.swap(orders_);
        pairs.swap(pairs_);
    }
    for (auto& each : pairs) {
        try {
            adopt(std::move(each));
        } catch (const std::bad_alloc&) {
            counters_->shed.add(); // its sockets are closed with it
        }
    }
    for (const auto each : orders) {
        handle_order(each);
    }
}

void relay_engine::loop::handle_order(order what) {
    switch (what) {
    case order::pause:
    case order::resume:
        return pause_accepting(what == order::pause);
    case order::drain:
        return begin_drain();
    case order::stop:
        return stop();
    case order::egress_gone:
        return handle_egress_gone();
    case order::egress_back:
        is_egress_gone_ = false;
        return;
    }
}

void relay_engine::loop::stop() {
    close_listening_at_.reset();
    listening_.clear();
    accepting_ = false;
    stopped_ = true;
    for (auto& each : connections_) {
        if (each.stage != phase::unused) {
            finish(each, relay_end::stopped, true, true);
        }
    }
}

void relay_engine::loop::handle_egress_gone() {
    is_egress_gone_ = true;
    for (auto& each : connections_) {
        const auto* places = each.places ? each.places.get()
                             : each.joining && each.joining->is_chosen
                                 ? each.joining->choice.places.get()
                                 : nullptr;
        const bool is_given = !each.places && (each.stage == phase::joined ||
                                               each.stage == phase::lingering); // by post()
        if (each.stage != phase::unused &&
            (is_given || (places != nullptr && leaves_host(*places)))) {
            finish(each, relay_end::egress_gone, true, true);
        }
    }
}

void relay_engine::loop::adopt(relay_pair pair) {
    calls::peer_name peer;
    auto family = relay_family::local;
    if (const auto* from = std::get_if<ip::endpoint>(&pair.peer)) {
        family = from->address.is_v6() ? relay_family::v6 : relay_family::v4;
        if (const auto raw = os::to_sockaddr(*from)) {
            std::memcpy(static_cast<void*>(&peer), &raw->storage,
                        std::min<std::size_t>(raw->size, sizeof peer));
        }
    }
    auto& c = make_connection(std::move(pair.client), peer, family,
                              static_cast<std::uint32_t>(pair.wish));
    guarded(c, [&] { begin(c, std::move(pair)); });
}

void relay_engine::loop::begin(connection& c, relay_pair pair) {
    c.number = pair.number != 0 ? pair.number : c.number;
    if (stopped_) {
        return finish(c, relay_end::stopped, true, true);
    }
    if (!pair.target) {
        c.joining = std::make_unique<joining_state>();
        c.joining->from_client = std::move(pair.from_client);
        return watch(c, relay::end::client, tag::client)
                   ? begin_joining(c)
                   : finish(c, relay_end::no_memory, true, true);
    }
    c.at(relay::end::target).socket = std::move(pair.target).release();
    c.target_what = static_cast<std::uint8_t>(tag::first_attempt);
    c.stage = phase::joined;
    if (!send_header(c) || !hold_early(c, relay::end::client, pair.from_client) ||
        !hold_early(c, relay::end::target, pair.from_target) ||
        !watch(c, relay::end::client, tag::client) ||
        !watch(c, relay::end::target, c.target_what)) {
        return finish(c, relay_end::no_memory, true, true);
    }
    pump(c);
}

bool relay_engine::loop::watch(connection& c, relay::end which, std::uint64_t what) {
    const int failed =
        calls::watch(epoll_.raw(), c.at(which).socket, EPOLLIN | EPOLLRDHUP | EPOLLET,
                     tag::make(what, c.generation, c.index));
    c.failure = failed != 0 ? -failed : c.failure;
    return failed == 0;
}

// False when there is no buffer for them.
bool relay_engine::loop::hold_early(connection& c, relay::end from,
                                    std::span<const std::byte> early) {
    if (early.empty()) {
        return true;
    }
    if (buffers_.is_empty() || early.size() > buffers_.size()) {
        return false;
    }
    hold(c, from, early);
    c.streams.handle_held(from, static_cast<std::uint32_t>(early.size()));
    return true;
}

// What the target is told first. A new socket has room for it.
bool relay_engine::loop::send_header(connection& c) {
    if (!settings_->headers_out) {
        return true;
    }
    const auto header = header_for(c);
    const auto sent = calls::send(c.at(relay::end::target).socket, header);
    c.failure = sent < 0 ? static_cast<int>(-sent) : c.failure;
    return sent == static_cast<ssize_t>(header.size());
}

// ---- connections ----

connection* relay_engine::loop::find(std::uint64_t which) noexcept {
    const auto index = tag::index(which);
    if (index >= connections_.size()) {
        return nullptr;
    }
    auto& c = connections_[index];
    return c.stage != phase::unused && (c.generation & 0xffffffU) == tag::generation(which)
               ? &c
               : nullptr;
}

connection& relay_engine::loop::make_connection(os::fd client, const calls::peer_name& peer,
                                                relay_family family, std::uint32_t wish) {
    if (unused_.empty()) {
        const auto index = static_cast<std::uint32_t>(connections_.size());
        if (unused_.capacity() <= index) {
            unused_.reserve(2 * std::size_t{index} + 64); // giving a slot back needs no memory
        }
        connections_.emplace_back(settings_->limits, now_).index = index;
        unused_.push_back(index);
    }
    auto& c = connections_[unused_.back()];
    unused_.pop_back();
    c.streams = relay::streams{settings_->limits, now_};
    c.at(relay::end::client).socket = std::move(client).release();
    c.at(relay::end::client).told_no_delay = true; // from its listening socket
    c.peer = peer;
    c.family = family;
    c.wish = wish;
    c.began = now_;
    c.number = ++number_;
    c.stage = phase::joining;
    ++active_;
    count(c).accepted.add();
    count(c).active.add();
    return c;
}

void relay_engine::loop::finish(connection& c, relay_end why, bool reset_client,
                                bool reset_target) {
    if (tell_) {
        try {
            tell_end(c, why);
        } catch (const std::bad_alloc&) {
            counters_->ends_untold.add();
        }
    }
    auto& counts = count(c);
    counts.ended[static_cast<std::size_t>(why)].add();
    counts.active.take();
    close_attempts(c, true);
    give_up_choice(c);
    for (const auto each : {relay::end::client, relay::end::target}) {
        auto& side = c.at(each);
        let_go(c.from(each), c.streams.held(each) == 0);
        if (side.socket >= 0) {
            calls::close(side.socket, each == relay::end::client ? reset_client : reset_target);
        }
        side = {};
        c.from(each) = {};
    }
    if (std::exchange(c.has_target, false)) {
        targets_->handle_closed(c.target);
    }
    leave_door(c);
    wheel_.cancel(c);
    c.joining.reset();
    c.said.reset();
    c.places.reset();
    c.stage = phase::unused;
    c.is_ready = false;
    c.is_starved = false;
    c.client_readable = false;
    c.failure = 0;
    ++c.generation; // what epoll still tells of it is for nobody
    unused_.push_back(c.index);
    --active_;
}

void relay_engine::loop::leave_door(connection& c) {
    if (std::exchange(c.is_admitted, false)) {
        door_->forget(client_of(c));
    }
    if (std::exchange(c.has_place, false)) {
        door_->give_back(number_at_door_);
    }
}

void relay_engine::loop::tell_end(connection& c, relay_end why) {
    connection_end told;
    told.number = c.number;
    told.local = os::getsockname(c.at(relay::end::client).socket).value_or(ip::any_endpoint{});
    told.peer = client_of(c);
    told.received = c.streams.received(relay::end::client);
    told.sent = c.streams.sent(relay::end::client);
    told.lasted = now_ - c.began;
    const auto target = c.places ? (*c.places)[c.place].at : ip::any_endpoint{};
    told.why = as_error(why, c.failure, why == relay_end::target_failed ? target : told.peer);
    if (c.joining && why == relay_end::no_target && c.joining->why.code) {
        told.why = c.joining->why;
    }
    if (c.joining) {
        told.detail = std::move(c.joining->story);
    }
    if (why == relay_end::no_target && told.detail.empty()) {
        told.detail = targets_->trouble();
    }
    if (c.places) {
        told.detail +=
            (told.detail.empty() ? "connected to " : "; connected to ") + ip::to_text(target);
    }
    tell_(std::move(told));
}

// ---- the engine ----

relay_engine::relay_engine(std::shared_ptr<const relay_settings> settings,
                           std::shared_ptr<relay_targets> targets, std::shared_ptr<admission> door,
                           std::shared_ptr<relay_counters> counters, ended tell)
    : loop_{std::make_unique<loop>(std::move(settings), std::move(targets), std::move(door),
                                   std::move(counters), std::move(tell))} {}
relay_engine::~relay_engine() = default;

result<void> relay_engine::ready() const {
    return loop_->ready();
}
result<void> relay_engine::listen(os::fd socket, std::size_t wish, bool shared) {
    return loop_->listen(std::move(socket), wish, shared);
}
void relay_engine::run() {
    const os::sigpipe_held quiet;
    while (loop_->turn(true, quiet)) {
    }
}
int relay_engine::descriptor() const noexcept {
    return loop_->descriptor();
}
bool relay_engine::run_ready() {
    const os::sigpipe_held quiet;
    return loop_->turn(false, quiet);
}
deadline relay_engine::next_deadline() const noexcept {
    return loop_->next_deadline();
}
void relay_engine::post(relay_pair pair) {
    loop_->post(std::move(pair));
}
void relay_engine::post_pause(bool on) {
    loop_->post(on ? loop::order::pause : loop::order::resume);
}
void relay_engine::post_drain() {
    loop_->post(loop::order::drain);
}
void relay_engine::post_stop() {
    loop_->post(loop::order::stop);
}
void relay_engine::post_egress(bool is_there) {
    loop_->post(is_there ? loop::order::egress_back : loop::order::egress_gone);
}

} // namespace portico::run
