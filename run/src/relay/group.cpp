#include "portico/run/relay_group.hpp"

#include "portico/os/listening.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <mutex>

namespace portico::run {

struct relay_group::member {
    std::shared_ptr<relay_counters> counters;
    std::unique_ptr<relay_engine> engine;
};

// Takes ends from the threads of the engines to the executor.
class relay_group::teller : public std::enable_shared_from_this<teller> {
public:
    teller(asio::any_io_executor executor, ended tell)
        : executor_{std::move(executor)}, tell_{std::move(tell)} {}

    // From an engine's thread. False when too many wait.
    bool add(connection_end end) {
        bool is_first = false;
        {
            const std::lock_guard locked{mutex_};
            if (waiting_.size() >= max_untold) {
                return false;
            }
            is_first = waiting_.empty();
            waiting_.push_back(std::move(end));
        }
        if (is_first) {
            asio::post(executor_, [self = shared_from_this()] { self->tell_all(); });
        }
        return true;
    }
    void tell_all() {
        std::vector<connection_end> now;
        {
            const std::lock_guard locked{mutex_};
            now.swap(waiting_);
        }
        for (auto& each : now) {
            if (!silent_) {
                tell_(std::move(each));
            }
        }
    }
    void be_silent() { silent_ = true; }

private:
    asio::any_io_executor executor_;
    ended tell_;
    bool silent_ = false;
    std::mutex mutex_;
    std::vector<connection_end> waiting_; // guarded
};

relay_group::relay_group(const asio::any_io_executor& executor, const relay_settings& settings,
                         std::shared_ptr<relay_targets> targets, std::shared_ptr<admission> door,
                         std::size_t listeners, std::size_t engines, ended tell) {
    if (tell) {
        teller_ = std::make_shared<teller>(executor, std::move(tell));
    }
    const auto shared = std::make_shared<const relay_settings>(settings);
    for (std::size_t i = 0; i < engines; ++i) {
        auto made = std::make_unique<member>();
        made->counters = std::make_shared<relay_counters>(listeners, targets->capacity());
        relay_engine::ended on_end;
        if (teller_) {
            // Connections are numbered through all engines.
            on_end = [told = teller_, counters = made->counters.get(), i,
                      engines](connection_end end) {
                end.number = (end.number - 1) * engines + i + 1;
                if (!told->add(std::move(end))) {
                    counters->ends_untold.add();
                }
            };
        }
        made->engine = std::make_unique<relay_engine>(shared, targets, door, made->counters,
                                                      std::move(on_end));
        members_.push_back(std::move(made));
    }
}

relay_group::~relay_group() {
    if (teller_) {
        teller_->be_silent();
    }
}

result<void> relay_group::listen(std::span<const bound_socket> sockets) {
    for (const auto& each : sockets) {
        if (each.over != ip::transport::tcp) {
            continue;
        }
        const auto ours = 1 + each.clones.size();
        const bool shared = ours < members_.size();
        for (std::size_t i = 0; i < std::max(ours, members_.size()); ++i) {
            const auto which = i % ours;
            auto copy = os::dup(which == 0 ? each.descriptor : each.clones[which - 1]);
            if (!copy) {
                return tl::unexpected{
                    error{copy.error(), operation::listen, side::system, each.at}};
            }
            auto& engine = *members_[i % members_.size()]->engine;
            if (auto done = engine.listen(*std::move(copy), each.wish, shared); !done) {
                return done;
            }
        }
    }
    return {};
}

std::size_t relay_group::size() const noexcept {
    return members_.size();
}

relay_engine& relay_group::engine(std::size_t which) {
    return *members_.at(which)->engine;
}

const relay_counters& relay_group::counters(std::size_t which) const {
    return *members_.at(which)->counters;
}

std::uint64_t relay_group::active() const {
    std::uint64_t sum = 0;
    for (const auto& each : members_) {
        for (const auto& listener : each->counters->flows) {
            for (const auto& family : listener) {
                sum += family.active.value();
            }
        }
    }
    return sum;
}

void relay_group::pause(bool on) {
    for (const auto& each : members_) {
        each->engine->post_pause(on);
    }
}

void relay_group::drain() {
    for (const auto& each : members_) {
        each->engine->post_drain();
    }
}

void relay_group::set_egress(bool is_there) {
    for (const auto& each : members_) {
        each->engine->post_egress(is_there);
    }
}

void relay_group::stop_now() {
    for (const auto& each : members_) {
        each->engine->post_stop();
    }
}

} // namespace portico::run
