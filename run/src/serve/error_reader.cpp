#include "serve/error_reader.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <span>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

// What a pipe holds unless somebody made it larger (pipe(7)), in pieces of the buffer.
constexpr int turns_of_a_pipe = 65'536 / 16'384;

// Whose lines are dropped is read from more slowly, and waits a little itself.
constexpr auto flood_pause = std::chrono::milliseconds{10};

} // namespace

program_host::program_host(asio::any_io_executor ex, program_options how)
    : executor{std::move(ex)}, shared_options{std::make_shared<const program_options>(
                                   std::move(how))},
      options{*shared_options}, budget{options.lines.per_second, options.lines.burst, os::now()} {}

error_reader::error_reader(program_host& host, os::fd from, std::uint64_t number, pid_t pid)
    : host_{host}, from_{std::move(from)}, number_{number}, pid_{pid},
      splitter_{host.options.lines.longest}, watch_{host.executor}, pause_{host.executor} {
    error_code wrong;
    watch_.assign(from_.raw(), wrong); // without it, the pause is the only thing to wait for
}

void error_reader::wait() {
    if (!watch_.is_open()) {
        return rest();
    }
    watch_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](error_code) {
                          if (self->from_) {
                              self->handle_readable();
                          }
                      });
}

void error_reader::rest() {
    pause_.expires_after(flood_pause);
    pause_.async_wait([self = shared_from_this()](error_code) {
        if (self->from_) {
            self->handle_readable();
        }
    });
}

void error_reader::handle_readable() {
    flooded_ = false;
    static_cast<void>(read_some());
    if (!from_) {
        return; // it was the end
    }
    if (flooded_) {
        rest();
    } else {
        wait();
    }
}

bool error_reader::read_some() {
    const auto size = os::read(from_.raw(), std::as_writable_bytes(std::span{host_.buffer}));
    if (!size) {
        if (size.error() != std::errc::resource_unavailable_try_again) {
            close();
        }
        return false;
    }
    if (*size == 0) {
        close();
        return false;
    }
    std::string_view bytes{host_.buffer.data(), *size};
    while (const auto line = splitter_.poll_line(bytes)) {
        tell(*line);
    }
    return true;
}

void error_reader::tell(const serve::error_line& line) {
    auto& counts = host_.counters;
    if (!host_.budget.take(os::now())) {
        ++counts.lines_dropped;
        flooded_ = true;
        return;
    }
    ++counts.lines;
    counts.lines_cut += line.cut == 0 ? 0U : 1U;
    if (host_.options.tell_line) {
        host_.options.tell_line({number_, pid_, line.text, line.cut});
    }
}

void error_reader::finish() {
    for (int i = 0; i < turns_of_a_pipe && from_ && read_some(); ++i) {
    }
    if (from_) {
        close();
    }
}

void error_reader::close() {
    if (const auto line = splitter_.poll_rest()) {
        tell(*line);
    }
    abandon();
}

void error_reader::abandon() {
    pause_.cancel();
    if (watch_.is_open()) {
        watch_.release(); // from_ owns it
    }
    from_.reset();
}

} // namespace portico::run
