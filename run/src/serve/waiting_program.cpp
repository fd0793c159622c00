// A program that takes its clients itself.

#include "portico/run/waiting_program.hpp"
#include "portico/os/diag.hpp"
#include "portico/os/queue.hpp"
#include "portico/serve/environment.hpp"
#include "portico/serve/restarts.hpp"
#include "serve/program_process.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <sys/epoll.h>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

// When the socket cannot be watched, it is looked at.
constexpr auto look_again = std::chrono::milliseconds{100};
// Between two looks whether a program that has to end is idle.
constexpr auto look_for_idle = std::chrono::seconds{1};

// What a program would take.
struct socket_queue {
    std::optional<serve::waiting_clients> clients{}; // of a listening socket
    std::optional<os::peeked_datagram> datagram{};   // else the first one
    std::array<std::byte, 256> bytes{};              // its beginning
};

socket_queue queue_of(int socket) {
    socket_queue seen;
    if (const auto queue = os::accept_queue_of(socket)) {
        auto& clients = seen.clients.emplace();
        clients.at_least = clients.at_most = queue->waiting;
        if (auto who = os::waiting_connections(socket)) {
            clients.who = *std::move(who);
        }
        if (const auto later = os::accept_queue_of(socket)) {
            clients.at_most = later->waiting;
        }
    } else if (const auto first = os::peek_datagram(socket, seen.bytes)) {
        seen.datagram = *first;
    }
    return seen;
}

// Whether somebody has taken something between the two. Where the kernel does not say when a
// datagram came, one that takes the place of its like is mistaken for it.
std::optional<bool> has_taken(const socket_queue& before, const socket_queue& after) {
    if (before.clients && after.clients) {
        return serve::has_taken(*before.clients, *after.clients);
    }
    if (!before.datagram || !after.datagram) {
        return std::nullopt;
    }
    const auto &was = *before.datagram, &is = *after.datagram;
    return was.size != is.size || was.from != is.from || was.came != is.came ||
           before.bytes != after.bytes;
}

program_options prepared(program_options options) {
    options.settings.group_of_processes = os::apart_from_terminal();
    options.settings.pid_variable = "LISTEN_PID";
    options.environment = serve::inheritable(options.environment);
    return options;
}

// Whether nobody is connected there. Nobody ever is where there are datagrams; false as well when
// that cannot be told, as of UNIX sockets.
bool is_idle(const ip::any_endpoint& at, ip::transport over) {
    const auto* where = std::get_if<ip::endpoint>(&at);
    if (over == ip::transport::udp || where == nullptr) {
        return over == ip::transport::udp;
    }
    os::socket_query which;
    which.family = where->address.family();
    which.states = {diagnose::socket_state::established, diagnose::socket_state::closing};
    which.local_port = where->port;
    const auto diag = os::open_sock_diag();
    const auto all = diag ? os::inet_sockets(*diag, which) : tl::unexpected{diag.error()};
    // Those that wait in the queue, and those of closed ones, have no inode.
    return all && std::none_of(all->begin(), all->end(), [&](const diagnose::socket& each) {
               const auto* local = std::get_if<ip::endpoint>(&each.local);
               return each.inode != 0 && local != nullptr &&
                      (where->address.is_unspecified() ||
                       local->address.with_zone({}) == where->address.with_zone({}));
           });
}

// One socket.
//
//   idle --readable--> running --ended--> idle
//                         |                 ^
//                         +--in vain--> paused
struct watched_socket {
    watched_socket(const asio::any_io_executor& executor, const bound_socket& which,
                   const os::fd& descriptor)
        : at{which.at}, over{which.over}, raw{descriptor.raw()}, watch{executor}, timer{executor} {
        epoll_event ready{};
        ready.events = EPOLLIN;
        if (::epoll_ctl(looking.raw(), EPOLL_CTL_ADD, raw, &ready) == 0) {
            error_code wrong; // then it is looked at from time to time
            watch.assign(looking.raw(), wrong);
        }
        if (over == ip::transport::udp) {
            static_cast<void>(os::peek_datagram(raw, {})); // its kernel notes when they come
        }
    }

    ip::any_endpoint at;
    ip::transport over;
    int raw; // the listener's
    // Asio makes what it waits for non-blocking. For the socket that would hold in programs that
    // have it as well, so it waits for an epoll descriptor.
    os::fd looking{::epoll_create1(EPOLL_CLOEXEC)};
    asio::posix::stream_descriptor watch;
    asio::steady_timer timer; // of a pause
    serve::restart_pause pause{};
    std::shared_ptr<program_process> program{}; // while it runs
    std::uint64_t number = 0;                   // of this run
    bool is_told = false;                       // to end
    socket_queue queue{};                       // before it
};

} // namespace

struct waiting_program::state : std::enable_shared_from_this<waiting_program::state> {
    state(asio::any_io_executor executor, program_options options, ended listening)
        : host{std::move(executor), prepared(std::move(options))}, tell{std::move(listening)} {}

    void add(const bound_socket& which);
    void wait(watched_socket& on);
    void wait_until_later(watched_socket& on, duration pause);
    void handle_readable(watched_socket& on);
    void handle_end(watched_socket& on, program_end how);
    // Tells its program to end, once; with somebody else at the socket not before it is idle.
    void ask_to_end(watched_socket& on, bool goes_on);
    // No further start; what runs goes on.
    void let_go();
    void abandon();

    program_host host;
    ended tell;
    waiting_counters counts;           // `programs` is the host's, and copied when it is asked for
    std::list<watched_socket> sockets; // a list: handlers keep references
    std::uint64_t runs = 0;
    std::uint64_t in_vain = 0;
    bool stopped = false;
};

void waiting_program::state::add(const bound_socket& which) {
    wait(sockets.emplace_back(host.executor, which, which.descriptor));
    for (const auto& clone : which.clones) { // of a relay before us; each has a queue of its own
        wait(sockets.emplace_back(host.executor, which, clone));
    }
}

void waiting_program::state::wait(watched_socket& on) {
    if (stopped) {
        return;
    }
    if (!on.watch.is_open()) {
        return wait_until_later(on, look_again);
    }
    on.watch.async_wait(asio::posix::stream_descriptor::wait_read,
                        [weak = weak_from_this(), &on](error_code wrong) {
                            const auto self = weak.lock();
                            if (!self || self->stopped) {
                                return;
                            }
                            if (wrong) {
                                self->wait_until_later(on, look_again);
                            } else {
                                self->handle_readable(on);
                            }
                        });
}

void waiting_program::state::wait_until_later(watched_socket& on, duration pause) {
    on.timer.expires_after(pause);
    on.timer.async_wait([weak = weak_from_this(), &on](error_code) {
        const auto self = weak.lock();
        if (self && !self->stopped) {
            self->handle_readable(on);
        }
    });
}

void waiting_program::state::handle_readable(watched_socket& on) {
    // Somebody may have been faster, who has inherited the socket as well; or the client has gone.
    if (!os::is_readable(on.raw)) {
        return wait(on);
    }
    on.queue = queue_of(on.raw);
    on.number = ++runs;
    on.program = std::make_shared<program_process>(host, on.number,
                                                   [weak = weak_from_this(), &on](program_end how) {
                                                       if (const auto self = weak.lock()) {
                                                           self->handle_end(on, std::move(how));
                                                       }
                                                   });
    auto variables = serve::variables_of_socket(on.at, on.over);
    variables.push_back({"LISTEN_FDS", "1"});
    on.program->start_waiting(on.raw, variables);
}

void waiting_program::state::handle_end(watched_socket& on, program_end how) {
    on.program.reset();
    program_run_end end;
    end.number = on.number;
    end.local = on.at;
    end.over = on.over;
    end.lasted = how.lasted;
    end.exit_status = how.exit_status;
    end.why = how.why;
    end.detail = std::move(how.detail);
    if (!stopped) {
        serve::program_run run;
        run.started = how.started;
        run.lasted = how.lasted;
        run.is_waited = os::is_readable(on.raw);
        run.took = has_taken(on.queue, queue_of(on.raw));
        end.pause = on.pause.handle_end(run);
        end.in_vain = on.pause.in_vain();
        if (end.pause > duration::zero()) {
            ++in_vain;
            wait_until_later(on, end.pause);
        } else {
            wait(on);
        }
    }
    const auto self = shared_from_this(); // whom it is told to may let go of us
    tell(end);
}

void waiting_program::state::let_go() {
    stopped = true;
    for (auto& each : sockets) {
        each.timer.cancel();
        if (each.watch.is_open()) {
            each.watch.release();
        }
        each.looking.reset();
    }
}

void waiting_program::state::ask_to_end(watched_socket& on, bool goes_on) {
    if (!on.program || on.is_told) {
        return;
    }
    if (!goes_on || is_idle(on.at, on.over)) {
        on.is_told = true;
        return on.program->ask_to_end();
    }
    on.timer.expires_after(look_for_idle);
    on.timer.async_wait([weak = weak_from_this(), &on](error_code wrong) {
        const auto self = weak.lock();
        if (self && !wrong) {
            self->ask_to_end(on, true);
        }
    });
}

void waiting_program::state::abandon() {
    let_go();
    for (auto& each : sockets) {
        if (each.program) {
            each.program->abandon();
        }
    }
}

waiting_program::waiting_program(asio::any_io_executor executor, program_options options,
                                 std::span<const bound_socket> sockets, ended tell)
    : state_{std::make_shared<state>(std::move(executor), std::move(options), std::move(tell))} {
    for (const auto& each : sockets) {
        state_->add(each);
    }
}

waiting_program::~waiting_program() {
    state_->abandon();
}

void waiting_program::drain(
    const std::function<bool(ip::transport over, const ip::any_endpoint& at)>& goes_on) {
    state_->let_go();
    for (auto& each : state_->sockets) {
        state_->ask_to_end(each, goes_on && goes_on(each.over, each.at));
    }
}

void waiting_program::stop_now() {
    state_->let_go();
    for (const auto& each : state_->sockets) {
        if (each.program) {
            each.program->stop();
        }
    }
}

std::size_t waiting_program::running() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(state_->sockets.begin(), state_->sockets.end(),
                      [](const watched_socket& each) { return each.program != nullptr; }));
}

waiting_counters waiting_program::counters() const noexcept {
    return {state_->host.counters, state_->in_vain};
}

} // namespace portico::run
