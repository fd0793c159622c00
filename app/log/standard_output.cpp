#include "log/standard_output.hpp"

#include <iostream>
#include <poll.h>
#include <span>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

constexpr std::size_t enough_to_write = 64 * 1024;

} // namespace

os::sys_status print_out(std::string_view text) {
    auto left = std::as_bytes(std::span{text});
    while (!left.empty()) {
        const auto done = os::write(STDOUT_FILENO, left);
        if (done) {
            left = left.subspan(*done);
        } else if (done.error() == std::errc::resource_unavailable_try_again) {
            pollfd room{STDOUT_FILENO, POLLOUT, 0};
            ::poll(&room, 1, -1);
        } else {
            return tl::unexpected{done.error()};
        }
    }
    return {};
}

standard_output::standard_output() : before_{std::cout.rdbuf(this)} {}

standard_output::~standard_output() {
    standard_output::sync();
    std::cout.rdbuf(before_);
}

std::error_code standard_output::finish() {
    sync();
    return why_ == std::errc::broken_pipe ? std::error_code{} : why_;
}

standard_output::int_type standard_output::overflow(int_type character) {
    if (!traits_type::eq_int_type(character, traits_type::eof())) {
        waiting_ += traits_type::to_char_type(character);
    }
    const bool good = waiting_.size() < enough_to_write || sync() == 0;
    return good ? traits_type::not_eof(character) : traits_type::eof();
}

int standard_output::sync() {
    const auto text = std::exchange(waiting_, {});
    if (!why_) {
        if (const auto done = print_out(text); !done) {
            why_ = done.error();
        }
    }
    return why_ ? -1 : 0;
}

} // namespace portico::app
