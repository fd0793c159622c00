// Core and os: the clock that only os may read.
#include "portico/base/deadline.hpp"
#include "portico/os/clock.hpp"

#include <cstdio>

int main() {
    const auto before = portico::os::now();
    const auto after = portico::os::now();
    std::printf("os: time goes %s\n", after >= before ? "on" : "back");
    return after >= before ? 0 : 1;
}
