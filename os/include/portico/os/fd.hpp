// An owned file descriptor.
#pragma once

#include <utility>

namespace portico::os {

// Owns a descriptor and closes it at its end. Move-only. Threads: distinct objects safe, shared
// ones not.
class [[nodiscard]] fd {
public:
    fd() noexcept = default;
    // Takes over an open descriptor, or -1 for none.
    explicit fd(int raw) noexcept : raw_{raw} {}
    fd(fd&& other) noexcept : raw_{std::exchange(other.raw_, -1)} {}
    fd& operator=(fd&& other) noexcept {
        if (this != &other) {
            reset();
            raw_ = std::exchange(other.raw_, -1);
        }
        return *this;
    }
    ~fd() { reset(); }

    // Gives the descriptor up without closing it.
    [[nodiscard]] int release() && noexcept { return std::exchange(raw_, -1); }
    // Closes it now; errors of close(2) are ignored, and it is never called twice for one
    // descriptor.
    void reset() noexcept;

    [[nodiscard]] int raw() const noexcept { return raw_; }
    [[nodiscard]] explicit operator bool() const noexcept { return raw_ >= 0; }

private:
    int raw_ = -1;
};

// Opens /dev/null in the place of each of the descriptors 0, 1 and 2 that is closed, so that no
// socket or file gets one of these numbers. A closed stdin is then an empty one, while writing to a
// closed stdout fails with EBADF as it did before. Call it first in main().
void keep_standard_descriptors() noexcept;

} // namespace portico::os
