// A relay of this program: its control thread, and an engine in each of two threads.
#pragma once

#include "portico/os/clock.hpp"
#include "portico/run/relay.hpp"
#include "portico/run/relay_group.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

namespace portico {

class running_relay {
public:
    // Returns when its targets have been asked for.
    explicit running_relay(run::relay_options how) {
        std::promise<void> known;
        targets_ = run::resolve_relay_targets(context_.get_executor(), how, [&] {
                       known.set_value();
                   }).value();
        run::bound_socket socket;
        const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
        socket.descriptor = os::socket(any, ip::transport::tcp).value();
        EXPECT_TRUE(os::set_reuse_port(socket.descriptor, true));
        EXPECT_TRUE(os::bind(socket.descriptor, any) && os::listen(socket.descriptor, 1000));
        socket.at = os::getsockname(socket.descriptor.raw()).value();
        at_ = std::get<ip::endpoint>(socket.at);
        sockets_.push_back(std::move(socket));
        group_ = std::make_unique<run::relay_group>(
            context_.get_executor(), how.settings, targets_,
            std::make_shared<run::admission>(run::admission_settings{}), 1, 2, nullptr);
        EXPECT_TRUE(group_->listen(sockets_));
        threads_.emplace_back([this] { context_.run(); });
        known.get_future().wait();
        for (std::size_t i = 0; i < group_->size(); ++i) {
            threads_.emplace_back([this, i] { group_->engine(i).run(); });
        }
    }
    running_relay(const running_relay&) = delete;
    running_relay& operator=(const running_relay&) = delete;
    ~running_relay() {
        group_->stop_now();
        for (auto i = threads_.begin() + 1; i != threads_.end(); ++i) {
            i->join();
        }
        // What resolves ends on its own thread.
        boost::asio::post(context_, [this] {
            group_.reset();
            targets_.reset();
            context_.stop();
        });
        threads_.front().join();
    }

    [[nodiscard]] const ip::endpoint& at() const { return at_; }
    [[nodiscard]] const run::relay_targets& targets() const { return *targets_; }
    [[nodiscard]] std::uint64_t active() const { return group_->active(); }

private:
    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
        context_.get_executor()};
    std::shared_ptr<run::relay_targets> targets_;
    std::vector<run::bound_socket> sockets_;
    ip::endpoint at_;
    std::unique_ptr<run::relay_group> group_;
    std::vector<std::thread> threads_;
};

// Until it holds; false from a safety net that only a failing test reaches.
template <class Condition>
bool comes_true(Condition holds) {
    const auto until = deadline::after(os::now(), std::chrono::seconds{60});
    while (!holds()) {
        if (until.has_passed(os::now())) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

} // namespace portico
