// Resolving a name without blocking, with a deadline, and really cancellable.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/os/resolve.hpp"
#include "portico/run/completion.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <string>
#include <utility>

namespace portico::run {

// One question and how long to wait for its answer.
struct resolve_request {
    os::lookup_request what;
    deadline until = deadline::never();
    os::lookup_config how{}; // where portico-resolve is
};

// A question for the SRV records of a name, such as "_imap._tcp.example.org".
struct resolve_srv_request {
    std::string name;
    deadline until = deadline::never();
    os::lookup_config how{};
};

namespace detail {
void start_resolve(const asio::any_io_executor& executor, resolve_srv_request request,
                   completion<result<os::service_answer>> done);
void start_resolve(const asio::any_io_executor& executor, resolve_request request,
                   completion<result<os::lookup_answer>> done);
} // namespace detail

// The addresses of one family of a name; completes with void(result<os::lookup_answer>), never
// within this call. Literals and localhost are answered without a process (see
// os::answer_without_asking()); every other name by portico-resolve, which is killed when nobody
// wants its answer any more.
//
// Errors: those of os/resolve.hpp; ETIMEDOUT at the deadline; ECANCELED after a cancellation.
// Cancellation: total. Threads: the executor's thread or strand. Memory: one process, at most
// os::max_lookup_answer bytes.
template <class Token>
auto async_resolve(asio::any_io_executor executor, resolve_request request, Token&& token) {
    return asio::async_initiate<Token, void(result<os::lookup_answer>)>(
        [](auto handler, asio::any_io_executor ex, resolve_request what) {
            detail::start_resolve(ex, std::move(what),
                                  completion<result<os::lookup_answer>>{std::move(handler), ex});
        },
        token, executor, std::move(request));
}

// The same, its parts one by one. `passive`: the addresses are to be bound (AI_PASSIVE).
template <class Token>
auto async_resolve(asio::any_io_executor executor, std::string name, ip::family family,
                   bool passive, deadline until, Token&& token) {
    return async_resolve(std::move(executor),
                         resolve_request{{std::move(name), family, passive}, until},
                         std::forward<Token>(token));
}

// Where a service is (RFC 2782); completes with void(result<os::service_answer>), never within this
// call. Always asks name servers, by portico-resolve. Errors, cancellation, threads and memory as
// for async_resolve(); lookup_errc::no_service when the domain says that it does not offer it.
template <class Token>
auto async_resolve_srv(asio::any_io_executor executor, resolve_srv_request request, Token&& token) {
    return asio::async_initiate<Token, void(result<os::service_answer>)>(
        [](auto handler, asio::any_io_executor ex, resolve_srv_request what) {
            detail::start_resolve(ex, std::move(what),
                                  completion<result<os::service_answer>>{std::move(handler), ex});
        },
        token, executor, std::move(request));
}

} // namespace portico::run
