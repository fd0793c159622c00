#include "portico/os/fd.hpp"

#include <unistd.h>

namespace portico::os {

void fd::reset() noexcept {
    if (raw_ >= 0) {
        ::close(std::exchange(raw_, -1));
    }
}

} // namespace portico::os
