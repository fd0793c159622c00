#include "service/service_run.hpp"

#include "service/program_starters.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace portico::app {
namespace {

using maybe = tl::expected<void, service_failure>;

tl::unexpected<service_failure> failed(const error& why, std::string setting = {}) {
    return tl::unexpected{service_failure{{std::move(setting), to_text(why)}, why.who}};
}

// Accepted sockets get these options from the listening one, so no connection costs a call more.
// Errors are those of sockets that have no such option.
void set_stream_options(const service_choice& choice, const run::listener& open) {
    for (const auto& each : open.sockets()) {
        if (each.over != ip::transport::tcp || !std::holds_alternative<ip::endpoint>(each.at)) {
            continue;
        }
        static_cast<void>(os::set_no_delay(each.descriptor.raw(), choice.no_delay));
        if (choice.dead_after) {
            static_cast<void>(os::set_dead_after(each.descriptor.raw(), *choice.dead_after));
        }
    }
}

// In tenths of a second: at sockets that others go on with there may always be somebody.
constexpr int most_looks = 20;

// How many connections there are descriptors for. Some are kept for what a start of a program needs
// for a moment.
std::size_t connections_that_fit(std::size_t left) {
    return std::max<std::size_t>(1, left - std::min<std::size_t>(16, left / 2));
}

} // namespace

service_run::service_run(boost::asio::io_context& context, const event_log& log,
                         service_choice choice, std::unique_ptr<run::listener> sockets,
                         std::vector<plan::wish> wishes, std::function<void()> over)
    : context_{context}, log_{log, {}}, choice_{std::move(choice)}, listener_{std::move(sockets)},
      wishes_{std::move(wishes)}, over_{std::move(over)}, meter_{wishes_, listener_->sockets()},
      closing_{context} {
    for (const auto& each : listener_->sockets()) {
        (each.over == ip::transport::tcp ? has_streams_ : has_datagrams_) = true;
    }
}

// ---- preparing ----

maybe service_run::prepare(const descriptor_room& room, std::function<void()> ready) {
    ready_ = std::move(ready);
    preparing_ = 1;
    maybe done;
    if (choice_.relay && has_datagrams_) {
        done = prepare_datagram_relay(room);
    }
    if (done && choice_.relay && has_streams_) {
        done = prepare_relay(room);
    }
    if (done && choice_.socks && has_streams_) {
        done = prepare_socks(room);
    }
    if (done && !choice_.program.path.empty()) {
        done = prepare_program();
    }
    if (done) {
        handle_prepared();
    }
    return done;
}

void service_run::handle_prepared() {
    if (--preparing_ == 0 && !ending_) { // else nobody waits for it any more
        std::exchange(ready_, nullptr)();
    }
}

// A service that is given up meanwhile is not told.
std::function<void()> service_run::once_prepared() {
    return [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            self->handle_prepared();
        }
    };
}

// Half of the descriptors are left to connections, if there may be some.
maybe service_run::prepare_datagram_relay(const descriptor_room& room) {
    ++preparing_;
    const auto ours = has_streams_ ? room.left - room.left / 2 : room.left;
    auto who = choice_.door;
    who.descriptors = room.budget;
    datagram_relay_ =
        std::make_unique<datagram_relay_run>(context_, log_, *choice_.relay, choice_.associations,
                                             ours, std::move(who), [this] { end_if_idle(); });
    const auto begun = datagram_relay_->prepare(once_prepared());
    if (!begun) {
        return tl::unexpected{service_failure{{"to", begun.error()}, side::caller}};
    }
    return {};
}

maybe service_run::prepare_relay(const descriptor_room& room) {
    ++preparing_;
    relay_ = std::make_unique<relay_run>(context_, log_, *choice_.relay, choice_.engines,
                                         room.left / room.services, [this] {
                                             relay_is_over_ = true;
                                             end_if_idle();
                                         });
    const auto begun = relay_->prepare(once_prepared());
    if (!begun) {
        return tl::unexpected{service_failure{{"to", begun.error()}, side::caller}};
    }
    return {};
}

maybe service_run::prepare_socks(const descriptor_room& room) {
    socks_ = std::make_unique<socks_run>(log_, *choice_.socks);
    auto made = socks_->start(context_.get_executor(), room.left / room.services);
    if (!made) {
        return failed(made.error(), "socks");
    }
    streams_ = *std::move(made);
    return {};
}

// Now, and not with the first connection, it shows whether it may become who it is to be.
maybe service_run::prepare_program() {
    if (auto trouble = run::find_trouble(choice_.program)) {
        return tl::unexpected{
            service_failure{{{}, "the program " + *std::move(trouble)}, side::caller}};
    }
    return {};
}

// ---- starting ----

void service_run::open_clones() {
    if (!relay_) {
        return;
    }
    for (const auto& each : listener_->clone(choice_.engines)) {
        log_.write(severity::info, "remark", {{"remark", each}});
    }
}

maybe service_run::start(const descriptor_room& room) {
    listener_->settle();
    watch_groups();
    if (choice_.wait) {
        start_waiting();
        return {};
    }
    const bool has_programs = !choice_.program.path.empty();
    if (has_streams_ || has_programs) {
        set_limit(room);
    }
    auto done = has_datagrams_ ? start_datagrams() : maybe{};
    return done && has_streams_ ? start_streams() : done;
}

maybe service_run::start_streams() {
    if (relay_) {
        run::relay_group::ended tell;
        if (log_.wants(severity::info)) {
            tell = [this](const run::connection_end& end) { log_end(end); };
        }
        open_clones();
        const auto begun = relay_->start(*listener_, wishes_, door_, std::move(tell));
        return begun ? maybe{} : failed(begun.error());
    }
    set_stream_options(choice_, *listener_);
    if (choice_.which) {
        run::builtin_options how;
        how.chargen_limit = choice_.chargen_limit;
        streams_ = run::make_builtin_service(context_.get_executor(), *choice_.which, how);
    } else if (choice_.ours) {
        streams_ = choice_.ours(context_.get_executor());
    } else if (!choice_.socks) {
        auto how = programs("connection");
        try {
            how.starters = program_starters(context_);
        } catch (const std::system_error& why) {
            log_.write(severity::warning, "programs are started by the thread that accepts",
                       {{"detail", std::string{why.what()}}});
        }
        auto made = run::make_program_service(context_.get_executor(), std::move(how));
        programs_ = made.get();
        streams_ = std::move(made);
    }
    accept_next();
    return {};
}

run::program_options service_run::programs(std::string_view what) {
    auto how = choice_.program;
    how.tell_line = [this, what](const run::program_line& line) { log_line(what, line); };
    return how;
}

void service_run::start_waiting() {
    set_stream_options(choice_, *listener_);
    waiting_ = std::make_unique<run::waiting_program>(
        context_.get_executor(), programs("run"), listener_->sockets(),
        [this](const run::program_run_end& end) { handle_run_end(end); });
}

// One that answers a datagram has a pipe more.
std::size_t service_run::descriptors_of_program() const {
    return run::descriptors_of(choice_.program) + (has_datagrams_ ? 1 : 0);
}

std::size_t service_run::descriptors_of_connection() const {
    return relay_ ? 2 : socks_ ? socks_run::descriptors_each : descriptors_of_program();
}

// A client that waits in the kernel's queue is better off than one that is refused because no
// descriptor is left.
void service_run::set_limit(const descriptor_room& room) {
    const auto left =
        room.left - std::min(room.left, datagram_relay_ ? datagram_relay_->capacity() : 0);
    const auto fit = relay_   ? relay_->connections_that_fit(left, listener_->sockets().size())
                     : socks_ ? socks_->connections_that_fit(left)
                              : connections_that_fit(left / descriptors_of_program());
    auto how = choice_.door;
    how.max_connections = std::min(how.max_connections, fit);
    if (!choice_.ours) { // who looks after the host comes in always
        how.descriptors = room.budget;
        how.descriptors_each = descriptors_of_connection();
    }
    door_ = std::make_shared<run::admission>(how);
    at_door_ = door_->join([weak = weak_from_this(), executor = context_.get_executor()] {
        boost::asio::post(executor, [weak] {
            if (const auto self = weak.lock(); self && self->streams_) {
                self->accept_next();
            }
        });
    });
    if (how.max_connections < choice_.door.max_connections) {
        log_.write(severity::warning, "fewer connections than --max-connections fit",
                   {{"max_connections", std::uint64_t{how.max_connections}},
                    {"hint", std::string{raise_limit}}});
    }
}

// ---- serving ----

void service_run::accept_next() {
    if (closed_ || accepting_) {
        return;
    }
    if (!door_->has_room(at_door_)) {
        full_ = true;
        ++times_full_;
        return;
    }
    accepting_ = true;
    // The last one comes back when the listener is closed, perhaps after the end of the service.
    listener_->async_accept([weak = weak_from_this()](result<run::accepted> got) {
        if (const auto self = weak.lock()) {
            self->handle_accepted(std::move(got));
        }
    });
}

void service_run::handle_accepted(result<run::accepted> got) {
    accepting_ = false;
    if (!got) {
        return; // the listener is closed
    }
    ++number_;
    const auto where = meter_.handle_accepted(*got);
    if (!let_in(*got, where)) {
        static_cast<void>(os::set_linger_reset(got->socket.raw()));
        got->socket.reset();
        return accept_next();
    }
    ++active_;
    want_name(got->peer);
    if (log_.wants(severity::debug)) {
        fields what{{"connection", number_}};
        add_endpoints(what, ip::transport::tcp, got->local, got->peer);
        log_.write(severity::debug, "connection began", what);
    }
    streams_->start(*std::move(got), number_,
                    [this, where](const run::connection_end& end) { handle_end(end, where); });
    accept_next();
}

void service_run::want_name(const ip::any_endpoint& peer) {
    const auto canonical = ip::canonical(peer);
    if (const auto* client = std::get_if<ip::endpoint>(&canonical); names_ && client != nullptr) {
        names_->want(client->address);
    }
}

// False: it has been logged.
bool service_run::let_in(const run::accepted& who, flow_meter::place where) {
    run::connection_end end;
    auto why = run::relay_end::full;
    const bool is_taken = door_->take_place(at_door_) == run::admission::room::taken;
    if (!is_taken) {
        meter_.handle_refused(where, flow_meter::ending::full);
        end.detail = "full: as many connections are open as may be";
    } else if (auto no = door_->refuse(os::now(), ip::canonical(who.peer))) {
        door_->give_back(at_door_);
        meter_.handle_refused(where, no->why == run::relay_end::denied
                                         ? flow_meter::ending::denied
                                         : flow_meter::ending::limited);
        end.detail = std::string{to_text(no->why)} + ": " + no->text;
        why = no->why;
    } else {
        return true;
    }
    end.number = number_;
    end.local = who.local;
    end.peer = who.peer;
    end.why = error{run::refusal(why), operation::accept, side::peer, who.peer};
    log_end(end);
    return false;
}

void service_run::handle_end(const run::connection_end& end, flow_meter::place where) {
    --active_;
    meter_.handle_end(where, end);
    if (!door_->asks_nothing()) {
        door_->forget(ip::canonical(end.peer));
    }
    door_->give_back(at_door_);
    log_end(end);
    accept_next();
    end_if_idle();
}

void service_run::log_end(const run::connection_end& end) {
    const bool ours = end.why && end.why->who != side::peer && end.why->who != side::caller;
    const auto weight = ours ? severity::error : choice_.ours ? severity::debug : severity::info;
    if (log_.wants(weight)) {
        fields what{{"connection", end.number}};
        add_endpoints(what, ip::transport::tcp, end.local, end.peer);
        add_duration(what, end.lasted);
        if (choice_.which || choice_.relay || choice_.socks ||
            choice_.ours) { // a program's bytes do not come by here
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
        write_named(weight, "connection ended", std::move(what), end.peer);
    }
}

// As soon as the name is known, or that there is none.
void service_run::write_named(severity how, std::string_view what, fields with,
                              const ip::any_endpoint& peer) {
    const auto canonical = ip::canonical(peer);
    const auto* client = std::get_if<ip::endpoint>(&canonical);
    if (!names_ || client == nullptr) {
        return log_.write(how, what, with);
    }
    names_->tell(client->address, [self = shared_from_this(), how, what = std::string{what},
                                   with = std::move(with)](const std::string& name) mutable {
        if (!name.empty()) {
            with.push_back({"network.peer.name", name});
        }
        self->log_.write(how, what, with);
    });
}

void service_run::handle_run_end(const run::program_run_end& end) {
    const bool ours = end.why && end.why->who != side::caller;
    const auto weight = ours                           ? severity::error
                        : end.pause > duration::zero() ? severity::warning
                                                       : severity::info;
    if (log_.wants(weight)) {
        fields what{{"run", end.number}};
        add_endpoints(what, end.over, end.local, {});
        add_duration(what, end.lasted);
        if (end.exit_status) {
            what.push_back({"process.exit.code", static_cast<std::uint64_t>(*end.exit_status)});
        }
        if (end.why) {
            add_error(what, *end.why);
        }
        if (!end.detail.empty()) {
            what.push_back({"detail", end.detail});
        }
        if (end.pause > duration::zero()) {
            what.push_back({"pause", std::chrono::duration<double>{end.pause}.count()});
            what.push_back({"hint", std::string{"somebody still waits, and it has taken nothing: "
                                                "does it take its clients from its stdin itself, "
                                                "as --wait asks?"}});
        }
        log_.write(weight, "program ended", what);
    }
    end_if_idle();
}

void service_run::log_line(std::string_view what_for, const run::program_line& line) {
    if (!log_.wants(severity::warning)) {
        return;
    }
    fields what{{std::string{what_for}, line.number},
                {"process.pid", static_cast<std::uint64_t>(line.pid)},
                {"line", std::string{line.text}}};
    if (line.cut != 0) {
        what.push_back({"cut", line.cut});
    }
    log_.write(severity::warning, "program wrote to stderr", what);
}

// ---- ending ----

std::uint64_t service_run::connections() const {
    return relay_ ? relay_->connections() : active_;
}

void service_run::add_counts(fields& to) const {
    if (waiting_) {
        to.push_back({"programs", std::uint64_t{waiting_->running()}});
        return;
    }
    to.push_back({"connections", connections()});
    if (datagram_programs_) {
        to.push_back({"programs", std::uint64_t{datagram_programs_->running()}});
    }
    if (datagram_relay_) {
        to.push_back({"associations", std::uint64_t{datagram_relay_->associations()}});
    }
}

// Of programs those that answer one each.
void service_run::stop_datagrams() {
    groups_.reset();
    if (datagrams_) {
        datagrams_->stop();
    }
    if (datagram_programs_) {
        datagram_programs_->drain();
    }
    if (datagram_relay_) {
        datagram_relay_->drain(); // it takes what is in the queues
    }
}

std::vector<kept_socket> service_run::open_sockets() const {
    std::vector<kept_socket> all;
    for (const auto& each : listener_->sockets()) {
        all.push_back({each.over, each.at, each.file, each.interface, choice_.wait});
    }
    return all;
}

void service_run::pause(bool on) {
    listener_->pause(on);
    if (relay_) {
        relay_->pause(on);
    }
}

void service_run::drain(std::vector<kept_socket> successors) {
    if (std::exchange(ending_, true)) {
        if (waiting_ && successors.empty()) { // those that were to end when they are idle
            waiting_->drain();
        }
        return;
    }
    for (const auto& each : successors) {
        if (each.file) {
            successors_files_.push_back(*each.file);
        }
    }
    const auto successor_of = [&](const run::bound_socket& mine) {
        return std::find_if(successors.begin(), successors.end(), [&](const auto& each) {
            return each.over == mine.over && each.at == mine.at;
        });
    };
    const auto goes_on = [&](const run::bound_socket& mine) {
        return successor_of(mine) != successors.end();
    };
    listener_->ignore_new(goes_on);
    // Who waits at the socket of a program is the program's, and accept(2) may wait there.
    const auto is_left = [&](const run::bound_socket& mine) {
        return goes_on(mine) && successor_of(mine)->for_waiting;
    };
    listener_->leave(is_left);
    const auto mine = listener_->sockets();
    stop_datagrams();
    if (waiting_) {
        waiting_->drain([&](ip::transport over, const ip::any_endpoint& at) {
            return std::any_of(successors.begin(), successors.end(), [&](const auto& each) {
                return each.over == over && each.at == at;
            });
        });
    }
    if (relay_) {
        if (std::any_of(mine.begin(), mine.end(), is_left)) {
            relay_->pause(true);
        }
        relay_->drain(); // it has descriptors of its own
    }
    if (relay_ || !has_streams_ || !door_) {
        close();
    } else {
        close_soon();
    }
    end_if_idle();
}

// Meanwhile who is half-way in is accepted as ever.
void service_run::close_soon() {
    closing_.expires_after(run::half_way);
    closing_.async_wait([this](boost::system::error_code wrong) {
        if (wrong || closed_) {
            return;
        }
        if (++looks_ < most_looks && listener_->has_waiting() && door_->has_room(at_door_)) {
            return close_soon();
        }
        close();
        end_if_idle();
    });
}

void service_run::close() {
    if (!std::exchange(closed_, true)) {
        log_counters(); // they are gone with the sockets
        closing_.cancel();
        listener_->close(successors_files_);
    }
}

void service_run::stop_now() {
    if (!std::exchange(ending_, true)) {
        stop_datagrams();
    }
    close();
    if (relay_) {
        relay_->stop_now();
    }
    if (datagram_relay_) {
        datagram_relay_->stop_now();
    }
    if (streams_) {
        streams_->stop_now();
    }
    if (waiting_) {
        waiting_->stop_now();
    }
    if (datagram_programs_) {
        datagram_programs_->stop_now();
    }
    end_if_idle();
}

void service_run::end_if_idle() {
    const bool is_relaying = relay_ && relay_->is_running() && !relay_is_over_;
    const bool has_datagrams = datagram_relay_ && datagram_relay_->is_running();
    const bool has_programs = (waiting_ && waiting_->running() > 0) ||
                              (datagram_programs_ && datagram_programs_->running() > 0);
    if (closed_ && active_ == 0 && !is_relaying && !has_datagrams && !has_programs &&
        !std::exchange(is_over_, true)) {
        log_programs();
        over_();
    }
}

// ---- counters ----

void service_run::read(service_figures& to) const {
    to.kind = kind();
    if (relay_) {
        relay_->read(to);
    } else if (door_) {
        const auto accepting = listener_->counters();
        meter_.read(to);
        to.max_connections = door_->settings().max_connections;
        to.times_full = times_full_;
        to.accept_failed = accepting.aborted;
        to.shed = accepting.shed;
    }
    if (datagram_relay_) {
        datagram_relay_->read(to);
    }
    if (datagrams_) {
        to.queries = datagrams_->counters();
    }
    if (const auto counts = program_counts()) {
        to.started = {*counts, waiting_ ? waiting_->counters().in_vain : 0};
    }
    if (socks_) {
        to.socks = socks_->counters();
    }
}

std::string service_run::kind() const {
    return choice_.relay   ? "relay"
           : choice_.socks ? "SOCKS"
           : choice_.which ? std::string{serve::to_text(*choice_.which)}
           : choice_.ours  ? "own"
                           : "program";
}

void service_run::log_counters() {
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
    const auto times_short = door_ ? door_->times_short() : 0;
    if (std::exchange(times_short_told_, times_short) != times_short) {
        full_ = false;
        const bool they_wait = choice_.door.then == admit::when_full::queue;
        log_.write(severity::warning,
                   "the services have as many clients together as there are descriptors for",
                   {{"further_clients",
                     std::string{they_wait ? "wait in the kernel's queue" : "are refused"}},
                    {"hint", std::string{raise_limit}}});
    }
    if (std::exchange(full_, false)) {
        log_.write(severity::warning, "full: further clients wait in the kernel's queue",
                   {{"max_connections", std::uint64_t{door_->settings().max_connections}}});
    }
    log_dropped_queries();
    log_dropped_lines();
}

std::optional<run::program_counters> service_run::program_counts() const {
    if (!waiting_ && programs_ == nullptr && !datagram_programs_) {
        return std::nullopt;
    }
    run::program_counters all;
    if (waiting_) {
        all += waiting_->counters().programs;
    }
    if (programs_ != nullptr) {
        all += programs_->counters();
    }
    if (datagram_programs_) {
        all += datagram_programs_->programs();
    }
    return all;
}

// All that it has started, when it is over.
void service_run::log_programs() {
    const auto counts = program_counts();
    if (!counts || !log_.wants(severity::info)) {
        return;
    }
    fields what{{"started", counts->started}};
    for (const auto& [name, count] : {std::pair{"not_started", counts->not_started},
                                      {"succeeded", counts->succeeded},
                                      {"failed", counts->failed},
                                      {"crashed", counts->crashed},
                                      {"overtime", counts->overtime},
                                      {"stopped", counts->stopped},
                                      {"lost", counts->lost},
                                      {"killed", counts->killed}}) {
        if (count != 0) {
            what.push_back({name, count});
        }
    }
    what.push_back({"run_time", std::chrono::duration<double>{counts->run_time}.count()});
    log_.write(severity::info, "programs in all", what);
}

void service_run::log_dropped_lines() {
    const auto counts = program_counts();
    const auto dropped = counts ? counts->lines_dropped : 0;
    if (std::exchange(lines_dropped_told_, dropped) != dropped) {
        log_.write(severity::warning, "lines of stderr were dropped: too many",
                   {{"dropped", dropped}});
    }
}

} // namespace portico::app
