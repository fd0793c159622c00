// A completion handler with its type forgotten, so that operations are compiled once, in src/.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <cassert>
#include <functional>
#include <memory>
#include <utility>

namespace portico::run {

namespace asio = boost::asio;

// Called once with the result of an operation, on the handler's associated executor; or destroyed
// uncalled when the io_context is destroyed first. Move-only. Boost.Asio has any_completion_handler
// only from 1.82 on.
template <class Result>
class completion {
public:
    // The handler is called on its associated executor, or else on `fallback`. Precondition:
    // `fallback` is not empty.
    template <class Handler>
    completion(Handler handler, const asio::any_io_executor& fallback)
        : slot_{asio::get_associated_cancellation_slot(handler)} {
        assert(fallback); // Boost.Asio 1.81 follows a null pointer in an empty one
        held_ = std::make_unique<model<Handler>>(std::move(handler), fallback);
    }

    // Where the caller may ask to cancel; not connected when it cannot.
    [[nodiscard]] asio::cancellation_slot slot() const noexcept { return slot_; }

    // Completes. Must not be called twice.
    void operator()(Result result) {
        slot_.clear();
        std::exchange(held_, nullptr)->call(std::move(result));
    }
    [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

private:
    struct base {
        virtual ~base() = default;
        virtual void call(Result result) = 0;
    };

    template <class Handler>
    struct model final : base {
        model(Handler h, const asio::any_io_executor& fallback)
            : handler{std::move(h)}, work{asio::get_associated_executor(handler, fallback)} {}

        void call(Result result) override {
            auto executor = work.get_executor();
            asio::dispatch(executor,
                           [handler = std::move(handler), result = std::move(result)]() mutable {
                               std::move(handler)(std::move(result));
                           });
            work.reset();
        }

        Handler handler;
        asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>> work;
    };

    asio::cancellation_slot slot_;
    std::unique_ptr<base> held_;
};

} // namespace portico::run
