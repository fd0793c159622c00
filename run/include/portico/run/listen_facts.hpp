// What a plan for these wishes depends on: the kernel's facts, and the names among the wishes.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/plan/plan.hpp"
#include "portico/run/completion.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace portico::run {

struct listen_facts {
    plan::facts known;
    std::vector<std::string> unknown; // what could not be found out; one line each
    // Set when no plan can be made: inherited sockets are not what the environment says, or the
    // operation was cancelled (ECANCELED).
    std::optional<error> why{};
    std::string what; // `why` in words
    std::string hint; // what to do about it
};

namespace detail {
void start_listen_facts(asio::any_io_executor executor, std::vector<plan::wish> wishes,
                        deadline until, completion<listen_facts> done);
}

// Resolves the names among the wishes, in both families at once where a wish does not exclude one,
// and asks the kernel for the rest; opens no socket to listen on. Completes with
// void(listen_facts), never within this call. A name without an answer at `until` is in
// `known.unresolved`. Cancellation: total. Memory: at most 16 lookups run at a time.
template <class Token>
auto async_listen_facts(asio::any_io_executor executor, std::vector<plan::wish> wishes,
                        deadline until, Token&& token) {
    return asio::async_initiate<Token, void(listen_facts)>(
        [](auto handler, asio::any_io_executor ex, std::vector<plan::wish> what, deadline limit) {
            detail::start_listen_facts(ex, std::move(what), limit,
                                       completion<listen_facts>{std::move(handler), ex});
        },
        token, executor, std::move(wishes), until);
}

} // namespace portico::run
