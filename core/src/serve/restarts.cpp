#include "portico/serve/restarts.hpp"

#include <algorithm>
#include <iterator>

namespace portico::serve {
namespace {

bool is_in_vain(const program_run& run) noexcept {
    if (!run.started) {
        return true;
    }
    return run.is_waited && run.lasted < restart_pause::short_run && !run.took.value_or(false);
}

std::vector<std::uint64_t> in_order(const std::vector<std::uint64_t>& who) {
    auto sorted = who;
    std::erase(sorted, 0U);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
}

} // namespace

std::optional<bool> has_taken(const waiting_clients& before, const waiting_clients& after) {
    if (before.at_least > after.at_most) {
        return true;
    }
    if (!before.who || !after.who) {
        return std::nullopt;
    }
    const auto old = in_order(*before.who);
    const auto now = in_order(*after.who);
    if (!std::includes(now.begin(), now.end(), old.begin(), old.end())) {
        return true;
    }
    const auto came = now.size() - old.size(); // and perhaps others
    return before.at_least + came > after.at_most;
}

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
