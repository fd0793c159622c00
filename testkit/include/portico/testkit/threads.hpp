// Many threads, of which only those that run are kept.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace portico::testkit {

// Instead of std::thread::detach(), in which glibc 2.36 crashes now and then when the thread ends
// at that moment. Threads: may be used by several.
class threads {
public:
    threads() = default;
    threads(const threads&) = delete;
    threads& operator=(const threads&) = delete;
    ~threads() { join(); }

    // Runs `work` on a thread of its own, and joins those that are done. Throws std::system_error
    // when there can be no more threads.
    void start(std::function<void()> work);
    // Waits for all. Nobody starts one meanwhile.
    void join();

private:
    void join_done();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<std::thread> running_; // guarded, and the next one too
    std::list<std::thread> done_;
};

} // namespace portico::testkit
