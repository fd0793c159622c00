// Any bytes as one listen wish or a list of them: what is read prints and reads back as the equal
// wish, and what is not is pointed at inside the text.

#include "portico/ip/listen_address.hpp"

#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_error(std::string_view text, const ip::text_error& why) {
    demand(why.at <= text.size());
    demand(why.length >= 1 && !why.what.empty());
    demand(!ip::explain(text, why).empty());
}

void check_one(std::string_view text) {
    const auto first = ip::parse_listen_address(text);
    if (!first) {
        check_error(text, first.error());
        return;
    }
    demand(first->text == text);
    const auto written = to_text(*first);
    const auto second = ip::parse_listen_address(written);
    demand(second && *second == *first && to_text(*second) == written);
    // A wish is one item of a list, whatever is in it.
    const auto listed = ip::parse_listen_addresses(written + ',' + written);
    demand(listed && listed->size() == 2 && listed->front() == *first && listed->back() == *first);
}

void check_list(std::string_view text) {
    const auto all = ip::parse_listen_addresses(text);
    if (!all) {
        check_error(text, all.error());
        return;
    }
    std::string written;
    for (const auto& each : *all) {
        demand(text.find(each.text) != std::string_view::npos);
        written += (written.empty() ? "" : ",") + to_text(each);
    }
    demand(ip::parse_listen_addresses(written) == *all);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{data, data + size};
    check_one(text);
    check_list(text);
    return 0;
}
