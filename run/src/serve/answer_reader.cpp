#include "serve/answer_reader.hpp"

#include "portico/os/socket.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace portico::run {
namespace {

// What a pipe holds unless somebody made it larger (pipe(7)), in pieces of the buffer.
constexpr std::size_t piece = 16'384;
constexpr int turns_of_a_pipe = 65'536 / piece;

} // namespace

answer_reader::answer_reader(const boost::asio::any_io_executor& executor, os::fd from,
                             std::size_t longest)
    : from_{std::move(from)}, longest_{longest}, watch_{executor} {
    boost::system::error_code wrong; // then what the pipe holds is read at the end
    watch_.assign(from_.raw(), wrong);
}

void answer_reader::wait() {
    if (!watch_.is_open()) {
        return;
    }
    watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](boost::system::error_code wrong) {
                          if (!wrong && self->from_) {
                              static_cast<void>(self->read_some());
                              self->wait();
                          }
                      });
}

// Whether there may be more. What is too much is read all the same, so that its writer ends.
bool answer_reader::read_some() {
    std::array<char, piece> part;
    const auto size = os::read(from_.raw(), std::as_writable_bytes(std::span{part}));
    if (!size && size.error() == std::errc::resource_unavailable_try_again) {
        return false;
    }
    if (!size || *size == 0) {
        close();
        return false;
    }
    const auto room = longest_ - text_.size();
    is_too_long_ = is_too_long_ || *size > room;
    text_.append(part.data(), std::min(*size, room));
    return true;
}

void answer_reader::finish() {
    for (int i = 0; i < turns_of_a_pipe && from_ && read_some(); ++i) {
    }
    close();
}

void answer_reader::close() {
    if (watch_.is_open()) {
        watch_.release();
    }
    from_.reset();
}

} // namespace portico::run
