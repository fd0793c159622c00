#include "portico/admit/gate.hpp"

#include <algorithm>

namespace portico::admit {

std::string_view to_text(when_full which) noexcept {
    return which == when_full::queue ? "queue" : "refuse";
}

bool gate::handle_connection() noexcept {
    if (is_full()) {
        ++counts_.refused;
        return false;
    }
    ++open_;
    ++counts_.let_in;
    counts_.filled += is_full() ? 1U : 0U;
    counts_.most_open = std::max(counts_.most_open, open_);
    return true;
}

bool gate::handle_ended() noexcept {
    const bool was_accepting = poll_accepting();
    open_ -= open_ == 0 ? 0U : 1U;
    return !was_accepting && poll_accepting();
}

bool gate::handle_limit(std::size_t limit, when_full then) noexcept {
    const bool was_accepting = poll_accepting();
    const bool was_full = is_full();
    limit_ = limit;
    then_ = then;
    counts_.filled += !was_full && is_full() ? 1U : 0U;
    return !was_accepting && poll_accepting();
}

} // namespace portico::admit
