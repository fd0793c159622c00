#include "service/program_starters.hpp"

#include "service/signals_blocked.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace portico::app {
namespace {

// One more than there are processors does not start more programs; with a single one, a program on
// a slow disk would hold up all others.
std::size_t count_of_threads() {
    return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 2, 4);
}

// Not a thread_pool of Asio, which waits for ever for its first threads when a later one cannot be
// started.
class starters final : public boost::asio::execution_context::service {
public:
    using key_type = starters;
    static inline boost::asio::execution_context::id id;

    explicit starters(boost::asio::execution_context& owner) : service{owner} {
        const signals_blocked inherited;
        try {
            while (threads_.size() < count_of_threads()) {
                threads_.emplace_back([this] { work_.run(); });
            }
        } catch (const std::system_error&) {
            if (threads_.empty()) {
                throw;
            } // else those that there are do
        }
    }
    [[nodiscard]] boost::asio::any_io_executor executor() { return work_.get_executor(); }

private:
    void shutdown() override {
        work_.stop();
        threads_.clear(); // waits
    }

    boost::asio::io_context work_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> more_to_come_{
        work_.get_executor()};
    std::vector<std::jthread> threads_;
};

} // namespace

boost::asio::any_io_executor program_starters(boost::asio::io_context& context) {
    return boost::asio::use_service<starters>(context).executor();
}

} // namespace portico::app
