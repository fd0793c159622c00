#include "service/relay_threads.hpp"

#include "service/signals_blocked.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace portico::app {

relay_threads::relay_threads(boost::asio::io_context& context,
                             std::unique_ptr<run::relay_group> group, std::function<void()> over)
    : context_{context}, group_{std::move(group)}, over_{std::move(over)} {
    const signals_blocked inherited;
    try {
        for (std::size_t i = 0; i < group_->size(); ++i) {
            threads_.emplace_back([this, i] {
                group_->engine(i).run();
                boost::asio::post(context_, [this, alive = std::weak_ptr{alive_}] {
                    if (!alive.expired()) {
                        handle_ended();
                    }
                });
            });
            ++running_;
        }
    } catch (...) {
        group_->stop_now();
        threads_.clear(); // waits
        throw;
    }
}

relay_threads::~relay_threads() {
    group_->stop_now();
    threads_.clear(); // waits
}

void relay_threads::handle_ended() {
    if (--running_ == 0) {
        over_();
    }
}

} // namespace portico::app
