#include "portico/serve/restarts.hpp"

#include <algorithm>

namespace portico::serve {
namespace {

bool is_in_vain(const program_run& run) noexcept {
    if (!run.started) {
        return true;
    }
    return run.is_waited && run.lasted < restart_pause::short_run && !run.took.value_or(false);
}

} // namespace

duration restart_pause::handle_end(const program_run& run) noexcept {
    if (!is_in_vain(run)) {
        in_vain_ = 0;
        return duration::zero();
    }
    constexpr std::uint64_t doublings = 10; // beyond the longest
    const auto times = std::min(in_vain_++, doublings);
    return std::min(first * (std::int64_t{1} << times), longest);
}

} // namespace portico::serve
