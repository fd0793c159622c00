// Accepting from many sockets: core/admit decides whose turn it is and what an error means.

#include "listen/clone.hpp"
#include "listen/socket_file.hpp"
#include "portico/admit/accept_order.hpp"
#include "portico/admit/accept_policy.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/queue.hpp"
#include "portico/os/spawn.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using admit::accept_step;

// One stream socket that is accepted from. The descriptor belongs to the bound_socket; `watch` only
// waits for it.
struct entry {
    entry(const asio::any_io_executor& executor, std::size_t which, int raw)
        : watch{executor}, socket{which}, descriptor{raw} {}

    asio::posix::stream_descriptor watch;
    std::size_t socket; // index of the bound_socket
    int descriptor;     // its, or a clone's
    admit::accept_policy policy;
    bool waiting = false;
    bool is_left = false; // to somebody else
};

tl::unexpected<error> aborted() {
    return tl::unexpected{
        error{{ECANCELED, std::system_category()}, operation::accept, side::caller, {}}};
}

std::size_t count_streams(const std::vector<bound_socket>& sockets) {
    std::size_t streams = 0;
    for (const auto& each : sockets) {
        streams += each.over == ip::transport::tcp ? 1 + each.clones.size() : 0;
    }
    return streams;
}

void settle(const bound_socket& which, const bound_socket::terms& owed) {
    if (const auto* name = std::get_if<ip::unix_name>(&which.at);
        name != nullptr && which.file && owed.unix_mode) {
        static_cast<void>(os::chmod(std::string{name->text()}, *owed.unix_mode));
    }
    if (owed.reuse_port) {
        static_cast<void>(os::set_reuse_port(which.descriptor, true));
    }
    if (const auto* at = std::get_if<ip::endpoint>(&which.at);
        at != nullptr && which.over == ip::transport::udp) {
        static_cast<void>(os::set_multicast_all(which.descriptor.raw(), at->address.family(),
                                                which.groups.empty()));
    }
    if (owed.backlog > 0) {
        static_cast<void>(os::listen(which.descriptor, owed.backlog));
        for (const auto& clone : which.clones) {
            static_cast<void>(os::listen(clone, owed.backlog));
        }
    }
}

} // namespace

struct listener::state : std::enable_shared_from_this<listener::state> {
    // Attempts in one turn before others on the executor have theirs.
    static constexpr int budget = 64;

    state(asio::any_io_executor ex, std::vector<bound_socket> open)
        : executor{std::move(ex)}, sockets{std::move(open)}, order{count_streams(sockets)},
          pause{executor}, spare{os::spare_descriptor().value_or(os::fd{})} {}

    void start();
    void start_accept(completion<result<accepted>> done);
    void cancel(std::uint64_t which);
    void close(std::span<const os::file_identity> but_not_those);

    void watch();
    void schedule();
    void turn();
    os::sys_result<os::accepted_socket> accept_from(std::size_t which);
    void attempt(std::size_t which);
    void handle_connection(std::size_t which, os::accepted_socket made);
    void obey(std::size_t which, admit::accept_decision what);
    void shed(std::size_t which);
    void await(std::size_t which);
    void handle_wait(std::size_t which, boost::system::error_code wrong);
    void sleep();
    void complete(result<accepted> with);

    asio::any_io_executor executor;
    std::vector<bound_socket> sockets;
    bind_call bind; // of clones
    std::vector<entry> streams;
    admit::accept_order order;
    asio::steady_timer pause;
    instant pause_until = instant::max(); // max: the timer is not set
    os::fd spare;
    std::optional<completion<result<accepted>>> pending;
    std::uint64_t accepts = 0; // numbers the pending one, so that an old cancellation is harmless
    accept_counters counts;
    bool watching = false;
    bool scheduled = false;
    bool closed = false;
    bool paused = false;
};

void listener::state::start() {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        if (sockets[i].over == ip::transport::tcp) {
            streams.emplace_back(executor, i, sockets[i].descriptor.raw());
            for (const auto& clone : sockets[i].clones) {
                streams.emplace_back(executor, i, clone.raw());
            }
        }
    }
}

// With the first accept, and not before: the sockets may be somebody else's to accept from.
void listener::state::watch() {
    watching = true;
    for (auto& each : streams) {
        boost::system::error_code wrong; // shows again, and is dealt with, when it is waited for
        each.watch.assign(each.descriptor, wrong);
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
        await(i);
    }
}

void listener::state::start_accept(completion<result<accepted>> done) {
    if (!watching && !closed) {
        watch();
    }
    const auto number = ++accepts;
    if (auto slot = done.slot(); slot.is_connected()) {
        slot.assign([me = weak_from_this(), number](asio::cancellation_type) {
            if (const auto self = me.lock()) {
                // Not at once: completing takes this very handler away.
                asio::post(self->executor, [self, number] { self->cancel(number); });
            }
        });
    }
    pending.emplace(std::move(done));
    schedule();
}

void listener::state::cancel(std::uint64_t which) {
    if (pending && which == accepts) {
        complete(aborted());
    }
}

// All completions come from here, posted, and so never within async_accept().
void listener::state::schedule() {
    if (scheduled) {
        return;
    }
    scheduled = true;
    asio::post(executor, [self = shared_from_this()] {
        self->scheduled = false;
        self->turn();
    });
}

void listener::state::turn() {
    if (closed) {
        if (pending) {
            complete(aborted());
        }
        return;
    }
    for (int i = 0; i < budget; ++i) {
        if (!pending || closed || paused) {
            break;
        }
        const auto next = order.poll_next(os::now());
        if (!next) {
            sleep();
            return;
        }
        attempt(*next);
    }
    if (pending && !paused) {
        schedule();
    }
}

// Whether the socket blocks belongs to all who have it, and one of them may be a program that takes
// its clients itself: without a look we would wait in accept4(2) for somebody who is not there.
os::sys_result<os::accepted_socket> listener::state::accept_from(std::size_t which) {
    const int from = streams[which].descriptor;
    if (!os::is_readable(from)) {
        return tl::unexpected{std::error_code{EAGAIN, std::system_category()}};
    }
    static_cast<void>(os::set_blocking(from, false)); // a socket has no reason to fail
    ++counts.calls;
    return os::accept4(from);
}

void listener::state::attempt(std::size_t which) {
    if (streams[which].is_left) {
        return order.handle_idle(which);
    }
    if (!spare) {
        spare = os::spare_descriptor().value_or(os::fd{});
    }
    auto made = accept_from(which);
    if (made) {
        streams[which].policy.handle_accepted();
        order.handle_more(which);
        handle_connection(which, *std::move(made));
        return;
    }
    const auto decided = streams[which].policy.handle_failure(made.error(), bool{spare}, os::now());
    counts.aborted += decided.passed_over ? 1U : 0U;
    obey(which, decided);
}

void listener::state::handle_connection(std::size_t which, os::accepted_socket made) {
    ++counts.accepted;
    const auto& from = sockets[streams[which].socket];
    accepted connection{std::move(made.socket), from.at, made.peer, from.wish};
    if (auto local = os::getsockname(connection.socket.raw())) {
        connection.local = *local;
    }
    complete(std::move(connection));
}

void listener::state::obey(std::size_t which, admit::accept_decision what) {
    switch (what.step) {
    case accept_step::again:
        order.handle_more(which);
        break;
    case accept_step::wait:
        order.handle_idle(which);
        await(which);
        break;
    case accept_step::shed:
        shed(which);
        break;
    case accept_step::pause:
        ++counts.backed_off;
        order.handle_pause(which, what.until);
        break;
    }
}

// Out of descriptors. A connection left in the queue would keep the socket readable and its client
// waiting; with the spare one it can be taken and refused with a reset, which tells the client.
void listener::state::shed(std::size_t which) {
    spare.reset();
    auto made = accept_from(which);
    std::error_code why;
    if (made) {
        ++counts.shed;
        static_cast<void>(os::set_linger_reset(made->socket.raw())); // else it is a plain close
        made->socket.reset();
    } else {
        why = made.error();
    }
    spare = os::spare_descriptor().value_or(os::fd{});
    obey(which, streams[which].policy.handle_shed(why, os::now()));
}

void listener::state::await(std::size_t which) {
    auto& each = streams[which];
    if (each.waiting) {
        return;
    }
    each.waiting = true;
    each.watch.async_wait(each.watch.wait_read,
                          [me = weak_from_this(), which](boost::system::error_code wrong) {
                              if (const auto self = me.lock()) {
                                  self->handle_wait(which, wrong);
                              }
                          });
}

void listener::state::handle_wait(std::size_t which, boost::system::error_code wrong) {
    streams[which].waiting = false;
    if (closed) {
        return;
    }
    if (wrong) {
        // The socket cannot be watched: it is asked again and again, after pauses.
        ++counts.backed_off;
        const auto decided = streams[which].policy.handle_failure({EINVAL, std::system_category()},
                                                                  false, os::now());
        order.handle_pause(which, decided.until);
    } else {
        order.handle_readable(which);
    }
    if (pending) {
        schedule();
    }
}

// Nothing is ready. Idle sockets are being waited for; paused ones need the timer.
void listener::state::sleep() {
    const auto wake = order.poll_wake();
    if (!wake || *wake == pause_until) {
        return;
    }
    pause_until = *wake;
    pause.expires_after(deadline::at(*wake).remaining(os::now()));
    pause.async_wait([me = weak_from_this()](boost::system::error_code wrong) {
        const auto self = me.lock();
        if (!self || wrong) {
            return;
        }
        self->pause_until = instant::max();
        self->turn();
    });
}

void listener::state::complete(result<accepted> with) {
    auto done = std::exchange(pending, std::nullopt);
    (*done)(std::move(with));
}

void listener::state::close(std::span<const os::file_identity> but_not_those) {
    if (std::exchange(closed, true)) {
        return;
    }
    pause.cancel();
    for (auto& each : streams) {
        if (each.watch.is_open()) {
            each.watch.release(); // the bound_socket closes it
        }
    }
    for (const auto& each : sockets) {
        const auto* name = std::get_if<ip::unix_name>(&each.at);
        if (each.file && name != nullptr &&
            std::find(but_not_those.begin(), but_not_those.end(), *each.file) ==
                but_not_those.end()) {
            remove_file(*name, *each.file);
        }
    }
    sockets.clear();
    spare.reset();
    if (pending) {
        schedule();
    }
}

listener::listener(asio::any_io_executor executor, std::vector<bound_socket> sockets,
                   bind_call bind)
    : state_{std::make_shared<state>(std::move(executor), std::move(sockets))} {
    state_->bind = std::move(bind);
    state_->start();
}

listener::~listener() {
    close();
}

std::span<const bound_socket> listener::sockets() const noexcept {
    return state_->sockets;
}

accept_counters listener::counters() const noexcept {
    return state_->counts;
}

void listener::close(std::span<const os::file_identity> but_not_those) {
    state_->close(but_not_those);
}

void listener::settle() {
    for (auto& each : state_->sockets) {
        if (const auto owed = std::exchange(each.owed, {})) {
            run::settle(each, *owed);
        }
    }
}

void listener::leave(const std::function<bool(const bound_socket&)>& which) {
    for (auto& each : state_->streams) {
        each.is_left = each.is_left || which(state_->sockets[each.socket]);
    }
}

void listener::pause(bool on) {
    state_->paused = on;
    if (!on && state_->pending) {
        state_->schedule();
    }
}

std::vector<std::string> listener::clone(std::size_t count) {
    std::vector<std::string> remarks;
    for (auto& each : state_->sockets) {
        if (each.over != ip::transport::tcp || each.clones.size() + 1 >= count) {
            continue;
        }
        if (auto why = open_clones(each, count, state_->bind); !why.empty()) {
            remarks.push_back(std::move(why));
        }
    }
    return remarks;
}

namespace {

os::sys_result<held_socket> share_one(const bound_socket& from, const ip::listen_address& wish) {
    held_socket made;
    made.wish = wish;
    auto& to = made.socket;
    auto copy = os::dup(from.descriptor);
    if (!copy) {
        return tl::unexpected{copy.error()};
    }
    to.descriptor = *std::move(copy);
    to.at = from.at;
    to.over = from.over;
    to.file = from.file;
    to.v6only = from.v6only;
    to.inherited = from.inherited;
    to.foreign = from.foreign;
    to.interface = from.interface;
    to.groups = from.groups;
    to.joined = from.joined;
    for (const auto& clone : from.clones) {
        auto second = os::dup(clone);
        if (!second) {
            return tl::unexpected{second.error()};
        }
        to.clones.push_back(*std::move(second));
    }
    return made;
}

} // namespace

os::sys_result<std::vector<held_socket>>
listener::share(const std::vector<plan::wish>& wishes) const {
    std::vector<held_socket> all;
    for (const auto& each : state_->sockets) {
        auto made = share_one(each, wishes.at(each.wish).where);
        if (!made) {
            return tl::unexpected{made.error()};
        }
        all.push_back(*std::move(made));
    }
    return all;
}

os::sys_result<std::vector<held_socket>> share(const std::vector<held_socket>& sockets) {
    std::vector<held_socket> all;
    for (const auto& each : sockets) {
        auto made = share_one(each.socket, each.wish);
        if (!made) {
            return tl::unexpected{made.error()};
        }
        all.push_back(*std::move(made));
    }
    return all;
}

void listener::ignore_new(const std::function<bool(const bound_socket&)>& goes_on) {
    for (const auto& each : state_->sockets) {
        if (each.over != ip::transport::tcp || each.inherited || each.foreign ||
            !std::holds_alternative<ip::endpoint>(each.at) || (goes_on && goes_on(each))) {
            continue;
        }
        static_cast<void>(os::ignore_new_connections(each.descriptor));
        for (const auto& clone : each.clones) {
            static_cast<void>(os::ignore_new_connections(clone));
        }
    }
}

bool listener::has_waiting() const {
    return std::any_of(state_->streams.begin(), state_->streams.end(), [](const entry& each) {
        return !each.is_left && os::is_readable(each.descriptor);
    });
}

std::vector<bound_socket> listener::release() && {
    return std::exchange(state_->sockets, {});
}

asio::any_io_executor listener::executor() const {
    return state_->executor;
}

void listener::start_accept(completion<result<accepted>> done) {
    state_->start_accept(std::move(done));
}

} // namespace portico::run
