#include "flags/nearest_word.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

namespace portico::app {
namespace {

// How many letters have to be added, taken away, replaced, or swapped with the next one (optimal
// string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1); // the row above `last`
    std::vector<std::size_t> last(b.size() + 1);
    std::iota(last.begin(), last.end(), 0U);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::vector<std::size_t> row{i};
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row.push_back(std::min({replaced, last[j] + 1, row[j - 1] + 1}));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        before = std::exchange(last, std::move(row));
    }
    return last[b.size()];
}

} // namespace

std::string nearest_word(const std::string& typed, const std::vector<std::string>& words) {
    const auto name = typed.substr(0, typed.find('='));
    std::string best;
    std::size_t least = std::max<std::size_t>(1, name.size() / 3) + 1;
    for (const auto& each : words) {
        if (const auto far = distance(name, each); far < least) {
            least = far;
            best = each;
        }
    }
    return best;
}

} // namespace portico::app
