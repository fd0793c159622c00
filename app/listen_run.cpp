#include "listen_run.hpp"

#include "log/listen_log.hpp"
#include "service/own_service.hpp"
#include "service/signals_blocked.hpp"
#include "terminal.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"
#include "portico/run/diagnose.hpp"

#include <csignal>
#include <cstring>
#include <iostream>
#include <new>
#include <utility>

namespace portico::app {
namespace {

// nohup(1) has asked for it.
bool is_ignored(int signal) {
    struct sigaction now {};
    return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

std::string name_of(int signal) {
    return ::sigabbrev_np(signal); // each of those that are waited for has a name
}

} // namespace

using boost::system::error_code;

int listen_run::run(std::vector<plan::wish> wishes) {
    for (const int each : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
        signals_.add(each);
    }
    if (!is_ignored(SIGHUP)) {
        signals_.add(SIGHUP);
    }
    has_terminal_ = app::has_terminal();
    // Who started us may have ignored it, and then nobody could tell how a program ended.
    std::signal(SIGCHLD, SIG_DFL);
    os::raise_descriptor_limit();
    wait_for_signal();
    wishes_ = std::move(wishes);
    run::async_listen(context_.get_executor(), wishes_, deadline::after(os::now(), patience_),
                      [this](run::listen_outcome outcome) { handle_start(std::move(outcome)); });
    for (;;) {
        try {
            context_.run();
            block_signals_until_exit();
            if (names_) {
                names_->stop(); // who waits for one is logged without
            }
            return exit_code_;
        } catch (const std::bad_alloc&) { // what was going on is lost, and the service goes on
            log_.write(severity::error, "out of memory", {});
        }
    }
}

void listen_run::fail(const std::string& why, side who) {
    std::cerr << "portico: listen: " << why << (why.ends_with('\n') ? "" : "\n");
    exit_code_ = exit_code(who);
    context_.stop();
}

void listen_run::fail(const service_failure& why) {
    fail(why.what.as_option(), why.who);
}

// ---- starting ----

void listen_run::handle_start(run::listen_outcome outcome) {
    if (outcome.report.why) {
        return fail(outcome.report.text(), outcome.report.why->who);
    }
    run::explain(outcome.report);
    log_remarks(log_, outcome.report, wishes_);
    const auto status = choice_.status;
    service_ = std::make_shared<service_run>(context_, log_, std::move(choice_),
                                             std::move(outcome.sockets), wishes_,
                                             [this] { context_.stop(); });
    service_->use_names(names_);
    if (status) {
        return open_status(*status);
    }
    start_service();
}

// Before anything is answered, so that who sees it listening can ask.
void listen_run::open_status(const ip::unix_name& where) {
    began_ = os::now();
    const std::vector wishes{private_wish(where)};
    run::async_listen(
        context_.get_executor(), wishes, deadline::after(began_, patience_),
        [this, wishes](run::listen_outcome outcome) { start_status(std::move(outcome), wishes); });
}

void listen_run::start_status(run::listen_outcome outcome, const std::vector<plan::wish>& wishes) {
    if (ending_) {
        return;
    }
    if (outcome.report.why) {
        return fail("--status: " + outcome.report.text(), outcome.report.why->who);
    }
    log_remarks(log_, outcome.report, wishes);
    const event_log log{log_, {{"service", std::string{"status"}}}};
    status_ = std::make_shared<service_run>(
        context_, log, own_choice([this](const asio::any_io_executor& executor) {
            return make_status_service(executor, status_speech::lines,
                                       [this](status_form how) { return status(how); });
        }),
        std::move(outcome.sockets), wishes, [] {});
    if (const auto done = status_->start({os::descriptors_left()}); !done) {
        return fail(done.error());
    }
    start_service();
}

std::string listen_run::status(status_form how) const {
    host_figures now;
    now.now = os::now();
    now.up = now.now - began_;
    now.process = read_process_figures();
    auto& alone = now.services.emplace_back();
    alone.now = now.now;
    service_->read(alone);
    return how == status_form::table  ? to_table(now)
           : how == status_form::json ? to_json(now)
                                      : to_prometheus(now);
}

void listen_run::start_service() {
    const auto prepared = service_->prepare({os::descriptors_left()}, [this] {
        if (const auto done = service_->start({os::descriptors_left()}); !done) {
            fail(done.error());
        }
    });
    if (!prepared) {
        return fail(prepared.error());
    }
    announce(listening_lines(service_->sockets()));
    watch_counters();
}

void listen_run::watch_counters() {
    every_second_.expires_after(std::chrono::seconds{1});
    every_second_.async_wait([this](error_code wrong) {
        if (!wrong && !ending_) {
            service_->log_counters();
            if (names_) {
                log_nameless(log_, *names_, nameless_);
            }
            watch_counters();
        }
    });
}

// ---- signals ----

void listen_run::wait_for_signal() {
    signals_.async_wait([this](error_code wrong, int number) {
        if (!wrong) {
            wait_for_signal(); // first: the other may throw for want of memory
            handle_signal(number);
        }
    });
}

void listen_run::handle_signal(int number) {
    const fields what{{"signal", name_of(number)}};
    if (number == SIGUSR1 || number == SIGUSR2) {
        log_.write(severity::warning, "listen has no use for this signal; its log is stderr", what);
    } else if (number == SIGHUP && !has_terminal_) {
        log_.write(severity::warning, "listen has no configuration to reload", what);
    } else { // a terminal that has ended takes along what was started there
        stop(number, number != SIGINT && !ending_);
    }
}

void listen_run::stop(int signal, bool gently) {
    fields what{{"signal", name_of(signal)}};
    if (service_) {
        service_->add_counts(what);
    }
    ending_ = true;
    if (!gently) {
        log_.write(severity::info, "stopping at once", what);
    }
    if (!service_) {
        return context_.stop();
    }
    if (!gently) {
        return service_->stop_now();
    }
    service_->drain();
    // Who reads this line may count on nobody being let in any more.
    log_.write(severity::info, "stopping when the last connection has ended", what);
}

} // namespace portico::app
