// A relay as one service among others: an engine inside Asio's loop, by its epoll descriptor.

#include "portico/run/relay.hpp"

#include "portico/os/clock.hpp"
#include "relay/board.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unordered_map>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

class nested_relay : public std::enable_shared_from_this<nested_relay> {
public:
    nested_relay(const asio::any_io_executor& executor, const relay_options& how,
                 std::shared_ptr<relay_targets> targets);

    void start(accepted connection, std::uint64_t number, stream_service::ended done);
    void handle_known();
    void stop_now();
    void leave(); // nothing is told any more

private:
    void dial(relay_pair pair);
    void turn();
    void watch();
    void handle_end(connection_end end);

    asio::any_io_executor executor_;
    std::optional<dial_request> through_proxy_;
    std::shared_ptr<relay_targets> targets_;
    std::unique_ptr<relay_engine> engine_;
    asio::posix::stream_descriptor watched_; // the engine's
    asio::steady_timer timer_;
    std::unordered_map<std::uint64_t, stream_service::ended> running_;
    std::vector<relay_pair> early_; // until the targets are known
    bool known_ = false;
    bool watching_ = false;
};

nested_relay::nested_relay(const asio::any_io_executor& executor, const relay_options& how,
                           std::shared_ptr<relay_targets> targets)
    : executor_{executor}, targets_{std::move(targets)}, watched_{executor}, timer_{executor} {
    if (const auto& first = how.targets.front(); !first.via.empty()) {
        through_proxy_ = first;
        through_proxy_->timeout = how.settings.connect_timeout;
        through_proxy_->dead_after = how.settings.dead_after;
        through_proxy_->no_delay = how.settings.no_delay;
    }
    engine_ = std::make_unique<relay_engine>(
        std::make_shared<const relay_settings>(how.settings), targets_,
        std::make_shared<admission>(admission_settings{}), // it accepts nothing itself
        std::make_shared<relay_counters>(1, targets_->capacity()),
        [this](connection_end end) { handle_end(std::move(end)); });
    error_code wrong;
    watched_.assign(engine_->descriptor(), wrong);
}

void nested_relay::start(accepted connection, std::uint64_t number, stream_service::ended done) {
    running_.emplace(number, std::move(done));
    relay_pair pair;
    pair.client = std::move(connection.socket);
    pair.peer = connection.peer;
    pair.number = number;
    if (!known_) {
        early_.push_back(std::move(pair));
    } else if (through_proxy_) {
        dial(std::move(pair));
    } else {
        engine_->post(std::move(pair));
        watch();
    }
}

void nested_relay::handle_known() {
    known_ = true;
    for (auto& each : std::exchange(early_, {})) {
        if (through_proxy_) {
            dial(std::move(each));
        } else if (engine_) {
            engine_->post(std::move(each));
        }
    }
    watch();
}

void nested_relay::dial(relay_pair pair) {
    auto waiting = std::make_shared<relay_pair>(std::move(pair));
    auto dialled = [self = shared_from_this(), waiting](dial_outcome got) {
        if (self->engine_ && self->running_.contains(waiting->number)) {
            // Without a target the engine looks for one, finds none, and says so.
            waiting->target = std::move(got.socket);
            waiting->from_target = std::move(got.early);
            self->engine_->post(std::move(*waiting));
            self->watch();
        }
    };
    async_dial(executor_, *through_proxy_, asio::bind_executor(executor_, std::move(dialled)));
}

// While there is nothing to relay, nothing is waited for.
void nested_relay::watch() {
    if (!engine_ || running_.empty() || watching_) {
        return;
    }
    watching_ = true;
    watched_.async_wait(watched_.wait_read, [self = shared_from_this()](error_code wrong) {
        self->watching_ = false;
        if (!wrong) {
            self->turn();
        }
    });
    const auto next = engine_->next_deadline();
    if (next.is_never()) {
        return;
    }
    timer_.expires_after(next.remaining(os::now()));
    timer_.async_wait([self = shared_from_this()](error_code wrong) {
        if (!wrong) {
            self->turn();
        }
    });
}

void nested_relay::turn() {
    if (!engine_) {
        return;
    }
    static_cast<void>(engine_->run_ready());
    if (!engine_) {
        return; // an end that was told made the owner leave
    }
    timer_.cancel();
    if (running_.empty()) {
        watched_.cancel();
    }
    watch();
}

void nested_relay::handle_end(connection_end end) {
    const auto found = running_.find(end.number);
    if (found == running_.end()) {
        return;
    }
    // Not at once: what it calls may destroy the engine.
    asio::post(executor_, [self = shared_from_this(), done = std::move(found->second),
                           end = std::move(end)]() mutable {
        if (self->engine_) {
            done(std::move(end));
        }
    });
    running_.erase(found);
}

void nested_relay::stop_now() {
    for (auto& each : std::exchange(early_, {})) {
        static_cast<void>(os::set_linger_reset(each.client.raw()));
        connection_end end;
        end.number = each.number;
        end.peer = each.peer;
        end.why = error{{ECANCELED, std::system_category()}, operation::close, side::caller, {}};
        handle_end(std::move(end));
    }
    engine_->post_stop();
    static_cast<void>(engine_->run_ready());
    watched_.cancel();
    timer_.cancel();
}

void nested_relay::leave() {
    for (auto& each : early_) {
        static_cast<void>(os::set_linger_reset(each.client.raw()));
    }
    early_.clear();
    running_.clear();
    timer_.cancel();
    static_cast<void>(watched_.release());
    engine_.reset();
    targets_.reset();
}

class relay_service final : public stream_service {
public:
    explicit relay_service(std::shared_ptr<nested_relay> inside) : inside_{std::move(inside)} {}
    relay_service(const relay_service&) = delete;
    relay_service& operator=(const relay_service&) = delete;
    ~relay_service() override { inside_->leave(); }

    void start(accepted connection, std::uint64_t number, ended done) override {
        inside_->start(std::move(connection), number, std::move(done));
    }
    void stop_now() override { inside_->stop_now(); }

private:
    std::shared_ptr<nested_relay> inside_;
};

} // namespace

tl::expected<std::shared_ptr<relay_targets>, std::string>
resolve_relay_targets(const asio::any_io_executor& executor, const relay_options& how,
                      std::function<void()> known) {
    std::vector<dial_target> read;
    for (const auto& each : how.targets) {
        auto target = read_relay_target(each);
        if (!target) {
            return tl::unexpected{std::move(target.error().text)};
        }
        if (target->proxy && how.targets.size() != 1) {
            return tl::unexpected{target->title + ": several targets cannot go through a proxy"};
        }
        if (!target->proxy) {
            read.push_back(*std::move(target));
        }
    }
    auto board = std::make_shared<target_board>(executor, std::move(read), how);
    board->start(std::move(known));
    return board;
}

tl::expected<std::unique_ptr<stream_service>, std::string>
make_relay_service(const asio::any_io_executor& executor, relay_options options) {
    const auto inside = std::make_shared<std::weak_ptr<nested_relay>>();
    auto targets = resolve_relay_targets(executor, options, [inside] {
        if (const auto relay = inside->lock()) {
            relay->handle_known();
        }
    });
    if (!targets) {
        return tl::unexpected{std::move(targets.error())};
    }
    const auto& first = options.targets.front();
    options.settings.from = first.from;
    options.settings.interface = first.interface;
    auto made = std::make_shared<nested_relay>(executor, options, *std::move(targets));
    *inside = made;
    return std::make_unique<relay_service>(std::move(made));
}

} // namespace portico::run
