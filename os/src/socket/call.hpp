// How a system call is made here: again after EINTR, and its errno as a value.
#pragma once

#include "portico/os/socket.hpp"

#include <cerrno>

namespace portico::os {

[[nodiscard]] inline tl::unexpected<std::error_code> failure(int number) noexcept {
    return tl::unexpected{std::error_code{number, std::system_category()}};
}

// Calls `call` until it does not fail with EINTR; -1 and errno otherwise.
template <class Call>
[[nodiscard]] auto without_eintr(Call call) noexcept {
    auto done = call();
    while (done < 0 && errno == EINTR) {
        done = call();
    }
    return done;
}

[[nodiscard]] inline sys_status status_of(int returned) noexcept {
    if (returned < 0) {
        return failure(errno);
    }
    return {};
}

[[nodiscard]] inline sys_result<std::size_t> size_of(ssize_t returned) noexcept {
    if (returned < 0) {
        return failure(errno);
    }
    return static_cast<std::size_t>(returned);
}

} // namespace portico::os
