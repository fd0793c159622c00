#include "serve/program_process.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <unistd.h>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

// Between two looks at a program that cannot be watched, for want of pidfds or of a descriptor.
constexpr auto look_again = std::chrono::milliseconds{50};

error failed(int number, operation op, side who) {
    return {{number, std::system_category()}, op, who, {}};
}

} // namespace

program_process::program_process(program_host& host, std::uint64_t number, ended done)
    : host_{host}, number_{number}, done_{std::move(done)}, began_{os::now()}, watch_{
                                                                                   host.executor} {}

// ---- its start ----

struct program_process::birth {
    std::shared_ptr<const program_options> how;
    os::fd connection; // ours to close
    int in = -1;
    int out = -1;
    bool as_inherited = false;
    std::vector<std::string> environment;

    os::pipe_ends errors{};
    tl::expected<os::child, os::spawn_failure> program{};

    void make();
};

// On whatever thread.
void program_process::birth::make() {
    static_cast<void>(os::set_blocking(in, true)); // a socket has no reason to fail
    std::array<int, 4> descriptors{in, out, STDERR_FILENO, in};
    if (how->errors == error_output::connection) {
        descriptors[2] = out;
    } else if (how->errors == error_output::log) {
        auto pipe = os::pipe2();
        if (!pipe) {
            program = tl::unexpected{
                os::spawn_failure{os::spawn_step::descriptors, pipe.error(), STDERR_FILENO}};
            return;
        }
        errors = std::move(*pipe);
        descriptors[2] = errors.write.raw();
    }
    program = os::spawn(how->path, how->arguments, environment,
                        std::span{descriptors}.first(as_inherited ? 4 : 3), how->settings);
    errors.write.reset();
    if (!program && connection) {
        static_cast<void>(os::set_linger_reset(in)); // else it is a plain close
    }
    // It is the program's alone from here on: its end is the connection's end.
    connection.reset();
}

std::shared_ptr<program_process::birth>
program_process::prepare(std::span<const serve::variable> variables) const {
    auto made = std::make_shared<birth>();
    made->how = host_.shared_options;
    made->environment = serve::program_environment(host_.options.environment, variables);
    return made;
}

void program_process::start(os::fd connection, std::span<const serve::variable> variables) {
    auto to_make = prepare(variables);
    to_make->in = to_make->out = connection.raw();
    to_make->connection = std::move(connection);
    if (!host_.options.starters) {
        to_make->make();
        return handle_born(*to_make);
    }
    asio::post(host_.options.starters, [to_make, self = shared_from_this(),
                                        busy = asio::make_work_guard(host_.executor)]() mutable {
        to_make->make();
        // Its owner may let go of it meanwhile, and it must not end on this thread.
        asio::post(busy.get_executor(), [to_make, self = std::move(self)] {
            if (!self->over_) {
                self->handle_born(*to_make);
            }
        });
    });
}

void program_process::start_waiting(int socket, std::span<const serve::variable> variables) {
    const auto to_make = prepare(variables);
    to_make->in = to_make->out = socket;
    to_make->as_inherited = true;
    to_make->make();
    handle_born(*to_make);
}

void program_process::start_between(int in, int out, std::span<const serve::variable> variables) {
    const auto to_make = prepare(variables);
    to_make->in = in;
    to_make->out = out;
    to_make->make();
    handle_born(*to_make);
}

void program_process::handle_born(birth& made) {
    if (!made.program) {
        return handle_not_started(made.program.error());
    }
    ++host_.counters.started;
    is_born_ = true;
    program_ = std::move(*made.program);
    if (made.errors.read) {
        errors_ = std::make_shared<error_reader>(host_, std::move(made.errors.read), number_,
                                                 program_.pid());
        errors_->start();
    }
    if (const auto limit = host_.options.time_limit) {
        set_timer(*limit, &program_process::handle_overtime);
    }
    watch();
    if (stop_at_birth_) {
        force(forced::stopped);
    }
}

void program_process::handle_not_started(const os::spawn_failure& failed) {
    ++host_.counters.not_started;
    end_.started = false;
    end_.why = error{failed.why, operation::spawn, side::system, {}};
    end_.detail = explain(failed, host_.options);
    asio::post(host_.executor, [self = shared_from_this()] {
        if (!self->over_) {
            self->finish();
        }
    });
}

// ---- its end ----

void program_process::watch() {
    error_code wrong;
    if (!watch_.is_open() && program_.process() >= 0) {
        watch_.assign(program_.process(), wrong);
    }
    auto then = [self = shared_from_this()](error_code) {
        if (!self->over_) {
            self->handle_look();
        }
    };
    if (watch_.is_open()) {
        watch_.async_wait(asio::posix::stream_descriptor::wait_read, std::move(then));
        return;
    }
    if (!look_) {
        look_.emplace(host_.executor);
    }
    look_->expires_after(look_again);
    look_->async_wait(std::move(then));
}

void program_process::handle_look() {
    if (watch_.is_open()) {
        watch_.release(); // the child owns the descriptor, and closes it when it is reaped
    }
    // While it is not reaped, nobody else can have its process group.
    if (forced_ != forced::no && program_.has_ended()) {
        static_cast<void>(program_.kill_group(SIGKILL));
    }
    const auto report = program_.reap();
    if (report && !*report) {
        return watch();
    }
    end_.lasted = os::now() - began_;
    if (report) {
        count(**report);
    } else {
        ++host_.counters.lost;
        end_.why = failed(report.error().value(), operation::spawn, side::system);
        end_.detail = "how the program ended was told to somebody else; is SIGCHLD ignored?";
    }
    finish();
}

void program_process::count(const os::exit_report& report) {
    auto& counts = host_.counters;
    end_.exit_status = report.status();
    const bool obeyed = is_asked_ && report.by_signal && report.number == SIGTERM;
    if (forced_ == forced::stopped || (forced_ == forced::no && obeyed)) {
        ++counts.stopped;
        end_.why = failed(ECANCELED, operation::close, side::caller);
    } else if (forced_ == forced::overtime) {
        ++counts.overtime;
        end_.why = failed(ETIMEDOUT, operation::close, side::caller);
        end_.detail = "the program ran into its time limit";
    } else if (report.by_signal) {
        ++counts.crashed;
    } else {
        ++(report.number == 0 ? counts.succeeded : counts.failed);
    }
}

void program_process::finish() {
    host_.counters.run_time += end_.lasted;
    over_ = true;
    timer_.reset();
    if (errors_) {
        errors_->finish();
    }
    const auto self = shared_from_this(); // whom it is told to lets go of it
    const auto tell = std::move(done_);
    tell(std::move(end_));
}

// ---- ending it ----

void program_process::set_timer(duration after, void (program_process::*then)()) {
    if (!timer_) {
        timer_.emplace(host_.executor);
    }
    timer_->expires_after(after);
    timer_->async_wait([weak = weak_from_this(), then](error_code wrong) {
        const auto self = weak.lock();
        if (!wrong && self && !self->over_) {
            (self.get()->*then)();
        }
    });
}

void program_process::force(forced why) {
    if (forced_ != forced::no) {
        return; // it is on its way
    }
    forced_ = why;
    static_cast<void>(program_.kill_group(SIGTERM));
    set_timer(host_.options.grace, &program_process::handle_grace_over);
}

void program_process::handle_grace_over() {
    ++host_.counters.killed;
    static_cast<void>(program_.kill_group(SIGKILL));
}

void program_process::stop() {
    if (is_born_ && !over_) {
        force(forced::stopped);
    }
    stop_at_birth_ = true;
}

void program_process::ask_to_end() {
    is_asked_ = true;
    static_cast<void>(program_.kill_group(SIGTERM));
}

void program_process::abandon() {
    over_ = true;
    look_.reset();
    timer_.reset();
    if (errors_) {
        errors_->abandon();
    }
    if (watch_.is_open()) {
        watch_.release();
    }
}

} // namespace portico::run
