// How a time limit is shared out over the three numbers of TCP keepalive.
#pragma once

#include <optional>

namespace portico::os {

// In seconds, but for `count`: the first probe goes out after `idle`, `count` of them `interval`
// apart; the connection is given up `interval` after the last.
struct keepalive_times {
    int idle = 0;
    int interval = 0;
    int count = 0;
};

// idle + interval * count == limit, with about half of the limit idle and three probes in the other
// half; each number within what Linux takes (idle and interval 1 to 32767, count 1 to 127). A limit
// of 1 is the exception: a probe after one second and a second for its answer make 2. nullopt for
// a limit below 1 or above 2147483 seconds, where TCP_USER_TIMEOUT (an int of milliseconds) ends.
[[nodiscard]] std::optional<keepalive_times> share_out(long long limit) noexcept;

} // namespace portico::os
