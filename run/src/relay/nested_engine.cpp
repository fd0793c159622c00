#include "relay/nested_engine.hpp"

#include "portico/os/clock.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace portico::run {

using boost::system::error_code;

nested_engine::nested_engine(const asio::any_io_executor& executor, const relay_settings& settings,
                             std::shared_ptr<relay_targets> targets)
    : executor_{executor}, watched_{executor}, timer_{executor} {
    const auto capacity = targets ? targets->capacity() : 0;
    engine_ = std::make_unique<relay_engine>(
        std::make_shared<const relay_settings>(settings), std::move(targets),
        std::make_shared<admission>(admission_settings{}), // it accepts nothing itself
        std::make_shared<relay_counters>(1, capacity),
        [this](connection_end told) { end(std::move(told)); });
    error_code wrong;
    watched_.assign(engine_->descriptor(), wrong);
}

void nested_engine::begin(std::uint64_t number, stream_service::ended done) {
    running_.emplace(number, std::move(done));
}

bool nested_engine::is_running(std::uint64_t number) const {
    return engine_ && running_.contains(number);
}

void nested_engine::post(relay_pair pair) {
    if (is_running(pair.number)) {
        engine_->post(std::move(pair));
        watch();
    }
}

void nested_engine::watch() {
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

void nested_engine::turn() {
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

void nested_engine::end(connection_end how) {
    const auto found = running_.find(how.number);
    if (found == running_.end()) {
        return;
    }
    // Not at once: what it calls may destroy the engine.
    asio::post(executor_, [self = shared_from_this(), done = std::move(found->second),
                           how = std::move(how)]() mutable {
        if (self->engine_) {
            done(std::move(how));
        }
    });
    running_.erase(found);
}

void nested_engine::set_egress(bool is_there) {
    if (engine_) {
        engine_->post_egress(is_there);
        static_cast<void>(engine_->run_ready());
        watch();
    }
}

void nested_engine::stop_now() {
    engine_->post_stop();
    static_cast<void>(engine_->run_ready());
    watched_.cancel();
    timer_.cancel();
}

void nested_engine::leave() {
    running_.clear();
    timer_.cancel();
    static_cast<void>(watched_.release());
    engine_.reset();
}

} // namespace portico::run
