#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <array>

namespace portico::ip {
namespace {

constexpr std::array<unsigned, 6> lengths{32, 40, 48, 56, 64, 96}; // RFC 6052 section 2.2
constexpr std::size_t u_octet = 8; // bits 64 to 71 are zero and carry nothing

bool is_translator(const prefix& which) noexcept {
    return which.base().is_v6() &&
           std::find(lengths.begin(), lengths.end(), which.length()) != lengths.end();
}

// Where the four bytes of the IPv4 address lie behind a prefix of this length.
constexpr std::array<std::size_t, 4> places(unsigned length) noexcept {
    std::array<std::size_t, 4> at{};
    std::size_t next = length / 8;
    for (auto& place : at) {
        next += next == u_octet ? 1 : 0;
        place = next++;
    }
    return at;
}
static_assert(places(32) == std::array<std::size_t, 4>{4, 5, 6, 7});
static_assert(places(40) == std::array<std::size_t, 4>{5, 6, 7, 9});
static_assert(places(64) == std::array<std::size_t, 4>{9, 10, 11, 12});
static_assert(places(96) == std::array<std::size_t, 4>{12, 13, 14, 15});

address::v4_bytes bytes_at(const address::v6_bytes& bytes,
                           const std::array<std::size_t, 4>& at) noexcept {
    return {bytes[at[0]], bytes[at[1]], bytes[at[2]], bytes[at[3]]};
}

// How often the value stands in the address, at any octet or around the u octet.
std::ptrdiff_t occurrences(const address::v6_bytes& bytes,
                           const address::v4_bytes& value) noexcept {
    std::ptrdiff_t found = 0;
    for (std::size_t first = 0; first + 4 <= bytes.size(); ++first) {
        found += bytes_at(bytes, {first, first + 1, first + 2, first + 3}) == value ? 1 : 0;
    }
    for (const unsigned split : {40U, 48U, 56U}) {
        found += bytes_at(bytes, places(split)) == value ? 1 : 0;
    }
    return found;
}

constexpr std::array<address::v4_bytes, 2> well_known_values{{{192, 0, 0, 170}, {192, 0, 0, 171}}};

// Whether no address of the answer has the value twice; otherwise a translator's prefix has it too,
// and the other value has to decide (RFC 7050 section 3).
bool is_unambiguous(std::span<const address> answer, const address::v4_bytes& value) noexcept {
    return std::none_of(answer.begin(), answer.end(), [&](const address& each) {
        return each.is_v6() && occurrences(each.to_v6(), value) > 1;
    });
}

// The translator's prefix in front of the value.
std::optional<prefix> prefix_before(const address& which, const address::v4_bytes& value) noexcept {
    const auto bytes = which.to_v6();
    const auto length = std::find_if(lengths.begin(), lengths.end(), [&](unsigned each) {
        return bytes_at(bytes, places(each)) == value;
    });
    return length == lengths.end() ? std::nullopt : prefix::make(which, *length);
}

} // namespace

address canonical(const address& which, std::span<const prefix> nat64) noexcept {
    if (which.is_v4_mapped()) {
        return address::v4(bytes_at(which.to_v6(), places(96)));
    }
    for (const auto& each : nat64) {
        if (const auto inside = nat64_extract(each, which)) {
            return *inside;
        }
    }
    return which;
}

endpoint canonical(const endpoint& which, std::span<const prefix> nat64) noexcept {
    return {canonical(which.address, nat64), which.port};
}

any_endpoint canonical(const any_endpoint& which, std::span<const prefix> nat64) {
    const auto* at = std::get_if<endpoint>(&which);
    return at != nullptr ? any_endpoint{canonical(*at, nat64)} : which;
}

const prefix& nat64_well_known() noexcept {
    static constexpr prefix well_known = *prefix::make(address::v6({0x00, 0x64, 0xff, 0x9b}), 96);
    return well_known;
}

std::optional<address> nat64_embed(const prefix& translator, const address& which) noexcept {
    if (!which.is_v4() || !is_translator(translator)) {
        return std::nullopt;
    }
    auto bytes = translator.base().to_v6();
    const auto at = places(translator.length());
    const auto value = which.to_v4();
    for (std::size_t i = 0; i < value.size(); ++i) {
        bytes[at[i]] = value[i];
    }
    return address::v6(bytes);
}

std::optional<address> nat64_extract(const prefix& translator, const address& which) noexcept {
    if (!is_translator(translator) || !translator.contains(which)) {
        return std::nullopt;
    }
    // RFC 6052 section 2.3: neither the u octet nor the suffix is looked at.
    return address::v4(bytes_at(which.to_v6(), places(translator.length())));
}

std::vector<prefix> nat64_discover(std::span<const address> answer) {
    std::array<bool, well_known_values.size()> usable{};
    std::transform(well_known_values.begin(), well_known_values.end(), usable.begin(),
                   [&](const auto& value) { return is_unambiguous(answer, value); });
    std::vector<prefix> found;
    for (const auto& each : answer) {
        if (!each.is_v6()) {
            continue;
        }
        const auto first = usable[0] ? prefix_before(each, well_known_values[0]) : std::nullopt;
        const auto second = usable[1] ? prefix_before(each, well_known_values[1]) : std::nullopt;
        const auto& made = first ? first : second;
        const bool one_says = first.has_value() != second.has_value();
        if (one_says && std::find(found.begin(), found.end(), *made) == found.end()) {
            found.push_back(*made);
        }
    }
    return found;
}

} // namespace portico::ip
