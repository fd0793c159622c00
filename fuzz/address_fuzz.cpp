// Any bytes as the text of an address, an endpoint, an address block or a UNIX name: what is read
// prints and reads back as the equal value, what is not is pointed at inside the text, and the C
// library agrees which texts are addresses.

#include "portico/ip/canonical.hpp"
#include "portico/ip/endpoint.hpp"
#include "portico/ip/prefix.hpp"
#include "portico/ip/unix_name.hpp"

#include <arpa/inet.h>
#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

template <class T, class Read>
void round_trip(std::string_view text, Read read, std::string_view before = {}) {
    const ip::text_result<T> first = read(text);
    if (!first) {
        demand(first.error().at <= text.size());
        demand(first.error().length >= 1 && !first.error().what.empty());
        demand(!ip::explain(text, first.error()).empty());
        return;
    }
    const auto written = to_text(*first);
    demand(written.starts_with(before));
    const auto second = read(std::string_view{written}.substr(before.size()));
    demand(second && *second == *first);
    demand(to_text(*second) == written);
    demand(std::hash<T>{}(*first) == std::hash<T>{}(*second));
}

// The C library reads the same texts as addresses, but for the zone, which it does not know here.
void check_against_libc(const std::string& text) {
    if (text.find_first_of(std::string_view{"%\0", 2}) != std::string::npos) {
        return;
    }
    const auto which = ip::parse_address(text);
    ip::address::v4_bytes v4{};
    ip::address::v6_bytes v6{};
    if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1) {
        demand(which == ip::address::v4(v4));
    } else if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) {
        demand(which == ip::address::v6(v6));
    } else {
        demand(!which);
    }
}

void check_canonical(std::string_view text) {
    const auto which = ip::parse_address(text);
    if (!which) {
        return;
    }
    const auto once = ip::canonical(*which, {&ip::nat64_well_known(), 1});
    demand(!once.is_v4_mapped());
    demand(ip::canonical(once, {&ip::nat64_well_known(), 1}) == once);
    for (unsigned length = 0; length <= 128; ++length) {
        const auto block = ip::prefix::make(*which, length);
        demand(block.has_value() == (which->is_v6() || length <= 32));
        demand(!block || block->contains(*which));
        if (const auto inside = block ? ip::nat64_extract(*block, *which) : std::nullopt) {
            const auto again = ip::nat64_embed(*block, *inside);
            demand(again && ip::nat64_extract(*block, *again) == inside);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{data, data + size};
    round_trip<ip::address>(text, ip::parse_address);
    round_trip<ip::endpoint>(text, ip::parse_endpoint);
    round_trip<ip::prefix>(text, ip::parse_prefix);
    round_trip<ip::unix_name>(text, ip::parse_unix_name, "unix:");
    check_against_libc(text);
    check_canonical(text);
    return 0;
}
