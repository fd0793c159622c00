// Room for tests that open thousands of descriptors.
#pragma once

#include <algorithm>
#include <sys/resource.h>

namespace portico::testkit {

// Raises the soft RLIMIT_NOFILE of this process to `count`, as far as the hard one allows, while it
// lives. Threads: one such object at a time.
class room_for_descriptors {
public:
    explicit room_for_descriptors(rlim_t count) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        auto more = before_;
        more.rlim_cur = std::max(more.rlim_cur, std::min(count, more.rlim_max));
        ::setrlimit(RLIMIT_NOFILE, &more);
        is_enough_ = more.rlim_cur >= count;
    }
    room_for_descriptors(const room_for_descriptors&) = delete;
    room_for_descriptors& operator=(const room_for_descriptors&) = delete;
    ~room_for_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

    [[nodiscard]] bool is_enough() const noexcept { return is_enough_; }

private:
    rlimit before_{};
    bool is_enough_ = false;
};

} // namespace portico::testkit
