// The wall clock as this library's user wants it: LD_PRELOAD, and JUMPING_CLOCK for a file with the
// seconds that it is off, eight bytes, which may change at any time. Other clocks are left alone.

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

std::int64_t seconds_off() {
    static const volatile std::int64_t* const off = [] {
        static const std::int64_t none = 0;
        const char* const name = std::getenv("JUMPING_CLOCK");
        const int file = name == nullptr ? -1 : ::open(name, O_RDONLY | O_CLOEXEC);
        if (file < 0) {
            return &none;
        }
        void* const there = ::mmap(nullptr, sizeof none, PROT_READ, MAP_SHARED, file, 0);
        ::close(file);
        return there == MAP_FAILED ? &none : static_cast<const std::int64_t*>(there);
    }();
    return *off;
}

} // namespace

extern "C" int clock_gettime(clockid_t which, timespec* to) noexcept {
    const auto done = static_cast<int>(::syscall(SYS_clock_gettime, which, to));
    if (done == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        to->tv_sec += seconds_off();
    }
    return done;
}

extern "C" int gettimeofday(timeval* to, void*) noexcept {
    timespec now{};
    const int done = clock_gettime(CLOCK_REALTIME, &now);
    *to = {now.tv_sec, now.tv_nsec / 1000};
    return done;
}

extern "C" time_t time(time_t* to) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (to != nullptr) {
        *to = now.tv_sec;
    }
    return now.tv_sec;
}
