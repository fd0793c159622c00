#include "portico/testkit/threads.hpp"

namespace portico::testkit {

void threads::start(std::function<void()> work) {
    const std::lock_guard locked{mutex_};
    join_done();
    const auto self = running_.emplace(running_.end());
    try {
        *self = std::thread{[this, self, work = std::move(work)] {
            work();
            const std::lock_guard at_its_end{mutex_};
            done_.splice(done_.end(), running_, self);
            changed_.notify_all();
        }};
    } catch (...) {
        running_.erase(self);
        throw;
    }
}

void threads::join() {
    std::unique_lock locked{mutex_};
    changed_.wait(locked, [this] { return running_.empty(); });
    join_done();
}

// They are behind their last use of the mutex.
void threads::join_done() {
    for (auto& each : done_) {
        each.join();
    }
    done_.clear();
}

} // namespace portico::testkit
