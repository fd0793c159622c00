// The threads of a relay, one for each engine.
#pragma once

#include "portico/run/relay_group.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace portico::app {

// Threads: all calls on the thread of `context`. Its end stops the engines, and waits for them.
class relay_threads {
public:
    // No thread could be started: std::system_error. `over` is called on the thread of `context`,
    // when every engine has ended after drain() or stop_now().
    relay_threads(boost::asio::io_context& context, std::unique_ptr<run::relay_group> group,
                  std::function<void()> over);
    relay_threads(const relay_threads&) = delete;
    relay_threads& operator=(const relay_threads&) = delete;
    ~relay_threads();

    void pause(bool on) { group_->pause(on); }
    void drain() { group_->drain(); }
    void stop_now() { group_->stop_now(); }
    void set_egress(bool is_there) { group_->set_egress(is_there); }
    [[nodiscard]] const run::relay_group& group() const noexcept { return *group_; }

private:
    void handle_ended();

    boost::asio::io_context& context_;
    std::unique_ptr<run::relay_group> group_;
    std::function<void()> over_;
    std::size_t running_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::vector<std::jthread> threads_;
};

} // namespace portico::app
