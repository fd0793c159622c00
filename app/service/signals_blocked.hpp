// Signals are for the main thread, and not for its end.
#pragma once

#include <csignal>

namespace portico::app {

// The process is ending, and how it ends is decided: whatever comes now must not end it otherwise.
// boost::asio::signal_set puts the default back, which is death, and statics are destroyed after.
inline void block_signals_until_exit() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

// While it lives, this thread gets no signal, and threads that it starts never do.
class signals_blocked {
public:
    signals_blocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;
    ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

} // namespace portico::app
