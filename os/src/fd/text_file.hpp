// Text files that are read at once, as those of proc(5) are.
#pragma once

#include "portico/os/socket.hpp"

#include <string>

namespace portico::os {

// All of it; EFBIG when that is more than `most` bytes.
[[nodiscard]] sys_result<std::string> read_text(const std::string& path,
                                                std::size_t most = 4 * 1024 * 1024);

} // namespace portico::os
