// From one configuration to the next: all that is new is there before anything that runs is
// touched.

#include "host/fixed_settings.hpp"
#include "host/serve_run.hpp"
#include "log/listen_log.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"
#include "portico/run/diagnose.hpp"

#include <algorithm>
#include <functional>
#include <iostream>
#include <iterator>
#include <utility>

namespace portico::app {
namespace {

constexpr duration between_tries = std::chrono::milliseconds{100};
constexpr duration longest_pause = std::chrono::seconds{30};
constexpr std::size_t fewest_descriptors = 16; // besides sockets

std::string in_service(const service_config& which) {
    return "service " + which.name;
}

std::vector<kept_socket> sockets_of(const std::vector<hosted_service>& all) {
    std::vector<kept_socket> made;
    for (const auto& each : all) {
        auto some = each.run->open_sockets();
        std::move(some.begin(), some.end(), std::back_inserter(made));
    }
    return made;
}

std::vector<os::file_identity> files_of(const std::vector<kept_socket>& which) {
    std::vector<os::file_identity> made;
    for (const auto& each : which) {
        if (each.file) {
            made.push_back(*each.file);
        }
    }
    return made;
}

// Its sockets come and go with the addresses of this host.
bool follows(const plan::wish& which) {
    return std::holds_alternative<ip::interface_name>(which.where.where) ||
           std::holds_alternative<ip::own_addresses>(which.where.where);
}

// It may have no socket for now.
bool waits(const service_config& which) {
    return std::any_of(which.wishes.begin(), which.wishes.end(),
                       [](const auto& each) { return each.needed == plan::need::later; });
}

// A socket at the one address keeps another one from the other: the same port, on whatever address,
// for a wildcard has them all.
bool keeps_out(const ip::any_endpoint& there, const ip::any_endpoint& wanted) {
    const auto* one = std::get_if<ip::endpoint>(&there);
    const auto* other = std::get_if<ip::endpoint>(&wanted);
    return one != nullptr && other != nullptr ? one->port == other->port : there == wanted;
}

// The attempts that failed, of the wishes that `counts` picks.
std::string failures(run::listen_report report, const std::function<bool(std::size_t)>& counts) {
    std::erase_if(report.attempts, [&](const run::open_attempt& each) {
        return !each.why || !counts(report.made.sockets[each.planned].wish);
    });
    report.missing.reset();
    std::erase_if(report.made.remarks, [&](const auto& each) { return !counts(each.wish); });
    return report.text();
}

bool is_same(const plan::wish& one, const plan::wish& other) {
    return one.where == other.where && one.over == other.over && one.only == other.only;
}

// A name may have addresses that this host has not, and all addresses may be of one family.
bool may_be_elsewhere(const plan::wish& which, const error& why) {
    return !std::holds_alternative<ip::address>(which.where.where) &&
           (why.code == std::errc::address_not_available ||
            why.code == std::errc::address_family_not_supported);
}

bool is_binders(const run::open_attempt& each) {
    const auto* at = std::get_if<ip::endpoint>(&each.at);
    return each.why && each.why->code == std::errc::permission_denied && at != nullptr &&
           at->port != 0 && at->port < 1024;
}

bool same_sockets(const std::vector<kept_socket>& left, const std::vector<kept_socket>& right) {
    return left.size() == right.size() &&
           std::all_of(left.begin(), left.end(), [&](const kept_socket& one) {
               return std::any_of(right.begin(), right.end(), [&](const kept_socket& other) {
                   return one.is_where(other) && one.file == other.file;
               });
           });
}

// A relay is told at its start whether to tell of each end.
bool has_ends(const log_settings& which) {
    return which.least <= severity::info;
}

} // namespace

void serve_run::begin(serve_config next, bool by_network) {
    coming_ = std::make_unique<transition>();
    auto& now = *coming_;
    now.next = std::move(next);
    now.by_network = by_network;
    for (std::size_t i = 0; i < now.next.services.size(); ++i) {
        for (auto& each : now.next.services[i].wishes) {
            if (follows(each)) {
                each.leave_deprecated = true;
                each.needed = each.needed == plan::need::optional ? plan::need::later : each.needed;
            }
            now.wishes.push_back(each);
            now.of_service.push_back(i);
        }
    }
    if (const auto why = guard_.find_shortage(now.next); !why.empty()) {
        return fail(why, side::caller);
    }
    auto held = shared_sockets();
    if (!held) {
        return fail("its sockets cannot be shared: " + held.error().message(), side::system);
    }
    if (now.next.log.names) {
        now.names = names_ ? names_
                           : std::make_shared<run::reverse_names>(context_.get_executor(),
                                                                  run::reverse_settings{});
    }
    const auto limit = now.next.timeout.value_or(std::chrono::seconds{10});
    run::async_listen(context_.get_executor(), now.wishes, *std::move(held),
                      deadline::after(os::now(), limit), guard_.bind_call(),
                      [this](run::listen_outcome outcome) { handle_opened(std::move(outcome)); });
}

void serve_run::handle_opened(run::listen_outcome outcome) {
    if (ending_) {
        if (outcome.sockets) {
            outcome.sockets->close(files_of(others_sockets()));
        }
        return;
    }
    if (is_still_ours(outcome.report)) {
        if (outcome.sockets) {
            outcome.sockets->close(files_of(others_sockets()));
        }
        return begin_again_soon(between_tries);
    }
    if (outcome.report.why && try_again_later(outcome.report)) {
        return;
    }
    if (outcome.report.why) {
        return fail(outcome.report.text() + about_binder(outcome.report), outcome.report.why->who);
    }
    if (!coming_->by_network) { // which is tried again and again
        run::explain(outcome.report);
    }
    log_remarks(log_, outcome.report, coming_->wishes);
    coming_->misses_some = misses_some(outcome.report);
    const auto& report = outcome.report;
    const auto shared = shared_by(outcome.report.made);
    if (!shared.empty()) {
        outcome.sockets->close(files_of(others_sockets()));
        return fail(shared, side::caller);
    }
    spread(std::move(*outcome.sockets).release());
    for (std::size_t i = 0; i < coming_->made.size(); ++i) {
        const auto& each = coming_->made[i];
        if (each.run->open_sockets().empty() && !waits(each.config)) {
            const auto is_its = [&](std::size_t wish) { return coming_->of_service[wish] == i; };
            return fail(in_service(each.config) + ": none of its sockets could be opened\n" +
                            failures(report, is_its) + about_binder(report),
                        side::system);
        }
    }
    if (const auto missing = half_open(report); !missing.empty()) {
        return fail(missing, side::system);
    }
    if (!reload_answers_.empty()) {
        auto attempts = report; // what was remarked about the plan is in the log
        attempts.made.remarks.clear();
        coming_->not_open = failures(std::move(attempts), [](std::size_t) { return true; });
    }
    prepare();
}

// What a reload asks for that was not asked for before has all of its sockets; empty: so it is. At
// a start one of several is enough, and what was not open then may stay so.
std::string serve_run::half_open(const run::listen_report& report) const {
    if (is_starting_ || coming_->by_network) {
        return {};
    }
    const auto& wishes = coming_->wishes;
    const auto is_new = [&](std::size_t wish) {
        return std::none_of(now_.services.begin(), now_.services.end(), [&](const auto& service) {
            return std::any_of(service.wishes.begin(), service.wishes.end(),
                               [&](const auto& each) { return is_same(each, wishes[wish]); });
        });
    };
    auto failed = report;
    std::erase_if(failed.attempts, [&](const auto& each) {
        const auto wish = report.made.sockets[each.planned].wish;
        return !each.why || !is_new(wish) || may_be_elsewhere(wishes[wish], *each.why);
    });
    if (failed.attempts.empty()) {
        return {};
    }
    const auto& first = report.made.sockets[failed.attempts.front().planned];
    failed.made.remarks.clear();
    return in_service(coming_->next.services[coming_->of_service[first.wish]]) +
           ": not all of its new sockets could be opened\n" + failed.text() + about_binder(failed);
}

// For ports below 1024 that are asked for only now.
std::string serve_run::about_binder(const run::listen_report& report) const {
    const bool is_refused = !is_starting_ && now_.binder &&
                            std::any_of(report.attempts.begin(), report.attempts.end(), is_binders);
    return is_refused ? "    the binder binds to the ports alone that it was started with: name "
                        "those that come later in binder-ports, and restart\n"
                      : "";
}

// Two services cannot have one socket; empty: none have.
std::string serve_run::shared_by(const plan::plan& made) const {
    const auto& now = *coming_;
    for (const auto& each : made.sockets) {
        for (const auto other : each.also_for) {
            const auto& one = now.next.services[now.of_service[each.wish]];
            const auto& two = now.next.services[now.of_service[other]];
            if (one.name != two.name) {
                return in_service(two) + ": " + now.wishes[other].where.text + ": " +
                       in_service(one) + " listens at " + ip::to_text(each.at) +
                       " already; give one of them another address or port";
            }
        }
    }
    return {};
}

// Each service gets a listener of its own.
void serve_run::spread(std::vector<run::bound_socket> sockets) {
    auto& now = *coming_;
    std::vector<std::size_t> first_wish;
    std::size_t next_wish = 0;
    for (const auto& each : now.next.services) {
        first_wish.push_back(std::exchange(next_wish, next_wish + each.wishes.size()));
    }
    std::vector<std::vector<run::bound_socket>> parts(now.next.services.size());
    for (auto& each : sockets) {
        const auto service = now.of_service[each.wish];
        each.wish -= first_wish[service];
        parts[service].push_back(std::move(each));
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto& config = now.next.services[i];
        auto listener = std::make_unique<run::listener>(context_.get_executor(),
                                                        std::move(parts[i]), guard_.bind_call());
        if (config.part) {
            config.choice = own(*config.part);
        }
        const event_log log{log_, {{"service", config.name}}};
        now.made.push_back({config, std::make_shared<service_run>(
                                        context_, log, config.choice, std::move(listener),
                                        config.wishes, [this] { sweep_soon(); })});
        now.made.back().run->use_names(config.part ? nullptr : now.names);
    }
}

// What was asked for in the same words, and has the same sockets, goes on as it is.
void serve_run::prepare() {
    auto& now = *coming_;
    now.preparing = 1;
    const auto has = room(now.made.size());
    for (std::size_t i = 0; i < now.made.size(); ++i) {
        auto& each = now.made[i];
        const auto before =
            std::find_if(services_.begin(), services_.end(), [&](const hosted_service& old) {
                return old.config.name == each.config.name && old.config.text == each.config.text &&
                       (!old.config.choice.relay || has_ends(now_.log) == has_ends(now.next.log)) &&
                       same_sockets(old.run->open_sockets(), each.run->open_sockets());
            });
        if (before != services_.end()) {
            each.run->drain(before->run->open_sockets()); // it has only second descriptors
            each.run = before->run;
            now.goes_on.push_back(before->config.name);
            continue;
        }
        ++now.preparing;
        if (const auto done = each.run->prepare(has, [this] { handle_prepared(); }); !done) {
            return fail(each.config.locate(done.error().what), done.error().who);
        }
    }
    handle_prepared();
}

void serve_run::handle_prepared() {
    if (!coming_ || ending_ || --coming_->preparing != 0) {
        return;
    }
    if (before_) {
        return wait_for_turn();
    }
    swap();
}

// Some are kept for the pipes of relays, which are a sixteenth at most, and for those that look
// after the host, for names and for checks of targets.
descriptor_room serve_run::room(std::size_t services) {
    const auto left = os::descriptors_left();
    const auto for_clients = left - left / 16 - std::min<std::size_t>(64, left / 4);
    if (!budget_) {
        budget_ = std::make_shared<run::descriptor_budget>(for_clients);
    } else {
        budget_->set_left(for_clients);
    }
    return {left, std::max<std::size_t>(1, services), budget_};
}

bool serve_run::goes_on(const hosted_service& which) const {
    const auto& names = coming_->goes_on;
    return std::find(names.begin(), names.end(), which.config.name) != names.end();
}

// From here on both serve, until the old ones have let go.
void serve_run::swap() {
    auto& now = *coming_;
    if (is_starting_) {
        for (const auto& each : now.made) {
            each.run->open_clones();
        }
        if (const auto left = os::descriptors_left(); left < fewest_descriptors) {
            return fail("its sockets leave " + std::to_string(left) +
                            " descriptors, and it needs " + std::to_string(fewest_descriptors) +
                            " at least, and more for its clients; " + std::string{raise_limit},
                        side::system);
        }
        if (const auto done = guard_.enter(now.next, log_); !done) {
            return fail(now.next.locate(done.error()), side::system);
        }
        if (auto binder = guard_.take_child(); binder.pid() > 0) {
            failed_.push_back(std::move(binder)); // for when it ends before us
        }
    }
    if (!is_starting_) {
        log_.set(now.next.log.format, now.next.log.least);
    }
    const auto has = room(now.made.size());
    for (const auto& each : now.made) {
        if (goes_on(each)) {
            continue;
        }
        if (const auto done = each.run->start(has); !done) {
            return fail(each.config.locate(done.error().what), done.error().who);
        }
    }
    const auto budget = room(now.made.size()).budget->total(); // each has its own sockets now
    if (budget < 4 * now.made.size()) {
        log_.write(severity::warning, "there are hardly any descriptors for clients",
                   {{"descriptors", std::uint64_t{budget}},
                    {"services", std::uint64_t{now.made.size()}},
                    {"hint", std::string{raise_limit}}});
    }
    now.sockets_before = sockets_of(services_);
    const auto successors = sockets_of(now.made);
    const auto gone = deadline::after(os::now(), service_run::longest_close);
    for (const auto& each : services_) {
        if (!goes_on(each)) {
            leaving_.push_back(each.run);
            for (auto& socket : each.run->open_sockets()) {
                going_.push_back({std::move(socket), gone});
            }
            each.run->drain(successors);
        }
    }
    const auto before = std::exchange(services_, std::move(now.made));
    tell_done(before);
    coming_.reset();
    if (before_) {
        return tell_serving();
    }
    tell_ready();
    finish();
}

void serve_run::tell_done(const std::vector<hosted_service>& before) {
    if (!is_starting_) {
        coming_->needs_restart = find_fixed_changes(now_, coming_->next);
        keep_fixed(now_, coming_->next);
    }
    now_ = coming_->next;
    use_names();
    retry_.cancel();
    if (coming_->misses_some) {
        follow_network_later();
    } else {
        network_pause_ = {};
    }
    if (std::exchange(is_starting_, false)) {
        std::string lines;
        for (const auto& each : services_) {
            lines += listening_lines(each.run->sockets());
        }
        announce(lines);
        given_.clear(); // what the services have of them they have
        watch_counters();
        watch_network();
        return;
    }
    if (coming_->by_network) {
        return tell_network();
    }
    watch_network();
    const auto unchanged = coming_->goes_on.size();
    last_reload_failed_ = false;
    announce("reloaded " + std::to_string(++reloads_) + '\n');
    log_.write(severity::info, "reloaded",
               {{"reloads", reloads_},
                {"services.unchanged", std::uint64_t{unchanged}},
                {"services.started", std::uint64_t{services_.size() - unchanged}},
                {"services.stopped", std::uint64_t{before.size() - unchanged}}});
    const auto& fixed = coming_->needs_restart;
    if (!fixed.empty()) {
        log_.write(severity::warning, "what has changed besides needs a restart",
                   {{"keys", fixed}});
    }
    answer_reload({0, "reloaded " + std::to_string(reloads_) + ": " + std::to_string(unchanged) +
                          " services went on, " + std::to_string(services_.size() - unchanged) +
                          " began, " + std::to_string(before.size() - unchanged) + " ended\n" +
                          (fixed.empty() ? "" : "needs a restart: " + fixed + '\n') +
                          (coming_->not_open.empty() ? "" : "not open:\n" + coming_->not_open)});
}

// Who waits for a name is logged without when there are none any more.
void serve_run::use_names() {
    if (names_ == coming_->names) {
        return;
    }
    if (names_) {
        names_->stop();
    }
    names_ = coming_->names;
    nameless_ = 0;
    for (const auto& each : services_) {
        each.run->use_names(each.config.part ? nullptr : names_);
    }
}

// Where it listens now and did not before, and the other way round.
void serve_run::tell_network() {
    const auto& was = coming_->sockets_before;
    const auto is = sockets_of(services_);
    const auto tell = [this](std::string_view what, const std::vector<kept_socket>& these,
                             const std::vector<kept_socket>& but_not) {
        for (const auto& each : these) {
            if (std::none_of(but_not.begin(), but_not.end(),
                             [&](const auto& one) { return one.is_where(each); })) {
                log_.write(severity::info, what,
                           {{"network.transport", std::string{ip::to_text(each.over)}},
                            {"network.local.address", ip::to_text(each.at)}});
            }
        }
    };
    tell("an address has come: listening there, too", is, was);
    tell("an address is gone or going: not listening there any more", was, is);
}

// ---- the network ----

// Only when there is something to follow.
void serve_run::watch_network() {
    const bool any = std::any_of(now_.services.begin(), now_.services.end(), [](const auto& each) {
        return std::any_of(each.wishes.begin(), each.wishes.end(), follows);
    });
    if (!any) {
        network_.reset();
    } else if (!network_) {
        auto made = run::network_watch::open(
            context_.get_executor(), [this] { handle_network(); },
            [this](const error& why) {
                log_.write(severity::warning,
                           "addresses have changed and cannot be read: it is tried again",
                           {{"detail", to_text(why)}});
            });
        if (!made) {
            log_.write(severity::error, "addresses that come later will not be seen",
                       {{"detail", to_text(made.error())}});
            return;
        }
        network_ = *std::move(made);
        handle_network(); // what has changed since the plan was made
    }
}

// The same configuration on other addresses.
void serve_run::handle_network() {
    if (ending_) {
        return;
    }
    if (coming_ || after_ || before_) {
        network_again_ = true;
        return;
    }
    begin(now_, true);
}

// A required address that is still being checked for duplicates comes in a second or two.
bool serve_run::try_again_later(const run::listen_report& report) {
    const bool may_come =
        report.missing && std::any_of(coming_->wishes.begin(), coming_->wishes.end(), follows);
    if (!is_starting_ || !may_come || start_until_.has_passed(os::now())) {
        return false;
    }
    begin_again_soon(between_tries);
    return true;
}

void serve_run::begin_again_soon(duration pause) {
    retry_.expires_after(pause);
    retry_.async_wait([this](boost::system::error_code wrong) {
        if (!wrong && !ending_) {
            const auto before = std::exchange(coming_, nullptr);
            begin(std::move(before->next), before->by_network);
        }
    });
}

// Whether an address is taken, and by nobody else than a service of ours that is ending.
bool serve_run::is_still_ours(const run::listen_report& report) {
    const auto now = os::now();
    std::erase_if(going_, [&](const going_socket& each) { return each.until.has_passed(now); });
    return std::any_of(report.attempts.begin(), report.attempts.end(), [&](const auto& tried) {
        return tried.why && tried.why->code == std::errc::address_in_use &&
               std::any_of(going_.begin(), going_.end(), [&](const going_socket& each) {
                   return each.which.over == report.made.sockets[tried.planned].over &&
                          keeps_out(each.which.at, tried.at);
               });
    });
}

bool serve_run::misses_some(const run::listen_report& report) const {
    return std::any_of(report.attempts.begin(), report.attempts.end(), [&](const auto& tried) {
        return tried.why && follows(coming_->wishes[report.made.sockets[tried.planned].wish]);
    });
}

// What failed may work later: a resource was short, or an address not quite there.
void serve_run::follow_network_later() {
    network_pause_ = std::clamp<duration>(2 * network_pause_, between_tries, longest_pause);
    retry_.expires_after(network_pause_);
    retry_.async_wait([this](boost::system::error_code wrong) {
        if (!wrong && !ending_) {
            handle_network();
        }
    });
}

void serve_run::fail(const diagnostic& why, side who) {
    auto text = to_text(std::vector<diagnostic>{why});
    text.pop_back();
    fail(text, who);
}

// Those that somebody goes on with if we do not: our running services, or the process before us.
std::vector<kept_socket> serve_run::others_sockets() const {
    auto all = sockets_of(services_);
    for (const auto& each : given_) {
        all.push_back({each.socket.over, each.socket.at, each.socket.file, each.socket.interface});
    }
    return all;
}

// What was made for nothing goes; of what runs nothing has changed.
void serve_run::fail(const std::string& why, side who) {
    if (is_starting_) {
        if (before_) {
            before_->failed(why);
        }
        std::cerr << "portico: serve: " << why << (why.ends_with('\n') ? "" : "\n");
        exit_code_ = exit_code(who);
        give_up_transition();
        for (const auto& each : leaving_) {
            each->stop_now(); // and lets files alone that others go on with
        }
        return context_.stop();
    }
    if (!coming_->by_network) {
        count_failed_reload();
    }
    log_.set(now_.log.format, now_.log.least);
    log_.write(severity::error,
               coming_->by_network ? "the addresses of this host have changed, and nothing was done"
                                   : "not reloaded: everything goes on as it was",
               {{"detail", why.ends_with('\n') ? why.substr(0, why.size() - 1) : why}});
    const bool by_network = coming_->by_network;
    give_up_transition();
    if (by_network) {
        follow_network_later();
    } else {
        answer_reload({exit_code(who), "not reloaded: everything goes on as it was\n" + why +
                                           (why.ends_with('\n') ? "" : "\n")});
    }
    tell_ready();
    finish();
}

void serve_run::give_up_transition() {
    const auto stay = others_sockets();
    for (const auto& each : coming_->made) {
        if (!goes_on(each)) {
            leaving_.push_back(each.run);
            each.run->drain(stay);
        }
    }
    coming_.reset();
}

void serve_run::finish() {
    if (ending_) {
        return;
    }
    if (std::exchange(again_, false)) {
        network_again_ = false; // it looks at the network anew
        reload();
    } else if (std::exchange(network_again_, false)) {
        handle_network();
    } else if (std::exchange(hand_over_next_, false)) {
        hand_over();
    }
}

} // namespace portico::app
