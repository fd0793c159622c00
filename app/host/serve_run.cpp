#include "host/serve_run.hpp"

#include "log/listen_log.hpp"
#include "service/signals_blocked.hpp"

#include "portico/os/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <new>
#include <utility>

namespace portico::app {

using boost::system::error_code;

int serve_run::run() {
    for (const int each : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
        signals_.add(each);
    }
    // Who started us may have ignored it, and then nobody could tell how a program ended.
    std::signal(SIGCHLD, SIG_DFL);
    os::raise_descriptor_limit();
    wait_for_signal();
    if (!take_over() || !claim_pid_file()) {
        return exit_code(side::system);
    }
    manager_.start_watchdog(context_);
    start_until_ = deadline::after(os::now(), first_.timeout.value_or(std::chrono::seconds{10}));
    begin(std::move(first_));
    for (;;) {
        try {
            context_.run();
            block_signals_until_exit();
            if (names_) {
                names_->stop(); // who waits for one is logged without
            }
            return exit_code_;
        } catch (const std::bad_alloc&) { // what was going on is lost, and the services go on
            log_.write(severity::error, "out of memory", {});
            if (coming_ && !ending_) {
                fail("out of memory", side::system);
            }
        }
    }
}

os::sys_result<std::vector<run::held_socket>> serve_run::shared_sockets() const {
    std::vector<run::held_socket> all;
    if (is_starting_ && !given_.empty()) {
        return run::share(given_);
    }
    for (const auto& each : services_) {
        auto some = each.run->sockets().share(each.config.wishes);
        if (!some) {
            return tl::unexpected{some.error()};
        }
        std::move(some->begin(), some->end(), std::back_inserter(all));
    }
    return all;
}

void serve_run::reload() {
    if (coming_ || after_ || before_) {
        again_ = true;
        return;
    }
    os::notice reloading;
    reloading.reloading = os::now();
    manager_.tell(reloading, log_);
    std::move(reload_asked_.begin(), reload_asked_.end(), std::back_inserter(reload_answers_));
    reload_asked_.clear();
    auto read = read_config(path_, outer_);
    if (read) {
        return begin(*std::move(read));
    }
    for (const auto& each : read.error()) {
        const bool is_outer = std::any_of(outer_.begin(), outer_.end(), [&](const auto& one) {
            return one.source == each.where.file;
        });
        fields what{{is_outer ? "config.setting" : "config.file", each.where.file}};
        if (each.where.at.line != 0) {
            what.push_back({"config.line", std::uint64_t{each.where.at.line}});
            what.push_back({"config.column", std::uint64_t{each.where.at.column}});
        }
        what.push_back({"detail", each.text});
        if (!each.hint.empty()) {
            what.push_back({"hint", each.hint});
        }
        log_.write(severity::error, "wrong in the configuration", what);
    }
    count_failed_reload();
    log_.write(severity::error, "not reloaded: everything goes on as it was",
               {{"errors", std::uint64_t{read.error().size()}}});
    answer_reload({exit_code(side::caller), "not reloaded: everything goes on as it was\n"
                                            "the configuration is wrong:\n" +
                                                to_text(read.error())});
    tell_ready();
    finish();
}

void serve_run::count_failed_reload() {
    ++reloads_failed_;
    last_reload_failed_ = true;
}

// It says so as soon as nobody else accepts any more.
void serve_run::tell_ready() {
    os::notice told;
    told.ready = true;
    const auto count = number_of_services();
    told.status = std::to_string(count) + (count == 1 ? " service" : " services") +
                  (reloads_ == 0 ? "" : ", reloaded " + std::to_string(reloads_) + " times") +
                  (last_reload_failed_ ? "; the last reload failed, the log says why" : "");
    manager_.tell(told, log_);
    if (const auto sockets = shared_sockets()) {
        manager_.keep(*sockets, log_);
    }
    background_.tell_ready();
}

// ---- signals ----

void serve_run::wait_for_signal() {
    signals_.async_wait([this](error_code wrong, int number) {
        if (!wrong) {
            wait_for_signal(); // first: the other may throw for want of memory
            handle_signal(number);
        }
    });
}

void serve_run::handle_signal(int number) {
    if (number == SIGHUP || number == SIGUSR2) {
        if (!ending_) {
            number == SIGHUP ? reload() : hand_over();
        } else { // meant for whoever goes on; nobody, unless there was a handover
            static_cast<void>(successor_.kill(number));
        }
    } else if (number == SIGUSR1) {
        log_.write(severity::warning, "serve has no use for this signal; its log is stderr",
                   {{"signal", std::string{"USR1"}}});
    } else if (number == SIGTERM && !ending_) {
        drain("TERM");
    } else {
        stop_now(number == SIGTERM ? "TERM" : "INT");
    }
}

std::size_t serve_run::number_of_services() const {
    return static_cast<std::size_t>(
        std::count_if(services_.begin(), services_.end(),
                      [](const hosted_service& each) { return !each.config.part; }));
}

void serve_run::add_counts(fields& to) const {
    std::uint64_t connections = 0;
    for (const auto& each : services_) {
        connections += each.run->connections();
    }
    for (const auto& each : leaving_) {
        connections += each->connections();
    }
    to.push_back({"services", std::uint64_t{number_of_services()}});
    to.push_back({"connections", connections});
}

void serve_run::drain(std::string_view signal) {
    ending_ = true;
    refuse_orders();
    if (!before_) { // else it is not us whom the manager runs
        os::notice stopping;
        stopping.stopping = true;
        manager_.tell(stopping, log_);
        manager_.keep({}, log_); // they end with us
    }
    network_.reset();
    retry_.cancel();
    if (after_) { // the next process ends without us
        pause(false);
        after_.reset();
    }
    fields what;
    if (!signal.empty()) {
        what.push_back({"signal", std::string{signal}});
    }
    add_counts(what);
    if (coming_) {
        give_up_transition();
    }
    for (const auto& each : leaving_) {
        each->drain(); // nobody goes on with their sockets now
    }
    for (const auto& each : take_services()) {
        // Until the process before us has let go, it may still go on with them.
        each->drain(before_ ? each->open_sockets() : std::vector<kept_socket>{});
    }
    log_.write(severity::info, "stopping when the last connection has ended", what);
    sweep_soon();
}

void serve_run::stop_now(std::string_view signal) {
    fields what{{"signal", std::string{signal}}};
    add_counts(what);
    log_.write(severity::info, "stopping at once", what);
    if (!std::exchange(ending_, true) && !before_) {
        manager_.keep({}, log_); // they end with us
    }
    after_.reset();
    refuse_orders();
    if (coming_) {
        give_up_transition();
    }
    for (const auto& each : take_services()) {
        if (before_) {
            each->drain(each->open_sockets());
        }
    }
    for (const auto& each : std::vector{leaving_}) {
        each->stop_now();
    }
    sweep_soon();
}

// Parts of the host answer to the end.
std::vector<std::shared_ptr<service_run>> serve_run::take_services() {
    std::vector<std::shared_ptr<service_run>> taken;
    std::erase_if(services_, [&](const hosted_service& each) {
        if (!each.config.part) {
            taken.push_back(each.run);
        }
        return !each.config.part;
    });
    leaving_.insert(leaving_.end(), taken.begin(), taken.end());
    return taken;
}

// Not at once: who tells that he is over is still on the stack.
void serve_run::sweep_soon() {
    boost::asio::post(context_, [this] { sweep(); });
}

void serve_run::sweep() {
    std::erase_if(leaving_, [](const auto& each) { return each->is_over(); });
    if (ending_ && leaving_.empty()) {
        for (const auto& each : services_) { // files that somebody goes on with stay
            each.run->drain(before_ ? each.run->open_sockets() : std::vector<kept_socket>{});
            each.run->stop_now();
        }
        context_.stop();
    }
}

// ---- counters ----

void serve_run::watch_counters() {
    every_second_.expires_after(std::chrono::seconds{1});
    every_second_.async_wait([this](error_code wrong) {
        if (wrong || ending_) {
            return;
        }
        for (const auto& each : services_) {
            each.run->log_counters();
        }
        if (names_) {
            log_nameless(log_, *names_, nameless_);
        }
        std::erase_if(failed_, [](os::child& each) {
            const auto ended = each.reap();
            return !ended || *ended; // or somebody else was faster
        });
        watch_counters();
    });
}

} // namespace portico::app
