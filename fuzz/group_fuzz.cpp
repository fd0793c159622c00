// Any bytes as a multicast group: what is read prints and reads back as the equal one, and what is
// not is pointed at inside the text.

#include "portico/ip/group.hpp"

#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{data, data + size};
    const auto first = ip::parse_group(text);
    if (!first) {
        const auto& why = first.error();
        demand(why.at <= text.size() && why.length >= 1 && !why.what.empty());
        demand(!ip::explain(text, why).empty());
        return 0;
    }
    demand(first->which.is_multicast() && first->which.zone().empty());
    const auto written = to_text(*first);
    const auto second = ip::parse_group(written);
    demand(second && *second == *first && to_text(*second) == written);
    return 0;
}
