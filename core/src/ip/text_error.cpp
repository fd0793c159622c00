#include "portico/ip/text_error.hpp"

#include <algorithm>

namespace portico::ip {
namespace {

constexpr std::size_t widest = 96; // of a long text this much is shown
constexpr std::size_t before = 40; // and this much of it before the error

char visible(char c) noexcept {
    return c >= ' ' && c < '\x7f' ? c : '?';
}

} // namespace

std::string explain(std::string_view text, const text_error& why) {
    const std::size_t at = std::min(why.at, text.size());
    const std::size_t first =
        text.size() > widest && at > before ? std::min(at - before, text.size() - widest) : 0;
    const auto shown = text.substr(first, widest);

    std::string lines = first == 0 ? "  " : "  ...";
    std::string marks(lines.size() + (at - first), ' ');
    std::transform(shown.begin(), shown.end(), std::back_inserter(lines), visible);
    lines += first + shown.size() < text.size() ? "..." : "";

    const std::size_t left = shown.size() - std::min(shown.size(), at - first);
    const std::size_t length =
        std::clamp<std::size_t>(why.length, 1, std::max<std::size_t>(left, 1));
    marks += '^' + std::string(length - 1, '~');
    lines += '\n' + marks + '\n' + why.what;
    return why.hint.empty() ? lines : lines + "\nhint: " + why.hint;
}

} // namespace portico::ip
