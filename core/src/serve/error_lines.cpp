#include "portico/serve/error_lines.hpp"

#include <algorithm>
#include <utility>

namespace portico::serve {

void line_splitter::keep(std::string_view part) {
    const auto fits = std::min(part.size(), longest_ - begun_.size());
    begun_.append(part.substr(0, fits));
    cut_ += part.size() - fits;
}

std::optional<error_line> line_splitter::take() {
    told_ = std::exchange(begun_, {});
    const auto cut = std::exchange(cut_, 0);
    std::string_view text = told_;
    if (text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    return text.empty() && cut == 0 ? std::nullopt : std::optional{error_line{text, cut}};
}

std::optional<error_line> line_splitter::poll_line(std::string_view& bytes) {
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        keep(bytes.substr(0, end));
        if (end == std::string_view::npos) {
            bytes = {};
            break;
        }
        bytes.remove_prefix(end + 1);
        if (const auto line = take()) {
            return line;
        }
    }
    return std::nullopt;
}

std::optional<error_line> line_splitter::poll_rest() {
    return take();
}

bool line_budget::take(instant now) noexcept {
    if (now > as_of_) {
        // At most what fills it, so that no product can overflow.
        const auto passed = std::min(now - as_of_, duration{std::chrono::hours{1}});
        const auto each =
            duration{std::chrono::seconds{1}} / static_cast<std::int64_t>(per_second_);
        const auto gained = passed / each;
        left_ = std::min(burst_, left_ + static_cast<std::uint64_t>(gained));
        as_of_ = left_ == burst_ ? now : as_of_ + gained * each;
    }
    if (left_ == 0) {
        return false;
    }
    --left_;
    return true;
}

} // namespace portico::serve
