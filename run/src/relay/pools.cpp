#include "relay/pools.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

namespace portico::run {
namespace {

// The most that a user without privileges may ask for (pipe(7)); fewer and larger moves cost less.
constexpr int wanted_capacity = 1 << 20;
// Through less than that, copying is faster. A user with 64 MiB of pipes gets no more than 8 KiB.
constexpr int least_capacity = 64 << 10;

} // namespace

std::unique_ptr<splice_pipe> pipe_pool::borrow() {
    if (lent_ >= most_) {
        return nullptr;
    }
    if (!spare_.empty()) {
        ++lent_;
        auto given = std::move(spare_.back());
        spare_.pop_back();
        return given;
    }
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return nullptr;
    }
    auto made = std::make_unique<splice_pipe>();
    made->out = os::fd{ends[0]};
    made->in = os::fd{ends[1]};
    static_cast<void>(::fcntl(ends[1], F_SETPIPE_SZ, wanted_capacity));
    const int capacity = ::fcntl(ends[1], F_GETPIPE_SZ);
    if (capacity < least_capacity) {
        return nullptr;
    }
    made->capacity = static_cast<std::size_t>(capacity);
    ++lent_;
    return made;
}

void pipe_pool::give_back(std::unique_ptr<splice_pipe> which, bool is_empty) {
    --lent_;
    if (is_empty && spare_.size() < kept) {
        spare_.push_back(std::move(which));
    }
}

} // namespace portico::run
