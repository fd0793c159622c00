#include "program_starters.hpp"

#include "signals_blocked.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <thread>

namespace portico::app {
namespace {

// One more than there are processors does not start more programs; with a single one, a program on
// a slow disk would hold up all others.
std::size_t count_of_threads() {
    return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 2, 4);
}

class starters final : public boost::asio::execution_context::service {
public:
    using key_type = starters;
    static inline boost::asio::execution_context::id id;

    explicit starters(boost::asio::execution_context& owner)
        : service{owner}, threads_{started()} {}
    [[nodiscard]] boost::asio::any_io_executor executor() { return threads_.executor(); }

private:
    static boost::asio::thread_pool started() {
        const signals_blocked inherited;
        return boost::asio::thread_pool{count_of_threads()};
    }
    void shutdown() override {
        threads_.stop();
        threads_.join();
    }

    boost::asio::thread_pool threads_;
};

} // namespace

boost::asio::any_io_executor program_starters(boost::asio::io_context& context) {
    return boost::asio::use_service<starters>(context).executor();
}

} // namespace portico::app
