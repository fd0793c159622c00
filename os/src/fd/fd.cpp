#include "portico/os/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace portico::os {

void fd::reset() noexcept {
    if (raw_ >= 0) {
        ::close(std::exchange(raw_, -1));
    }
}

void keep_standard_descriptors() noexcept {
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(number, F_GETFD) < 0) {
            // open() takes the lowest free number: this one, as those below are open by now.
            (void)::open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

} // namespace portico::os
