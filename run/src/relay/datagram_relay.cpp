// One thread, one buffer: a datagram is read into it and sent on from it before the next one.

#include "portico/run/datagram_relay.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/serve/datagram_guard.hpp"
#include "relay/target_sockets.hpp"
#include "relay/target_walk.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <list>
#include <numeric>
#include <utility>

namespace portico::run {
namespace {

using asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::size_t client_budget = 64;  // datagrams of one socket in one turn
constexpr std::size_t target_budget = 16;  // the same, of a target's
constexpr std::size_t expire_budget = 256; // associations in one turn
constexpr std::size_t queue_budget = 1024; // datagrams of one socket that a drain still takes
constexpr int attempts_budget = 8;         // places that one datagram is tried at
constexpr auto back_off = std::chrono::milliseconds{100}; // after an error that may stay

// A socket of clients. A copy of the listener's descriptor.
struct client_socket {
    client_socket(const asio::any_io_executor& executor, os::fd copy, const ip::endpoint& where)
        : descriptor{std::move(copy)}, watch{executor}, pause{executor}, at{where} {}

    os::fd descriptor;
    stream_descriptor watch; // only waits; what it watches stays ours
    asio::steady_timer pause;
    ip::endpoint at;
};

struct association {
    association(const asio::any_io_executor& executor, std::shared_ptr<relay_targets> targets,
                const ip::endpoint& canonical)
        : client{canonical}, walk{std::move(targets), canonical}, target{executor} {}

    relay::association_id id;
    ip::endpoint client; // canonical
    target_walk walk;
    stream_descriptor target;    // open while it has one
    ip::any_endpoint target_at;  // the last one
    ip::any_endpoint own;        // name of the socket
    std::uint64_t socket = 0;    // counts its sockets
    os::datagram answer_to;      // the last datagram of the client
    client_socket* by = nullptr; // which came by this one
    bool waits = false;          // for an answer to it
    instant began{};
    association_end told{};
};

bool is_shortage(std::error_code why) {
    return why == std::errc::too_many_files_open || why == std::errc::not_enough_memory ||
           why == std::errc::too_many_files_open_in_system || why == std::errc::no_buffer_space ||
           why == std::errc::resource_unavailable_try_again; // no local port is left
}

bool is_busy(std::error_code why) {
    return why == std::errc::resource_unavailable_try_again || why == std::errc::no_buffer_space ||
           why == std::errc::not_enough_memory;
}

side whose(std::error_code why) {
    return why == std::errc::address_not_available ? side::system : side::peer;
}

void count_sent(datagram_flow& flow, std::size_t size) {
    ++flow.sent;
    flow.sent_bytes += size;
}

void count_received(datagram_flow& flow, std::size_t size) {
    ++flow.received;
    flow.received_bytes += size;
}

void count(datagram_flow& flow, datagram_drop why) {
    ++flow.dropped[static_cast<std::size_t>(why)];
}

} // namespace

std::string_view to_text(datagram_drop why) noexcept {
    constexpr std::array<std::string_view, datagram_drops> names{
        "truncated",   "to_group",  "bad_source", "looped", "no_egress", "denied",  "full",
        "prefix_full", "no_socket", "no_target",  "busy",   "too_large", "not_sent"};
    return names[static_cast<std::size_t>(why)];
}

std::uint64_t datagram_flow::all_dropped() const noexcept {
    return std::accumulate(dropped.begin(), dropped.end(), std::uint64_t{0});
}

struct datagram_relay::state : std::enable_shared_from_this<datagram_relay::state> {
    state(asio::any_io_executor ex, std::shared_ptr<relay_targets> to,
          const datagram_relay_settings& settings, association_door who, ended listening)
        : executor{std::move(ex)}, targets{std::move(to)}, how{settings}, door{std::move(who)},
          tell{std::move(listening)}, table{how.table, how.seed},
          known(table.capacity()), own{settings}, expiry{executor}, patience{executor},
          buffer(std::size_t{1} << 16) {}

    // clients
    [[nodiscard]] result<void> open(std::span<const bound_socket> given);
    void wait(client_socket& from);
    void rest(client_socket& from);
    void turn(client_socket& from);
    enum class took : std::uint8_t { one, none, failed };
    took take_one(client_socket& from);
    void handle_datagram(client_socket& from, const os::datagram& got);
    [[nodiscard]] tl::expected<association*, datagram_drop>
    find(client_socket& from, const os::datagram& got, instant now);
    [[nodiscard]] tl::expected<association*, datagram_drop> begin(const relay::association_key& key,
                                                                  instant now);
    [[nodiscard]] std::optional<datagram_drop> refuse(const os::datagram& got,
                                                      const ip::endpoint& client) const;

    // targets
    [[nodiscard]] std::optional<datagram_drop> forward(association& of, std::size_t size,
                                                       instant now);
    [[nodiscard]] os::sys_status open_socket(association& of, const target_place& to);
    void close_socket(association& of);
    void handle_failure(association& of, std::error_code why, operation during);
    void wait(association& of);
    void handle_readable(association& of);
    void handle_answer(association& of, std::size_t size);
    void set_waits(association& of, bool waits);

    // ends
    void end(std::uint32_t index, relay::association_drop why);
    void arm();
    void expire();
    void drain(std::function<void()> over);
    void check_drained();
    void finish();
    void stop();
    void end_all();

    asio::any_io_executor executor;
    std::shared_ptr<relay_targets> targets;
    datagram_relay_settings how;
    association_door door;
    ended tell;
    relay::associations table;
    std::vector<std::unique_ptr<association>> known; // by index in the table
    target_sockets own;
    std::list<client_socket> sockets; // a list: handlers keep references
    asio::steady_timer expiry;
    deadline expiry_at = deadline::never();
    asio::steady_timer patience;
    std::function<void()> drained;
    datagram_relay_counters counts;
    std::uint64_t number = 0;
    std::size_t waiting = 0; // associations that wait for an answer
    bool has_egress = true;
    bool draining = false;
    bool stopped = false;
    std::vector<std::byte> buffer;
};

// ---- the clients ----

result<void> datagram_relay::state::open(std::span<const bound_socket> given) {
    for (const auto& each : given) {
        const auto* at = std::get_if<ip::endpoint>(&each.at);
        if (each.over != ip::transport::udp || at == nullptr) {
            continue;
        }
        os::fd copy{::fcntl(each.descriptor.raw(), F_DUPFD_CLOEXEC, 0)};
        if (!copy) {
            return tl::unexpected{
                error{{errno, std::system_category()}, operation::open, side::system, each.at}};
        }
        auto& made = sockets.emplace_back(executor, std::move(copy), *at);
        error_code wrong;
        made.watch.assign(made.descriptor.raw(), wrong);
        if (wrong) {
            return tl::unexpected{error{wrong, operation::open, side::system, each.at}};
        }
        wait(made);
    }
    return {};
}

void datagram_relay::state::wait(client_socket& from) {
    from.watch.async_wait(stream_descriptor::wait_read,
                          [self = shared_from_this(), &from](error_code wrong) {
                              if (self->draining || self->stopped) {
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
void datagram_relay::state::rest(client_socket& from) {
    from.pause.expires_after(back_off);
    from.pause.async_wait([self = shared_from_this(), &from](error_code) {
        if (!self->draining && !self->stopped) {
            self->turn(from);
        }
    });
}

void datagram_relay::state::turn(client_socket& from) {
    for (std::size_t i = 0; i < client_budget; ++i) {
        const auto how_it_went = take_one(from);
        if (how_it_went == took::none) {
            return wait(from);
        }
        if (how_it_went == took::failed) {
            return rest(from);
        }
    }
    asio::post(executor, [self = shared_from_this(), &from] {
        if (!self->draining && !self->stopped) {
            self->turn(from);
        }
    });
}

datagram_relay::state::took datagram_relay::state::take_one(client_socket& from) {
    const auto got = os::recv_datagram(from.descriptor.raw(), buffer);
    if (got) {
        handle_datagram(from, *got);
        return took::one;
    }
    if (got.error() == std::errc::resource_unavailable_try_again) {
        return took::none;
    }
    ++counts.failed_reads;
    return took::failed;
}

void datagram_relay::state::handle_datagram(client_socket& from, const os::datagram& got) {
    count_received(counts.from_clients, got.size);
    const auto now = os::now();
    const auto found = find(from, got, now);
    if (!found) {
        return count(counts.from_clients, found.error());
    }
    arm();
    auto& of = **found;
    of.answer_to = got;
    of.by = &from;
    const auto why = forward(of, got.size, now);
    if (!why) {
        of.told.received += 1;
        of.told.received_bytes += got.size;
        return;
    }
    count(counts.from_clients, *why);
    if (!of.target.is_open()) { // nothing can come of it, and others may need its place
        const auto index = of.id.index;
        table.handle_closed(of.id);
        end(index, relay::association_drop::closed);
    }
}

tl::expected<association*, datagram_drop>
datagram_relay::state::find(client_socket& from, const os::datagram& got, instant now) {
    if (got.truncated) {
        return tl::unexpected{datagram_drop::truncated};
    }
    const auto* client = std::get_if<ip::endpoint>(&got.from);
    if (client == nullptr) {
        return tl::unexpected{datagram_drop::bad_source};
    }
    const relay::association_key key{*client, {got.to.value_or(from.at.address), from.at.port}};
    if (!table.find(key)) {
        if (const auto no = refuse(got, ip::canonical(*client))) {
            return tl::unexpected{*no};
        }
        return begin(key, now);
    }
    return known[table.handle_datagram(now, key)->id.index].get();
}

// Why this client begins no association.
std::optional<datagram_drop> datagram_relay::state::refuse(const os::datagram& got,
                                                           const ip::endpoint& client) const {
    // Port 0 as our own: it is no matter when the client has the same one, as with NTP.
    if (const auto no = serve::refuse(got.from, got.to_group, 0)) {
        return *no == serve::drop::to_group ? datagram_drop::to_group : datagram_drop::bad_source;
    }
    return own.is_ours(client) ? std::optional{datagram_drop::looped} : std::nullopt;
}

tl::expected<association*, datagram_drop>
datagram_relay::state::begin(const relay::association_key& key, instant now) {
    const auto client = ip::canonical(key.client);
    if (!has_egress) {
        return tl::unexpected{datagram_drop::no_egress};
    }
    if (door.let_in) {
        if (const auto no = door.let_in(now, client)) {
            return tl::unexpected{*no};
        }
    }
    const auto found = table.handle_datagram(now, key);
    if (!found) {
        if (door.left) {
            door.left(client);
        }
        return tl::unexpected{found.error() == relay::association_drop::full
                                  ? datagram_drop::full
                                  : datagram_drop::prefix_full};
    }
    auto made = std::make_unique<association>(executor, targets, client);
    made->id = found->id;
    made->began = now;
    made->told.number = ++number;
    made->told.client = key.client;
    made->told.local = key.local;
    // The evicted one may have had this very place.
    if (found->evicted) {
        end(found->evicted->index, relay::association_drop::evicted);
    }
    known[found->id.index] = std::move(made);
    return known[found->id.index].get();
}

// ---- the targets ----

// The first `size` bytes of the buffer. nullopt: they are sent.
std::optional<datagram_drop> datagram_relay::state::forward(association& of, std::size_t size,
                                                            instant now) {
    bool may_begin_anew = of.walk.has_tried();
    for (int attempts = 0; attempts < attempts_budget;) {
        if (!of.target.is_open()) {
            const auto* place = of.walk.next(now);
            if (place == nullptr) {
                if (!std::exchange(may_begin_anew, false)) {
                    return datagram_drop::no_target;
                }
                continue;
            }
            ++attempts;
            of.target_at = place->at;
            if (const auto opened = open_socket(of, *place); !opened) {
                if (is_shortage(opened.error())) {
                    return datagram_drop::no_socket;
                }
                handle_failure(of, opened.error(), operation::connect);
                continue;
            }
        }
        const auto sent = os::send(of.target.native_handle(), std::span{buffer}.first(size));
        if (sent) {
            of.walk.handle_sent(now);
            set_waits(of, true);
            count_sent(counts.from_clients, size);
            return std::nullopt;
        }
        if (is_busy(sent.error())) {
            return datagram_drop::busy;
        }
        if (sent.error() == std::errc::message_size) {
            return datagram_drop::too_large;
        }
        handle_failure(of, sent.error(), operation::send);
    }
    return datagram_drop::no_target;
}

os::sys_status datagram_relay::state::open_socket(association& of, const target_place& to) {
    auto made = own.open(to.at);
    if (!made) {
        return tl::unexpected{made.error()};
    }
    error_code wrong;
    of.target.assign(made->socket.raw(), wrong);
    if (wrong) {
        own.handle_closed(made->name);
        return tl::unexpected{std::error_code{wrong}};
    }
    static_cast<void>(std::move(made->socket).release()); // it is `of.target` that closes it
    ++of.socket;
    of.own = made->name;
    wait(of);
    return {};
}

void datagram_relay::state::close_socket(association& of) {
    if (!of.target.is_open()) {
        return;
    }
    own.handle_closed(of.own);
    error_code ignored;
    of.target.close(ignored);
}

// What the client sends next goes elsewhere.
void datagram_relay::state::handle_failure(association& of, std::error_code why, operation during) {
    const error failed{why, during, whose(why), of.target_at};
    ++counts.target_failures;
    counts.last_failure = failed;
    of.walk.handle_failed(os::now(), failed);
    close_socket(of);
    set_waits(of, false);
}

void datagram_relay::state::wait(association& of) {
    of.target.async_wait(stream_descriptor::wait_read, [self = shared_from_this(), id = of.id,
                                                        socket = of.socket](error_code wrong) {
        auto* which = self->known[id.index].get();
        if (self->stopped || which == nullptr || which->id != id || which->socket != socket ||
            !which->target.is_open()) {
            return;
        }
        if (wrong) {
            self->handle_failure(*which, wrong, operation::receive);
        } else {
            self->handle_readable(*which);
        }
    });
}

void datagram_relay::state::handle_readable(association& of) {
    std::error_code failed;
    for (std::size_t i = 0; i < target_budget; ++i) {
        const auto size = os::recv(of.target.native_handle(), buffer);
        if (size) {
            handle_answer(of, *size);
        } else if (size.error() == std::errc::resource_unavailable_try_again || failed) {
            break;
        } else {
            failed = size.error(); // there may be answers behind it that came before it
        }
    }
    if (failed) {
        return handle_failure(of, failed, operation::receive);
    }
    wait(of);
}

void datagram_relay::state::handle_answer(association& of, std::size_t size) {
    auto& flow = counts.from_targets;
    count_received(flow, size);
    table.handle_answer(os::now(), of.id);
    of.walk.handle_answer();
    set_waits(of, false);
    if (size == buffer.size()) {
        return count(flow, datagram_drop::truncated);
    }
    const auto sent =
        os::send_reply(of.by->descriptor.raw(), of.answer_to, std::span{buffer}.first(size));
    if (sent) {
        ++of.told.sent;
        of.told.sent_bytes += size;
        return count_sent(flow, size);
    }
    count(flow, is_busy(sent.error())                     ? datagram_drop::busy
                : sent.error() == std::errc::message_size ? datagram_drop::too_large
                                                          : datagram_drop::not_sent);
}

void datagram_relay::state::set_waits(association& of, bool waits) {
    if (std::exchange(of.waits, waits) != waits) {
        waiting += waits ? 1 : std::size_t{0} - 1;
        check_drained();
    }
}

// ---- the ends ----

// It is not in the table any more.
void datagram_relay::state::end(std::uint32_t index, relay::association_drop why) {
    const auto gone = std::move(known[index]);
    close_socket(*gone);
    set_waits(*gone, false);
    gone->walk.leave();
    if (door.left) {
        door.left(gone->client);
    }
    if (tell) {
        gone->told.target = gone->target_at;
        gone->told.lasted = os::now() - gone->began;
        gone->told.why = why;
        tell(gone->told);
    }
}

// Most datagrams only put the next end off: the timer then finds nothing to do, and is set anew.
void datagram_relay::state::arm() {
    const auto next = table.poll_deadline();
    if (next >= expiry_at) {
        return;
    }
    expiry_at = next;
    expiry.expires_after(next.remaining(os::now()));
    expiry.async_wait([self = shared_from_this()](error_code wrong) {
        if (!wrong && !self->stopped) {
            self->expiry_at = deadline::never();
            self->expire();
        }
    });
}

void datagram_relay::state::expire() {
    const auto now = os::now();
    for (std::size_t i = 0; i < expire_budget; ++i) {
        const auto over = table.poll_expired(now);
        if (!over) {
            break;
        }
        end(over->index, relay::association_drop::expired);
    }
    arm();
}

void datagram_relay::state::drain(std::function<void()> over) {
    if (draining || stopped) {
        return;
    }
    draining = true;
    drained = std::move(over);
    for (auto& each : sockets) {
        each.pause.cancel();
        for (std::size_t i = 0; i < queue_budget && take_one(each) == took::one; ++i) {
        }
        if (each.watch.is_open()) {
            each.watch.release();
        }
    }
    patience.expires_after(how.drain);
    patience.async_wait([self = shared_from_this()](error_code wrong) {
        if (!wrong) {
            self->finish();
        }
    });
    check_drained();
}

void datagram_relay::state::check_drained() {
    if (draining && !stopped && waiting == 0) {
        asio::post(executor, [self = shared_from_this()] {
            if (self->waiting == 0) { // the queues may have had more since
                self->finish();
            }
        });
    }
}

void datagram_relay::state::finish() {
    if (!stopped) {
        const auto over = std::exchange(drained, nullptr);
        stop();
        if (over) {
            over(); // may destroy us
        }
    }
}

void datagram_relay::state::stop() {
    if (std::exchange(stopped, true)) {
        return;
    }
    drained = nullptr;
    expiry.cancel();
    patience.cancel();
    for (auto& each : sockets) {
        each.pause.cancel();
        if (each.watch.is_open()) {
            each.watch.release(); // it must not close what it does not own
        }
        each.descriptor.reset();
    }
    end_all();
}

void datagram_relay::state::end_all() {
    for (std::uint32_t i = 0; i < known.size(); ++i) {
        if (known[i]) {
            table.handle_closed(known[i]->id);
            end(i, relay::association_drop::closed);
        }
    }
}

// ---- the outside ----

result<std::unique_ptr<datagram_relay>> datagram_relay::make(const asio::any_io_executor& executor,
                                                             std::span<const bound_socket> sockets,
                                                             std::shared_ptr<relay_targets> targets,
                                                             const datagram_relay_settings& how,
                                                             association_door door, ended tell) {
    auto made = std::make_shared<state>(executor, std::move(targets), how, std::move(door),
                                        std::move(tell));
    std::unique_ptr<datagram_relay> whole{new datagram_relay{made}};
    if (const auto done = made->open(sockets); !done) {
        return tl::unexpected{done.error()};
    }
    return whole;
}

datagram_relay::~datagram_relay() {
    state_->tell = nullptr;
    state_->stop();
}

std::size_t datagram_relay::active() const noexcept {
    return state_->table.size();
}

datagram_relay_counters datagram_relay::counters() const noexcept {
    auto all = state_->counts;
    all.associations = state_->table.counts();
    return all;
}

void datagram_relay::set_egress(bool is_there) {
    state_->has_egress = is_there;
    if (!is_there) {
        state_->end_all();
    }
}

void datagram_relay::drain(std::function<void()> over) {
    state_->drain(std::move(over));
}

void datagram_relay::stop() {
    state_->stop();
}

} // namespace portico::run
