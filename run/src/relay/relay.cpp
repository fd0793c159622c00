// A relay as one service among others.

#include "portico/run/relay.hpp"

#include "relay/board.hpp"
#include "relay/nested_engine.hpp"

#include <boost/asio/bind_executor.hpp>

#include <utility>

namespace portico::run {
namespace {

class nested_relay : public std::enable_shared_from_this<nested_relay> {
public:
    nested_relay(const asio::any_io_executor& executor, const relay_options& how,
                 std::shared_ptr<relay_targets> targets);

    void start(accepted connection, std::uint64_t number, stream_service::ended done);
    void handle_known();
    void stop_now();
    void leave(); // nothing is told any more

private:
    void join(relay_pair pair);
    void dial(relay_pair pair);

    asio::any_io_executor executor_;
    std::optional<dial_request> through_proxy_;
    std::shared_ptr<nested_engine> engine_;
    std::vector<relay_pair> early_; // until the targets are known
    bool known_ = false;
};

nested_relay::nested_relay(const asio::any_io_executor& executor, const relay_options& how,
                           std::shared_ptr<relay_targets> targets)
    : executor_{executor}, engine_{std::make_shared<nested_engine>(executor, how.settings,
                                                                   std::move(targets))} {
    if (const auto& first = how.targets.front(); !first.via.empty()) {
        through_proxy_ = first;
        through_proxy_->timeout = how.settings.connect_timeout;
        through_proxy_->dead_after = how.settings.dead_after;
        through_proxy_->no_delay = how.settings.no_delay;
    }
}

void nested_relay::start(accepted connection, std::uint64_t number, stream_service::ended done) {
    engine_->begin(number, std::move(done));
    relay_pair pair;
    pair.client = std::move(connection.socket);
    pair.peer = connection.peer;
    pair.number = number;
    if (known_) {
        join(std::move(pair));
    } else {
        early_.push_back(std::move(pair));
    }
}

void nested_relay::handle_known() {
    known_ = true;
    for (auto& each : std::exchange(early_, {})) {
        join(std::move(each));
    }
}

void nested_relay::join(relay_pair pair) {
    if (through_proxy_) {
        dial(std::move(pair));
    } else {
        engine_->post(std::move(pair));
    }
}

void nested_relay::dial(relay_pair pair) {
    auto waiting = std::make_shared<relay_pair>(std::move(pair));
    auto dialled = [engine = engine_, waiting](dial_outcome got) {
        // Without a target the engine looks for one, finds none, and says so.
        waiting->target = std::move(got.socket);
        waiting->from_target = std::move(got.early);
        engine->post(std::move(*waiting));
    };
    async_dial(executor_, *through_proxy_, asio::bind_executor(executor_, std::move(dialled)));
}

void nested_relay::stop_now() {
    for (auto& each : std::exchange(early_, {})) {
        static_cast<void>(os::set_linger_reset(each.client.raw()));
        connection_end end;
        end.number = each.number;
        end.peer = each.peer;
        end.why = error{{ECANCELED, std::system_category()}, operation::close, side::caller, {}};
        engine_->end(std::move(end));
    }
    engine_->stop_now();
}

void nested_relay::leave() {
    for (auto& each : early_) {
        static_cast<void>(os::set_linger_reset(each.client.raw()));
    }
    early_.clear();
    engine_->leave();
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
