#include "fd/text_file.hpp"

#include "socket/call.hpp"

#include <array>
#include <fcntl.h>

namespace portico::os {

sys_result<std::string> read_text(const std::string& path, std::size_t most) {
    const fd file{static_cast<int>(
        without_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY); }))};
    if (!file) {
        return failure(errno);
    }
    std::string text;
    std::array<std::byte, 4096> part{};
    for (;;) {
        const auto size = os::read(file.raw(), part);
        if (!size) {
            return tl::unexpected{size.error()};
        }
        if (*size == 0) {
            return text;
        }
        if (text.size() + *size > most) {
            return failure(EFBIG);
        }
        text.append(reinterpret_cast<const char*>(part.data()), *size);
    }
}

} // namespace portico::os
