#include "relay/pools.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

namespace portico::run {
namespace {

// More than that brings nothing, and an unprivileged user has 64 MiB for all pipes (pipe(7)).
constexpr int wanted_capacity = 512 << 10;

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
    ++lent_;
    auto made = std::make_unique<splice_pipe>();
    made->out = os::fd{ends[0]};
    made->in = os::fd{ends[1]};
    static_cast<void>(::fcntl(ends[1], F_SETPIPE_SZ, wanted_capacity));
    const int capacity = ::fcntl(ends[1], F_GETPIPE_SZ);
    made->capacity = capacity > 0 ? static_cast<std::size_t>(capacity) : 65536;
    return made;
}

void pipe_pool::give_back(std::unique_ptr<splice_pipe> which, bool is_empty) {
    --lent_;
    if (is_empty && spare_.size() < kept) {
        spare_.push_back(std::move(which));
    }
}

} // namespace portico::run
