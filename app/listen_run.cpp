#include "listen_run.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <new>
#include <poll.h>
#include <random>
#include <unistd.h>

namespace portico::app {
namespace {

using boost::system::error_code;

std::unique_ptr<run::stream_service> make_service(const listen_options& asked,
                                                  const service_choice& choice,
                                                  const asio::any_io_executor& executor) {
    if (!choice.which) {
        return run::make_program_service(executor, choice.program);
    }
    run::builtin_options how;
    how.chargen_limit = asked.chargen_limit;
    return run::make_builtin_service(executor, *choice.which, how);
}

// All of it to stdout; nobody has to read it.
void print(std::string_view text) {
    auto left = std::as_bytes(std::span{text});
    while (!left.empty()) {
        const auto done = os::write(STDOUT_FILENO, left);
        if (done) {
            left = left.subspan(*done);
        } else if (done.error() == std::errc::resource_unavailable_try_again) {
            pollfd room{STDOUT_FILENO, POLLOUT, 0};
            ::poll(&room, 1, -1);
        } else {
            return;
        }
    }
}

std::string listening_lines(const run::listener& open) {
    std::string lines;
    for (const auto& each : open.sockets()) {
        const bool is_unix = std::holds_alternative<ip::unix_name>(each.at);
        lines += "listening ";
        lines += is_unix ? "" : std::string{ip::to_text(each.over)} + ' ';
        lines += ip::to_text(each.at) + '\n';
    }
    return lines;
}

// Accepted sockets get these options from the listening one, so no connection costs a call more.
// Errors are those of sockets that have no such option.
void set_stream_options(const listen_options& asked, const run::listener& open) {
    for (const auto& each : open.sockets()) {
        if (each.over != ip::transport::tcp || !std::holds_alternative<ip::endpoint>(each.at)) {
            continue;
        }
        static_cast<void>(os::set_no_delay(each.descriptor.raw(), !asked.nagle));
        if (asked.dead_after) {
            static_cast<void>(os::set_dead_after(
                each.descriptor.raw(), std::chrono::ceil<std::chrono::seconds>(*asked.dead_after)));
        }
    }
}

// How many connections there are descriptors for. Some are kept for what a start of a program needs
// for a moment.
std::size_t connections_that_fit(std::size_t left) {
    return std::max<std::size_t>(1, left - std::min<std::size_t>(16, left / 2));
}

} // namespace

std::optional<serve::builtin> listen_options::builtin_service() const {
    const auto found = std::find(chosen.begin(), chosen.end(), true);
    if (found == chosen.end()) {
        return std::nullopt;
    }
    return builtin_flags[static_cast<std::size_t>(found - chosen.begin())].which;
}
log_settings listen_options::logging() const {
    return {log_format == "json" ? app::log_format::json : app::log_format::logfmt,
            quiet     ? severity::error
            : verbose ? severity::debug
                      : severity::info,
            stderr_is_journald()};
}

int listen_run::run(std::vector<plan::wish> wishes) {
    for (const int each : {SIGTERM, SIGINT, SIGHUP}) {
        signals_.add(each);
    }
    // Who started us may have ignored it, and then nobody could tell how a program ended.
    std::signal(SIGCHLD, SIG_DFL);
    wait_for_signal();
    wishes_ = std::move(wishes);
    const auto limit = asked_.timeout.value_or(std::chrono::seconds{10});
    run::async_listen(context_.get_executor(), wishes_, deadline::after(os::now(), limit),
                      [this](run::listen_outcome outcome) { handle_start(std::move(outcome)); });
    for (;;) {
        try {
            context_.run();
            return exit_code_;
        } catch (const std::bad_alloc&) { // what was going on is lost, and the service goes on
            log_.write(severity::error, "out of memory", {});
        }
    }
}

void listen_run::handle_start(run::listen_outcome outcome) {
    if (outcome.report.why) {
        std::cerr << "portico: listen: " << outcome.report.text();
        exit_code_ = exit_code(outcome.report.why->who);
        context_.stop();
        return;
    }
    listener_ = std::move(outcome.sockets);
    log_remarks(outcome.report);
    if (choice_.status) {
        return open_status();
    }
    start_services();
}

// Before anything is answered, so that who sees it listening can ask.
void listen_run::open_status() {
    status_ =
        std::make_unique<status_socket>(context_, log_, [this, began = os::now()](status_form how) {
            relay_figures now;
            now.now = os::now();
            now.up = now.now - began;
            if (relay_) {
                relay_->read(now);
            }
            if (datagram_relay_) {
                datagram_relay_->read(now);
            }
            return how == status_form::table  ? to_table(now)
                   : how == status_form::json ? to_json(now)
                                              : to_prometheus(now);
        });
    status_->open(*choice_.status, [this](const run::listen_report& report) {
        if (draining_) {
            return;
        }
        if (!report.why) {
            return start_services();
        }
        std::cerr << "portico: listen: --status: " << report.text();
        exit_code_ = exit_code(report.why->who);
        context_.stop();
    });
}

void listen_run::log_remarks(const run::listen_report& report) {
    for (const auto& each : report.attempts) {
        fields what;
        if (each.why) {
            add_endpoints(what, report.made.sockets[each.planned].over, each.at, {});
            add_error(what, *each.why);
            log_.write(severity::warning, "a socket could not be opened", what);
        }
        for (const auto& remark : each.remarks) {
            log_.write(severity::warning, "remark",
                       {{"network.local.address", ip::to_text(each.at)}, {"remark", remark}});
        }
    }
    for (const auto& each : report.made.remarks) {
        fields what{{"wish", wishes_[each.wish].where.text}, {"remark", each.text}};
        if (!each.hint.empty()) {
            what.push_back({"hint", each.hint});
        }
        log_.write(each.how == plan::remark::weight::note ? severity::info : severity::warning,
                   "remark", what);
    }
}

void listen_run::start_services() {
    const auto executor = context_.get_executor();
    bool has_datagrams = false;
    for (const auto& each : listener_->sockets()) {
        (each.over == ip::transport::tcp ? has_streams_ : has_datagrams) = true;
    }
    if (has_datagrams && choice_.relay) {
        relay_datagrams();
    } else if (has_datagrams && !choice_.which) { // inherited ones; others were refused before
        log_.write(severity::error,
                   "datagram sockets are not served: the service needs connections");
    } else if (has_datagrams) {
        run::datagram_options how;
        how.seed = std::random_device{}();
        how.access = choice_.door.access;
        datagrams_ = std::make_unique<run::datagram_service>(
            executor, listener_->sockets(), *choice_.which, how,
            [this](const run::datagram_end& end) { handle_datagram(end); });
    }
    if (has_streams_ && choice_.relay) {
        prepare_relay();
    } else if (has_streams_) {
        serve_streams();
    }
    print(listening_lines(*listener_));
    watch_counters();
}

void listen_run::serve_streams() {
    set_stream_options(asked_, *listener_);
    if (choice_.socks) {
        socks_ = std::make_unique<socks_run>(log_, *choice_.socks);
        auto made = socks_->start(context_.get_executor());
        if (!made) {
            std::cerr << "portico: listen: --socks: " << to_text(made.error()) << '\n';
            exit_code_ = exit_code(made.error().who);
            return context_.stop();
        }
        streams_ = *std::move(made);
    } else {
        streams_ = make_service(asked_, choice_, context_.get_executor());
    }
    set_limit();
    accept_next();
}

// Clients wait in the queue until the names of the targets are resolved.
void listen_run::prepare_relay() {
    relay_ =
        std::make_unique<relay_run>(context_, log_, *choice_.relay, asked_.relay.engines(), [this] {
            relay_is_over_ = true;
            end_if_idle();
        });
    const auto begun = relay_->prepare([this] {
        if (!draining_) {
            start_relay();
        }
    });
    if (!begun) {
        std::cerr << "portico: listen: --to: " << begun.error() << '\n';
        exit_code_ = exit_code(side::caller);
        context_.stop();
    }
}

// Half of the descriptors are left to connections, if there may be some.
void listen_run::relay_datagrams() {
    const auto kept = has_streams_ ? os::descriptors_left() / 2 : 0;
    datagram_relay_ =
        std::make_unique<datagram_relay_run>(context_, log_, *choice_.relay, choice_.associations,
                                             kept, choice_.door, [this] { end_if_idle(); });
    const auto begun = datagram_relay_->start(listener_->sockets(), [this](const error& why) {
        std::cerr << "portico: listen: " << to_text(why) << '\n';
        exit_code_ = exit_code(why.who);
        context_.stop();
    });
    if (!begun) {
        std::cerr << "portico: listen: --to: " << begun.error() << '\n';
        exit_code_ = exit_code(side::caller);
        context_.stop();
    }
}

void listen_run::start_relay() {
    set_limit();
    run::relay_group::ended tell;
    if (log_.wants(severity::info)) {
        tell = [this](const run::connection_end& end) { log_end(end); };
    }
    const auto started = relay_->start(*listener_, wishes_, door_, std::move(tell));
    if (!started) {
        std::cerr << "portico: listen: " << to_text(started.error()) << '\n';
        exit_code_ = exit_code(started.error().who);
        context_.stop();
    }
}

std::uint64_t listen_run::connections() const {
    return relay_ ? relay_->connections() : active_;
}

// A client that waits in the kernel's queue is better off than one that is refused because no
// descriptor is left.
void listen_run::set_limit() {
    const auto all = os::descriptors_left();
    const auto left = all - std::min(all, datagram_relay_ ? datagram_relay_->capacity() : 0);
    const auto fit = relay_   ? relay_->connections_that_fit(left)
                     : socks_ ? socks_->connections_that_fit(left)
                              : connections_that_fit(left);
    auto how = choice_.door;
    how.max_connections = std::min(how.max_connections, fit);
    door_ = std::make_shared<run::admission>(how);
    at_door_ = door_->join([] {});
    if (how.max_connections < choice_.door.max_connections) {
        log_.write(
            severity::warning, "fewer connections than --max-connections fit",
            {{"max_connections", std::uint64_t{how.max_connections}},
             {"hint", std::string{"raise the limit of open files: ulimit -n, LimitNOFILE="}}});
    }
}

void listen_run::accept_next() {
    if (draining_ || accepting_) {
        return;
    }
    if (!door_->has_room(at_door_)) {
        full_ = true;
        return;
    }
    accepting_ = true;
    listener_->async_accept([this](result<run::accepted> got) { handle_accepted(std::move(got)); });
}

void listen_run::handle_accepted(result<run::accepted> got) {
    accepting_ = false;
    if (!got) {
        return; // the listener is closed
    }
    ++number_;
    if (!let_in(*got)) {
        static_cast<void>(os::set_linger_reset(got->socket.raw()));
        got->socket.reset();
        return accept_next();
    }
    ++active_;
    if (log_.wants(severity::debug)) {
        fields what{{"connection", number_}};
        add_endpoints(what, ip::transport::tcp, got->local, got->peer);
        log_.write(severity::debug, "connection began", what);
    }
    streams_->start(*std::move(got), number_,
                    [this](const run::connection_end& end) { handle_end(end); });
    accept_next();
}

// False: it has been logged.
bool listen_run::let_in(const run::accepted& who) {
    run::connection_end end;
    const bool is_taken = door_->take_place(at_door_) == run::admission::room::taken;
    if (!is_taken) {
        end.detail = "full: as many connections are open as may be";
    } else if (auto no = door_->refuse(os::now(), ip::canonical(who.peer))) {
        door_->give_back(at_door_);
        end.detail = std::string{to_text(no->why)} + ": " + no->text;
    } else {
        return true;
    }
    end.number = number_;
    end.local = who.local;
    end.peer = who.peer;
    end.why = error{{EACCES, std::system_category()}, operation::accept, side::peer, who.peer};
    log_end(end);
    return false;
}

void listen_run::handle_end(const run::connection_end& end) {
    --active_;
    if (!door_->asks_nothing()) {
        door_->forget(ip::canonical(end.peer));
    }
    door_->give_back(at_door_);
    log_end(end);
    accept_next();
    end_if_idle();
}

void listen_run::log_end(const run::connection_end& end) {
    const bool ours = end.why && end.why->who != side::peer && end.why->who != side::caller;
    const auto weight = ours ? severity::error : severity::info;
    if (log_.wants(weight)) {
        fields what{{"connection", end.number}};
        add_endpoints(what, ip::transport::tcp, end.local, end.peer);
        add_duration(what, end.lasted);
        if (choice_.which || choice_.relay ||
            choice_.socks) { // a program's bytes do not come by here
            what.push_back({"received", end.received});
            what.push_back({"sent", end.sent});
        }
        if (end.exit_status) {
            what.push_back({"process.exit.code", static_cast<std::uint64_t>(*end.exit_status)});
        }
        if (end.why) {
            add_error(what, *end.why);
        }
        if (!end.detail.empty()) {
            what.push_back({"detail", end.detail});
        }
        log_.write(weight, "connection ended", what);
    }
}

// What is dropped is no line of its own, as whoever floods us with false sources would fill the
// log: see log_counters().
void listen_run::handle_datagram(const run::datagram_end& end) {
    const auto weight = end.why ? severity::debug : severity::info;
    if (!log_.wants(weight)) {
        return;
    }
    fields what;
    add_endpoints(what, ip::transport::udp, end.local, end.peer);
    what.push_back({"received", std::uint64_t{end.received}});
    what.push_back({"sent", std::uint64_t{end.sent}});
    if (end.why) {
        what.push_back({"reason", std::string{serve::to_text(*end.why)}});
    }
    if (end.failed) {
        add_error(what, *end.failed);
    }
    log_.write(weight, end.why ? "query dropped" : "query served", what);
}

// ---- signals ----

void listen_run::wait_for_signal() {
    signals_.async_wait([this](error_code wrong, int number) {
        if (!wrong) {
            handle_signal(number);
            wait_for_signal();
        }
    });
}

void listen_run::handle_signal(int number) {
    if (number == SIGHUP) {
        log_.write(severity::warning, "listen has no configuration to reload",
                   {{"signal", std::string{"HUP"}}});
    } else if (number == SIGTERM && !draining_) {
        drain("TERM");
    } else {
        stop_now(number == SIGTERM ? "TERM" : "INT");
    }
}

fields listen_run::stop_fields(std::string_view signal) const {
    fields made{{"signal", std::string{signal}}, {"connections", connections()}};
    if (datagram_relay_) {
        made.push_back({"associations", std::uint64_t{datagram_relay_->associations()}});
    }
    return made;
}

void listen_run::drain(std::string_view signal) {
    draining_ = true;
    if (datagrams_) {
        datagrams_->stop();
    }
    if (relay_) {
        relay_->drain(); // it takes who is in the queues
    }
    if (datagram_relay_) {
        datagram_relay_->drain(); // the same
    }
    if (listener_) {
        log_counters(); // they are gone with it
        listener_->close();
    }
    // Who reads this line may count on nobody being let in any more.
    log_.write(severity::info, "stopping when the last connection has ended", stop_fields(signal));
    end_if_idle();
}

void listen_run::stop_now(std::string_view signal) {
    log_.write(severity::info, "stopping at once", stop_fields(signal));
    if (!draining_) {
        draining_ = true;
        if (datagrams_) {
            datagrams_->stop();
        }
        if (listener_) {
            listener_->close();
        }
    }
    if (relay_) {
        relay_->stop_now();
    }
    if (datagram_relay_) {
        datagram_relay_->stop_now();
    }
    if (streams_) {
        streams_->stop_now();
    }
    end_if_idle();
}

void listen_run::end_if_idle() {
    const bool is_relaying = relay_ && relay_->is_running() && !relay_is_over_;
    const bool has_datagrams = datagram_relay_ && datagram_relay_->is_running();
    if (draining_ && active_ == 0 && !is_relaying && !has_datagrams) {
        context_.stop();
    }
}

// ---- counters ----

void listen_run::watch_counters() {
    every_second_.expires_after(std::chrono::seconds{1});
    every_second_.async_wait([this](error_code wrong) {
        if (!wrong && !draining_) {
            log_counters();
            watch_counters();
        }
    });
}

void listen_run::log_counters() {
    const auto now = listener_->counters();
    if (now.shed != told_.shed || now.backed_off != told_.backed_off) {
        log_.write(severity::error, "out of descriptors or memory",
                   {{"accept.shed", now.shed}, {"accept.backed_off", now.backed_off}});
    }
    if (now.aborted != told_.aborted) {
        log_.write(severity::debug, "clients were gone before they were accepted",
                   {{"accept.aborted", now.aborted}});
    }
    told_ = now;
    if (relay_) {
        full_ = relay_->log_counters() || full_;
    }
    if (datagram_relay_) {
        datagram_relay_->log_counters();
    }
    if (socks_) {
        socks_->log_counters();
    }
    if (std::exchange(full_, false)) {
        log_.write(severity::warning, "full: further clients wait in the kernel's queue",
                   {{"max_connections", std::uint64_t{door_->settings().max_connections}}});
    }
    if (!datagrams_) {
        return;
    }
    const auto& dropped = datagrams_->counters().dropped;
    if (std::exchange(dropped_told_, dropped.total()) != dropped.total()) {
        fields what;
        for (std::size_t i = 0; i < serve::drop_reasons; ++i) {
            const auto why = static_cast<serve::drop>(i);
            if (dropped.of(why) != 0) {
                what.push_back({"dropped." + std::string{serve::to_text(why)}, dropped.of(why)});
            }
        }
        log_.write(severity::warning, "queries were dropped", what);
    }
}

} // namespace portico::app
