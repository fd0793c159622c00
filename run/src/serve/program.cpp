// A program for each connection.

#include "portico/run/program.hpp"
#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/spawn.hpp"
#include "portico/serve/environment.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <list>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

// Between two looks at a program that cannot be watched, for want of pidfds or of a descriptor.
constexpr auto look_again = std::chrono::milliseconds{50};

// Whose connections TCPCONNNUM counts together.
std::optional<ip::address> counted_as(const ip::any_endpoint& peer) {
    const auto* at = std::get_if<ip::endpoint>(&peer);
    return at == nullptr ? std::nullopt : std::optional{ip::canonical(at->address)};
}

class program_service;

// One connection and its program.
//
//   started --pidfd readable, or a look again--> reaped: over
//      \--cannot start--> over
class running : public std::enable_shared_from_this<running> {
public:
    running(program_service& service, const accepted& from, std::uint64_t number,
            stream_service::ended tell);

    void start(const os::fd& connection, std::uint64_t from_peer);
    void kill(int signal) const { static_cast<void>(program_.kill(signal)); }
    void stopped_by_us() { stopped_ = true; }
    // Nothing that is pending has an effect from here on.
    void abandon();

    std::list<std::shared_ptr<running>>::iterator where; // in the service's list

private:
    void watch();
    void handle_look();
    void finish();

    program_service& service_;
    stream_service::ended done_;
    connection_end end_;
    instant began_;
    os::child program_;
    asio::posix::stream_descriptor watch_;
    asio::steady_timer look_;
    bool over_ = false;
    bool stopped_ = false;
};

class program_service final : public stream_service {
public:
    program_service(asio::any_io_executor ex, program_options how)
        : executor{std::move(ex)}, options{std::move(how)}, grace_{executor} {}
    program_service(const program_service&) = delete;
    program_service& operator=(const program_service&) = delete;
    ~program_service() override {
        for (const auto& each : running_) {
            each->abandon();
        }
    }

    void start(accepted connection, std::uint64_t number, ended done) override {
        const auto made = std::make_shared<running>(*this, connection, number, std::move(done));
        made->where = running_.insert(running_.end(), made);
        std::uint64_t from_peer = 1;
        if (const auto who = counted_as(connection.peer)) {
            from_peer = ++from_peer_[*who];
        }
        // The socket is the program's alone from here on: its end is the connection's end.
        made->start(connection.socket, from_peer);
    }

    void stop_now() override {
        for (const auto& each : running_) {
            each->stopped_by_us();
            each->kill(SIGTERM);
        }
        grace_.expires_after(options.grace);
        grace_.async_wait([this, alive = std::weak_ptr{alive_}](error_code wrong) {
            if (!wrong && !alive.expired()) {
                for (const auto& each : running_) {
                    each->kill(SIGKILL);
                }
            }
        });
    }

    void remove(const running& which, const ip::any_endpoint& peer) {
        if (const auto who = counted_as(peer)) {
            const auto found = from_peer_.find(*who);
            if (--found->second == 0) {
                from_peer_.erase(found);
            }
        }
        running_.erase(which.where);
        if (running_.empty()) {
            grace_.cancel(); // it would keep the io_context at work
        }
    }

    const asio::any_io_executor executor;
    const program_options options;

private:
    std::list<std::shared_ptr<running>> running_;
    std::unordered_map<ip::address, std::uint64_t> from_peer_; // no more than running_
    asio::steady_timer grace_;
    const std::shared_ptr<char> alive_ = std::make_shared<char>('\0');
};

running::running(program_service& service, const accepted& from, std::uint64_t number,
                 stream_service::ended tell)
    : service_{service}, done_{std::move(tell)}, began_{os::now()}, watch_{service.executor},
      look_{service.executor} {
    end_.number = number;
    end_.local = from.local;
    end_.peer = from.peer;
}

void running::start(const os::fd& connection, std::uint64_t from_peer) {
    serve::connection_facts facts{end_.local, end_.peer, from_peer, {}};
    if (!std::holds_alternative<ip::endpoint>(end_.local)) {
        if (const auto who = os::peer_credentials(connection.raw())) {
            facts.process = serve::peer_process{who->user, who->group, who->pid};
        }
    }
    const auto& how = service_.options;
    static_cast<void>(os::set_blocking(connection.raw(), true)); // a socket has no reason to fail
    auto made =
        os::spawn(how.path, how.arguments, serve::program_environment(how.environment, facts),
                  std::array{connection.raw(), connection.raw(), STDERR_FILENO}, {});
    if (made) {
        program_ = std::move(*made);
        watch();
        return;
    }
    end_.why = error{made.error().why, operation::spawn, side::system, {}};
    end_.detail = how.path;
    if (made.error().why == std::errc::no_such_file_or_directory) {
        end_.detail += ": it has gone, or the interpreter in its first line is missing";
    }
    static_cast<void>(os::set_linger_reset(connection.raw())); // else it is a plain close
    asio::post(service_.executor, [self = shared_from_this()] {
        if (!self->over_) {
            self->finish();
        }
    });
}

void running::watch() {
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
    } else {
        look_.expires_after(look_again);
        look_.async_wait(std::move(then));
    }
}

void running::handle_look() {
    if (watch_.is_open()) {
        watch_.release(); // the child owns the descriptor, and closes it when it is reaped
    }
    const auto end = program_.reap();
    if (end && !*end) {
        return watch();
    }
    if (end) {
        end_.exit_status = (*end)->status();
    } else {
        end_.why = error{end.error(), operation::spawn, side::system, {}};
        end_.detail = "how the program ended was told to somebody else; is SIGCHLD ignored?";
    }
    finish();
}

void running::finish() {
    const auto self = shared_from_this(); // the service's list lets go of it
    over_ = true;
    service_.remove(*this, end_.peer);
    end_.lasted = os::now() - began_;
    if (stopped_ && !end_.why) {
        end_.why = error{{ECANCELED, std::system_category()}, operation::close, side::caller, {}};
    }
    const auto tell = std::move(done_);
    tell(std::move(end_));
}

void running::abandon() {
    over_ = true;
    look_.cancel();
    if (watch_.is_open()) {
        watch_.release();
    }
}

} // namespace

std::unique_ptr<stream_service> make_program_service(asio::any_io_executor executor,
                                                     program_options options) {
    return std::make_unique<program_service>(std::move(executor), std::move(options));
}

} // namespace portico::run
