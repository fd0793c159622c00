#include "terminal.hpp"

#include "portico/os/fd.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace portico::app {

bool wants_colour() {
    const char* no_colour = std::getenv("NO_COLOR");
    return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

bool has_terminal() {
    return bool{os::fd{::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)}};
}

} // namespace portico::app
