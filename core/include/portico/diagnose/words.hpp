// Sockets and processes in words.
#pragma once

#include "portico/diagnose/facts.hpp"

#include <string>
#include <string_view>

namespace portico::diagnose {

[[nodiscard]] std::string_view to_text(socket_state which) noexcept; // "listening"

// "tcp 0.0.0.0:80: listening, user 0, queue 0 of 511, SO_REUSEADDR set, SO_REUSEPORT not known"
[[nodiscard]] std::string line_of(const socket& which);
// "pid 812 nginx, user 0, unit nginx.service: nginx: master process"
[[nodiscard]] std::string line_of(const process& which);

} // namespace portico::diagnose
