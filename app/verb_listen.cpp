// portico listen ADDR... (--echo | ... | --to TARGET | -- PROGRAM): one service on every address.

#include "dial_target.hpp"
#include "duration.hpp"
#include "log.hpp"
#include "relay_threads.hpp"
#include "verb.hpp"
#include "wish_options.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"
#include "portico/run/builtin.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/program.hpp"
#include "portico/run/relay.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <poll.h>
#include <random>
#include <unistd.h>

namespace portico::app {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using serve::builtin;

struct builtin_flag {
    builtin which;
    const char* name;
    const char* description;
};
constexpr std::array<builtin_flag, 6> builtin_flags{{
    {builtin::echo, "--echo", "send back what comes (RFC 862)"},
    {builtin::discard, "--discard", "read and drop what comes (RFC 863)"},
    {builtin::daytime, "--daytime", "tell the date and time as text (RFC 867)"},
    {builtin::time, "--time", "tell the seconds since 1900 in 4 bytes, until 2036 (RFC 868)"},
    {builtin::chargen, "--chargen", "send characters, as many as --chargen-limit (RFC 864)"},
    {builtin::hello, "--hello", "tell the client both addresses, in one line"},
}};

struct listen_options {
    explicit listen_options(CLI::App& verb) : where{verb} {}
    wish_options where;
    std::array<bool, builtin_flags.size()> chosen{};
    std::vector<std::string> to;
    std::size_t threads = 0; // 0: one for each core
    std::string balance = "round-robin";
    std::optional<duration> check_every;
    std::optional<duration> idle_limit;
    std::optional<duration> half_closed_limit;
    std::vector<std::string> program;
    std::size_t max_connections = 1000;
    std::uint64_t chargen_limit = run::builtin_options{}.chargen_limit;
    std::optional<duration> timeout;
    std::optional<duration> connect_timeout;
    std::optional<duration> dead_after;
    bool nagle = false;
    bool quiet = false;
    bool verbose = false;
    std::string log_format = "logfmt";

    [[nodiscard]] std::optional<builtin> builtin_service() const {
        const auto found = std::find(chosen.begin(), chosen.end(), true);
        if (found == chosen.end()) {
            return std::nullopt;
        }
        return builtin_flags[static_cast<std::size_t>(found - chosen.begin())].which;
    }
    [[nodiscard]] log_settings logging() const {
        return {log_format == "json" ? app::log_format::json : app::log_format::logfmt,
                quiet     ? severity::error
                : verbose ? severity::debug
                          : severity::info,
                stderr_is_journald()};
    }
};

// ---- what is asked for ----

std::vector<std::string> services_asked(const listen_options& asked) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        if (asked.chosen[i]) {
            all.emplace_back(builtin_flags[i].name);
        }
    }
    if (!asked.to.empty()) {
        all.emplace_back("--to");
    }
    if (!asked.program.empty()) {
        all.emplace_back("-- PROGRAM");
    }
    return all;
}

void list_services(std::ostream& to) {
    to << "    choose one of these:\n";
    for (const auto& each : builtin_flags) {
        to << "      " << each.name << std::string(18 - std::string_view{each.name}.size(), ' ')
           << each.description << '\n';
    }
    to << "      --to HOST:PORT    relay each connection to another service\n"
          "      -- PROGRAM ARG... run a program for each connection\n";
}

// Whether there is exactly one service; explains it when not.
bool one_service(const listen_options& asked) {
    const auto all = services_asked(asked);
    if (all.size() == 1) {
        return true;
    }
    if (all.empty()) {
        std::cerr << "portico: listen: what is to answer the connections is missing\n";
    } else {
        std::cerr << "portico: listen: one service at a time, and there are " << all.size() << ':';
        for (const auto& each : all) {
            std::cerr << ' ' << each;
        }
        std::cerr << '\n';
    }
    list_services(std::cerr);
    return false;
}

// UDP has no connections, so there is nothing to give to a program or to relay.
bool fits_transport(const listen_options& asked, const std::vector<plan::wish>& wishes) {
    const bool udp = std::any_of(wishes.begin(), wishes.end(),
                                 [](const auto& each) { return each.over == ip::transport::udp; });
    if (!udp || asked.builtin_service()) {
        return true;
    }
    std::cerr << "portico: listen: " << services_asked(asked).front()
              << " works on connections, and UDP has none; use TCP (without --udp), or one of the "
                 "built-in services\n";
    return false;
}

// What os::set_dead_after() takes.
bool dead_after_fits(const listen_options& asked) {
    const auto given = asked.dead_after.value_or(std::chrono::seconds{1});
    if (given >= std::chrono::seconds{1} && given <= std::chrono::hours{24 * 24}) {
        return true;
    }
    std::cerr << "portico: listen: --dead-after: from 1s to 24d\n";
    return false;
}

// ---- running it ----

// What a start needs to know of its service, once and before anything is opened.
struct service_choice {
    std::optional<builtin> which; // else `relay` or `program`
    std::optional<run::relay_options> relay;
    run::program_options program;
};

tl::expected<service_choice, std::string> read_relay(const listen_options& asked) {
    service_choice made;
    auto& relay = made.relay.emplace();
    for (const auto& each : asked.to) {
        auto target = parse_dial_target(each);
        if (!target) {
            return tl::unexpected{"--to: " + target.error()};
        }
        relay.targets.push_back(*std::move(target));
    }
    relay.settings.connect_timeout = asked.connect_timeout.value_or(std::chrono::seconds{30});
    if (asked.dead_after) {
        relay.settings.dead_after = std::chrono::ceil<std::chrono::seconds>(*asked.dead_after);
    }
    relay.settings.no_delay = !asked.nagle;
    relay.settings.limits.idle = asked.idle_limit.value_or(duration::max());
    relay.settings.limits.half_closed = asked.half_closed_limit.value_or(duration::max());
    relay.balance = relay::parse_policy(asked.balance).value();
    relay.check_every = asked.check_every;
    return made;
}

tl::expected<service_choice, std::string> read_program(const listen_options& asked) {
    const auto& name = asked.program.front();
    const char* path = std::getenv("PATH");
    const auto found = os::find_program(name, path == nullptr ? "/usr/bin:/bin" : path);
    if (!found) {
        return tl::unexpected{"the program " + name + ": " + found.error().message() +
                              (name.find('/') == std::string::npos
                                   ? "; it was looked for in the directories of PATH"
                                   : "")};
    }
    service_choice made;
    made.program.path = *found;
    made.program.arguments = asked.program;
    made.program.environment = os::environment();
    return made;
}

// The error is for a person.
tl::expected<service_choice, std::string> read_service(const listen_options& asked) {
    if (!asked.to.empty()) {
        return read_relay(asked);
    }
    if (!asked.program.empty()) {
        return read_program(asked);
    }
    service_choice made;
    made.which = asked.builtin_service();
    return made;
}

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
        lines +=
            "listening " + std::string{ip::to_text(each.over)} + ' ' + ip::to_text(each.at) + '\n';
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

// How many connections there are descriptors for. Some are kept for what a start of a program or a
// dial needs for a moment, and for the pipes of a relay.
std::size_t connections_that_fit(const service_choice& choice, std::size_t engines) {
    const auto left = os::descriptors_left();
    const auto pipes = choice.relay ? 2 * engines * choice.relay->settings.max_pipes : 0;
    const auto kept = std::min<std::size_t>(16 + pipes, left / 2);
    return std::max<std::size_t>(1, (left - kept) / (choice.relay ? 2 : 1));
}

std::size_t threads_of(const listen_options& asked) {
    return asked.threads != 0 ? asked.threads : std::max(1U, std::thread::hardware_concurrency());
}

// A sixteenth of the descriptors, as a pipe has two of them and there may be as many for a moment.
std::size_t pipes_that_fit(std::size_t engines) {
    return std::min<std::size_t>(256, os::descriptors_left() / 32 / engines);
}

// One start, from the wishes to the end of the last connection.
class listen_run {
public:
    listen_run(const listen_options& asked, service_choice choice)
        : asked_{asked}, choice_{std::move(choice)}, log_{asked.logging()} {}

    int run(std::vector<plan::wish> wishes);

private:
    void handle_start(run::listen_outcome outcome);
    void log_remarks(const run::listen_report& report);
    void start_services();
    void set_limit();
    void prepare_relay();
    void start_relay();
    void log_relay_counters();
    [[nodiscard]] std::uint64_t connections() const;
    void accept_next();
    void handle_accepted(result<run::accepted> got);
    void handle_end(const run::connection_end& end);
    void log_end(const run::connection_end& end);
    void handle_datagram(const run::datagram_end& end);
    void wait_for_signal();
    void handle_signal(int number);
    void drain(std::string_view signal);
    void stop_now(std::string_view signal);
    void end_if_idle();
    void watch_counters();
    void log_counters();

    const listen_options& asked_;
    service_choice choice_;
    event_log log_;
    asio::io_context context_{1};
    asio::signal_set signals_{context_};
    asio::steady_timer every_second_{context_};
    std::vector<plan::wish> wishes_;
    std::unique_ptr<run::listener> listener_;
    std::unique_ptr<run::stream_service> streams_;
    std::unique_ptr<run::datagram_service> datagrams_;
    std::shared_ptr<run::relay_targets> targets_; // of the relay
    std::unique_ptr<relay_threads> relay_;
    std::size_t active_ = 0;
    std::size_t limit_ = 0; // of active_
    std::uint64_t number_ = 0;
    bool has_streams_ = false;
    bool accepting_ = false;
    bool draining_ = false;
    bool full_ = false; // --max-connections was reached since the last look
    run::accept_counters told_;
    run::accept_counters relay_told_;
    std::uint64_t times_full_told_ = 0;
    std::uint64_t untold_told_ = 0;
    std::uint64_t dropped_told_ = 0;
    int exit_code_ = 0;
};

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
    context_.run();
    return exit_code_;
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
    start_services();
    print(listening_lines(*listener_));
    watch_counters();
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
    if (has_datagrams && !choice_.which) { // inherited ones; others were refused before
        log_.write(severity::error,
                   "datagram sockets are not served: the service needs connections");
    } else if (has_datagrams) {
        run::datagram_options how;
        how.seed = std::random_device{}();
        datagrams_ = std::make_unique<run::datagram_service>(
            executor, listener_->sockets(), *choice_.which, how,
            [this](const run::datagram_end& end) { handle_datagram(end); });
    }
    if (has_streams_ && choice_.relay) {
        set_stream_options(asked_, *listener_);
        prepare_relay();
    } else if (has_streams_) {
        set_stream_options(asked_, *listener_);
        streams_ = make_service(asked_, choice_, executor);
        set_limit();
        accept_next();
    }
}

// Clients wait in the queue until the names of the targets are resolved.
void listen_run::prepare_relay() {
    auto targets = run::resolve_relay_targets(context_.get_executor(), *choice_.relay, [this] {
        if (!draining_) {
            start_relay();
        }
    });
    if (!targets) {
        std::cerr << "portico: listen: --to: " << targets.error() << '\n';
        exit_code_ = exit_code(side::caller);
        context_.stop();
        return;
    }
    targets_ = *std::move(targets);
}

void listen_run::start_relay() {
    if (const auto trouble = targets_->trouble(); !trouble.empty()) {
        log_.write(severity::warning, "a target cannot be found; it is asked for again in 30s",
                   {{"detail", trouble}});
    }
    const auto engines = threads_of(asked_);
    auto& settings = choice_.relay->settings;
    settings.max_pipes = pipes_that_fit(engines);
    set_limit();
    settings.max_connections = limit_;
    run::relay_group::ended tell;
    if (log_.wants(severity::info)) {
        tell = [this](const run::connection_end& end) { log_end(end); };
    }
    auto group = std::make_unique<run::relay_group>(context_.get_executor(), settings, targets_,
                                                    choice_.relay->targets.size(), wishes_.size(),
                                                    engines, std::move(tell));
    auto remarks = group->listen(listener_->sockets());
    if (!remarks) {
        std::cerr << "portico: listen: " << to_text(remarks.error()) << '\n';
        exit_code_ = exit_code(remarks.error().who);
        context_.stop();
        return;
    }
    for (const auto& each : *remarks) {
        log_.write(severity::info, "remark", {{"remark", each}});
    }
    relay_ =
        std::make_unique<relay_threads>(context_, std::move(group), [this] { context_.stop(); });
}

std::uint64_t listen_run::connections() const {
    return relay_ ? relay_->group().active() : active_;
}

// A client that waits in the kernel's queue is better off than one that is refused because no
// descriptor is left.
void listen_run::set_limit() {
    const auto fit = connections_that_fit(choice_, threads_of(asked_));
    limit_ = std::min(asked_.max_connections, fit);
    if (limit_ < asked_.max_connections) {
        log_.write(
            severity::warning, "fewer connections than --max-connections fit",
            {{"max_connections", std::uint64_t{limit_}},
             {"hint", std::string{"raise the limit of open files: ulimit -n, LimitNOFILE="}}});
    }
}

void listen_run::accept_next() {
    if (draining_ || accepting_) {
        return;
    }
    if (active_ >= limit_) {
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
    ++active_;
    ++number_;
    if (log_.wants(severity::debug)) {
        fields what{{"connection", number_}};
        add_endpoints(what, ip::transport::tcp, got->local, got->peer);
        log_.write(severity::debug, "connection began", what);
    }
    streams_->start(*std::move(got), number_,
                    [this](const run::connection_end& end) { handle_end(end); });
    accept_next();
}

void listen_run::handle_end(const run::connection_end& end) {
    --active_;
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
        if (choice_.which || choice_.relay) { // a program's bytes do not come by here
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

void listen_run::drain(std::string_view signal) {
    draining_ = true;
    if (datagrams_) {
        datagrams_->stop();
    }
    if (relay_) {
        relay_->drain(); // it takes who is in the queues
    }
    if (listener_) {
        log_counters(); // they are gone with it
        listener_->close();
    }
    // Who reads this line may count on nobody being let in any more.
    log_.write(severity::info, "stopping when the last connection has ended",
               {{"signal", std::string{signal}}, {"connections", connections()}});
    end_if_idle();
}

void listen_run::stop_now(std::string_view signal) {
    log_.write(severity::info, "stopping at once",
               {{"signal", std::string{signal}}, {"connections", connections()}});
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
    if (streams_) {
        streams_->stop_now();
    }
    end_if_idle();
}

void listen_run::end_if_idle() {
    if (draining_ && active_ == 0 && !relay_) {
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
        log_relay_counters();
    }
    if (std::exchange(full_, false)) {
        log_.write(severity::warning, "full: further clients wait in the kernel's queue",
                   {{"max_connections", std::uint64_t{limit_}}});
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

void listen_run::log_relay_counters() {
    run::accept_counters now;
    std::uint64_t untold = 0;
    std::uint64_t times_full = 0;
    for (std::size_t i = 0; i < relay_->group().size(); ++i) {
        const auto& each = relay_->group().counters(i);
        now.shed += each.shed.value();
        now.aborted += each.accept_failed.value();
        untold += each.ends_untold.value();
        times_full += each.times_full.value();
    }
    if (now.shed != relay_told_.shed) {
        log_.write(severity::error, "out of descriptors or memory", {{"accept.shed", now.shed}});
    }
    if (now.aborted != relay_told_.aborted) {
        log_.write(severity::debug, "clients were gone before they were accepted",
                   {{"accept.aborted", now.aborted}});
    }
    relay_told_ = now;
    full_ = full_ || std::exchange(times_full_told_, times_full) != times_full;
    if (std::exchange(untold_told_, untold) != untold) {
        log_.write(severity::warning, "connections ended that have no line of their own",
                   {{"connections", untold}});
    }
}

int run_listen(const listen_options& asked) {
    if (!one_service(asked)) {
        return exit_code(side::caller);
    }
    auto wishes = asked.where.wishes(std::cerr);
    if (!wishes || !fits_transport(asked, *wishes) || !dead_after_fits(asked)) {
        return exit_code(side::caller);
    }
    auto choice = read_service(asked);
    if (!choice) {
        std::cerr << "portico: listen: " << choice.error()
                  << (choice.error().ends_with('\n') ? "" : "\n");
        return exit_code(side::caller);
    }
    return listen_run{asked, *std::move(choice)}.run(*std::move(wishes));
}

} // namespace

void add_listen(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand("listen", "answer connections on every address");
    const auto asked = std::make_shared<listen_options>(*verb);
    for (std::size_t i = 0; i < builtin_flags.size(); ++i) {
        verb->add_flag(builtin_flags[i].name, asked->chosen[i], builtin_flags[i].description);
    }
    verb->add_option("--to", asked->to,
                     "relay each connection to this service; several, repeated or with commas, "
                     "take turns")
        ->type_name("HOST:PORT")
        ->delimiter(',');
    verb->add_option("--balance", asked->balance,
                     "--to several: round-robin, least-connections or hash (of the client's "
                     "address); default round-robin")
        ->check(CLI::IsMember({"round-robin", "least-connections", "hash"}));
    add_duration(*verb, "--check-every", asked->check_every,
                 "--to: connect to each target so often, to know whether it is there");
    add_duration(*verb, "--idle-limit", asked->idle_limit,
                 "--to: reset connections on which nothing was sent for so long");
    add_duration(*verb, "--half-closed-limit", asked->half_closed_limit,
                 "--to: the same, after one side has sent its end");
    verb->add_option("--threads", asked->threads,
                     "--to: how many threads move bytes; default: one for each core")
        ->check(CLI::Range(1, 1024));
    verb->add_option("--max-connections", asked->max_connections,
                     "while there are so many, further clients wait; default 1000")
        ->check(CLI::Range(1, 1'000'000));
    verb->add_option("--chargen-limit", asked->chargen_limit,
                     "bytes of one connection of --chargen; default 1048576")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 50));
    add_duration(*verb, "-w,--timeout", asked->timeout,
                 "how long names of ADDR may take to resolve; default 10s");
    add_duration(*verb, "--connect-timeout", asked->connect_timeout,
                 "--to: how long to try all addresses of the target; default 30s");
    add_duration(*verb, "--dead-after", asked->dead_after,
                 "give up a client or target that does not answer for so long");
    verb->add_flag("--nagle", asked->nagle, "let small writes wait (no TCP_NODELAY)");
    auto* quiet = verb->add_flag("-q,--quiet", asked->quiet, "log errors only");
    verb->add_flag("-v,--verbose", asked->verbose, "log more: also the start of connections")
        ->excludes(quiet);
    verb->add_option("--log-format", asked->log_format, "logfmt or json; default logfmt")
        ->check(CLI::IsMember({"logfmt", "json"}));
    verb->footer("signals:\n"
                 "  TERM   take no more connections, end with the last one (exit code 0)\n"
                 "  INT, or TERM again   end at once, connections are reset (exit code 0)\n"
                 "\n"
                 "examples:\n"
                 "  portico listen :7 --echo            both families\n"
                 "  portico listen localhost:0 --hello  both loopbacks, any one port\n"
                 "  portico listen [::]:13 --daytime --udp\n"
                 "  portico listen :8080 --to example.org:80\n"
                 "  portico listen unix:/tmp/s -- cat");
    verb->callback([asked, &call] {
        asked->program = call.program;
        call.exit_code = run_listen(*asked);
    });
}

} // namespace portico::app
