// What a start of listeners tells: on stdout where it listens, in the log what it remarked.
#pragma once

#include "log/log.hpp"

#include "portico/run/listen.hpp"
#include "portico/run/reverse_names.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

void log_remarks(event_log& log, const run::listen_report& report,
                 const std::vector<plan::wish>& wishes);

// A line "listening tcp [::]:80" for each socket.
[[nodiscard]] std::string listening_lines(const run::listener& open);

// To stdout; nobody has to read it, and a service serves without: what a pipe does not take within
// a second, and until it does again at once, is lost.
void announce(std::string_view text);

// How many clients were logged without a name for want of room since `told`, which is then as it is
// now; nothing when there were none.
void log_nameless(event_log& log, const run::reverse_names& names, std::uint64_t& told);

} // namespace portico::app
