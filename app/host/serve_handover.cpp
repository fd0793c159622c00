// From the process before us, and to the next one.

#include "host/serve_run.hpp"
#include "log/listen_log.hpp"

#include <boost/asio/post.hpp>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <unistd.h>
#include <utility>

namespace portico::app {

// True: there is no process before us, or its sockets are here.
bool serve_run::take_over() {
    const char* number = std::getenv(handover_variable);
    if (number == nullptr) {
        given_ = manager_link::kept();
        return !take_from_ || take_from(*take_from_);
    }
    int channel = -1;
    std::from_chars(number, number + std::strlen(number), channel);
    ::unsetenv(handover_variable); // it is not for our programs
    auto made = handover_in::take(context_, os::fd{channel});
    if (!made) {
        std::cerr << "portico: serve: " << handover_variable << '=' << number << ": "
                  << made.error() << '\n';
        return false;
    }
    before_ = *std::move(made);
    if (const char* count = std::getenv(handover_count_variable)) {
        std::from_chars(count, count + std::strlen(count), handovers_);
        ::unsetenv(handover_count_variable);
    }
    ++handovers_;
    given_ = before_->take_sockets();
    auto besides = before_->take_carried();
    if (const auto done = guard_.take(besides); !done) {
        before_->failed(done.error());
        std::cerr << "portico: serve: " << done.error() << '\n';
        return false;
    }
    if (auto file = pid_file::among(besides)) {
        pid_file_.emplace(*std::move(file));
    }
    return true;
}

bool serve_run::claim_pid_file() {
    if (pid_file_ || first_.pid_file.empty()) {
        return true;
    }
    auto made = pid_file::take(first_.pid_file);
    if (!made) {
        const auto why =
            to_text(std::vector{first_.locate(setting_error{"pid-file", made.error()})});
        std::cerr << "portico: serve: " << why;
        if (before_) {
            before_->failed(why);
        }
        return false;
    }
    pid_file_.emplace(*std::move(made));
    return true;
}

bool serve_run::take_from(pid_t which) {
    auto taken = take_sockets_of(which);
    if (!taken) {
        std::cerr << "portico: serve: --take-from: " << taken.error() << '\n';
        return false;
    }
    std::move(taken->begin(), taken->end(), std::back_inserter(given_));
    log_.write(severity::warning,
               "sockets of another process are here as well: end it, and it "
               "will not take connections any more",
               {{"process.pid", static_cast<std::uint64_t>(which)},
                {"sockets", std::uint64_t{given_.size()}}});
    return true;
}

void serve_run::wait_for_turn() {
    const auto go = [this] {
        if (coming_ && !ending_) {
            swap();
        }
    };
    before_->ready(go, [this] {
        if (ending_) {
            return;
        }
        log_.write(severity::error, "the process before us goes on without us");
        exit_code_ = exit_code(side::system);
        drain();
    });
}

void serve_run::tell_serving() {
    before_->serving([this] {
        log_.write(severity::info, "the process before us has handed over");
        if (pid_file_) {
            pid_file_->write();
        }
        // Not within the call of what is to be destroyed.
        boost::asio::post(context_, [this] {
            before_.reset();
            tell_ready();
            finish();
        });
    });
}

void serve_run::hand_over() {
    if (coming_ || after_ || before_) {
        hand_over_next_ = true;
        return;
    }
    auto sockets = shared_sockets();
    if (!sockets) {
        return handle_not_handed_over(sockets.error().message());
    }
    program_.variables = manager_.variables();
    auto besides = guard_.carried();
    if (pid_file_) {
        pid_file_->add_to(besides);
    }
    program_.variables.push_back(std::string{handover_count_variable} + '=' +
                                 std::to_string(handovers_));
    after_ = std::make_unique<handover_out>(
        context_,
        handover_out::events{[this](bool on) { pause(on); },
                             [this](const handover_report& report) { handle_handed_over(report); },
                             [this](const std::string& why) { handle_not_handed_over(why); }});
    auto next = program_;
    if (const auto asked = std::exchange(handover_program_, {}); !asked.empty()) {
        next.path = asked;
    }
    if (const auto begun = after_->start(next, *std::move(sockets), std::move(besides)); !begun) {
        handle_not_handed_over(begun.error());
    }
}

void serve_run::pause(bool on) {
    for (const auto& each : services_) {
        each.run->pause(on);
    }
}

void serve_run::handle_not_handed_over(const std::string& why) {
    ++handovers_failed_;
    log_.write(severity::error, "not handed over: everything goes on as it was",
               {{"detail", why.ends_with('\n') ? why.substr(0, why.size() - 1) : why}});
    answer_handover({exit_code(side::system), "not handed over: everything goes on as it was\n" +
                                                  why + (why.ends_with('\n') ? "" : "\n")});
    boost::asio::post(context_, [this] {
        if (after_) {
            failed_.push_back(after_->take_child());
            after_.reset();
        }
        finish();
    });
}

void serve_run::handle_handed_over(const handover_report& report) {
    fields what;
    add_report(what, report);
    add_counts(what);
    announce(std::to_string(::getpid()) + " handed over to " + std::to_string(report.successor) +
             '\n');
    log_.write(severity::info, "handed over; stopping when the last connection has ended", what);
    answer_handover({0, to_text(report)});
    successor_ = after_->take_child();
    if (std::exchange(again_, false)) { // HUP came meanwhile
        static_cast<void>(successor_.kill(SIGHUP));
        reload_answers_ = std::move(reload_asked_);
        answer_reload({0, "process " + std::to_string(report.successor) +
                              " goes on, and reads the file again\n"});
    }
    ending_ = true;
    if (pid_file_) {
        pid_file_->let_go();
    }
    os::notice next;
    next.main_process = report.successor;
    manager_.tell(next, log_);
    network_.reset();
    for (auto& each : std::exchange(services_, {})) {
        leaving_.push_back(each.run);
        each.run->drain(each.run->open_sockets()); // somebody goes on with all of them
    }
    boost::asio::post(context_, [this] { after_.reset(); });
    sweep_soon();
}

} // namespace portico::app
