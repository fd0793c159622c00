#include "portico/os/sigpipe.hpp"

#include "socket/call.hpp"

#include <cerrno>
#include <ctime>

namespace portico::os {
namespace {

const sigset_t* only_sigpipe() noexcept {
    static const sigset_t set = [] {
        sigset_t made;
        ::sigemptyset(&made);
        ::sigaddset(&made, SIGPIPE);
        return made;
    }();
    return &set;
}

} // namespace

sigpipe_held::sigpipe_held() noexcept {
    sigset_t pending;
    ::sigemptyset(&pending);
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, only_sigpipe(), &before_);
}

sigpipe_held::~sigpipe_held() {
    const int number = errno;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = number;
}

// Also where SIGPIPE is ignored: a blocked signal is kept pending whatever its disposition is.
// sigtimedwait(2) prefers signals of the thread to those of the process.
void sigpipe_held::take() const noexcept {
    const int number = errno;
    constexpr timespec at_once{0, 0};
    if (!was_pending_) {
        static_cast<void>(
            without_eintr([&] { return ::sigtimedwait(only_sigpipe(), nullptr, &at_once); }));
    }
    errno = number;
}

} // namespace portico::os
