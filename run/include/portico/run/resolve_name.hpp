// What an address is called, without blocking, with a deadline, and really cancellable.
#pragma once

#include "portico/os/resolve_name.hpp"
#include "portico/run/resolve.hpp"

#include <string>
#include <utility>

namespace portico::run {

struct resolve_name_request {
    ip::address who;
    deadline until = deadline::never();
    os::lookup_config how{};
};

namespace detail {
void start_resolve(const asio::any_io_executor& executor, resolve_name_request request,
                   completion<result<std::string>> done);
}

// The name of an address; completes with void(result<std::string>), never within this call. Nobody
// vouches for the name: see reverse_names. Errors, cancellation, threads and memory as for
// async_resolve().
template <class Token>
auto async_resolve_name(asio::any_io_executor executor, resolve_name_request request,
                        Token&& token) {
    return asio::async_initiate<Token, void(result<std::string>)>(
        [](auto handler, asio::any_io_executor ex, resolve_name_request what) {
            detail::start_resolve(ex, std::move(what),
                                  completion<result<std::string>>{std::move(handler), ex});
        },
        token, executor, std::move(request));
}

} // namespace portico::run
