// Writing to pipes, and splicing into sockets, without being killed by SIGPIPE.
#pragma once

#include <csignal>

namespace portico::os {

// Keeps a SIGPIPE of this thread from being delivered while it lives.
//
// The kernel sends the SIGPIPE of a write to the writing thread, so blocking it in this thread is
// enough, and neither another thread nor the disposition notices. One that was pending before
// belongs to somebody else and is left. errno stays as it is. Threads: one thread's own.
class sigpipe_held {
public:
    sigpipe_held() noexcept;
    sigpipe_held(const sigpipe_held&) = delete;
    sigpipe_held& operator=(const sigpipe_held&) = delete;
    ~sigpipe_held();

    // Takes away the signal that a write has raised. Call it after each EPIPE.
    void take() const noexcept;

private:
    sigset_t before_{};
    bool was_pending_ = false;
};

} // namespace portico::os
