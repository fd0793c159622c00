// An address block: a base address and how many of its leading bits count (RFC 4291 section 2.3,
// RFC 4632).
#pragma once

#include "portico/ip/address.hpp"

#include <vector>

namespace portico::ip {

class prefix {
public:
    constexpr prefix() noexcept = default; // 0.0.0.0/0
    // Bits beyond the length are cleared, a zone is dropped. nullopt when length is over 32 (IPv4)
    // or 128 (IPv6).
    [[nodiscard]] static constexpr std::optional<prefix> make(const address& base,
                                                              unsigned length) noexcept;

    [[nodiscard]] constexpr const address& base() const noexcept { return base_; }
    [[nodiscard]] constexpr unsigned length() const noexcept { return length_; }
    // Whether the block holds the address. An IPv4 address is never in an IPv6 block, nor the
    // reverse: call canonical() first when that is meant. The zone is not compared.
    [[nodiscard]] constexpr bool contains(const address& which) const noexcept;

    friend constexpr auto operator<=>(const prefix&, const prefix&) = default;

private:
    address base_;
    std::uint8_t length_ = 0;
};

// Reads "10.0.0.0/8", "2001:db8::/32", and a bare address as a block of one. Set bits beyond the
// length are an error, with the cleaned prefix as the hint. Zones are not allowed.
[[nodiscard]] text_result<prefix> parse_prefix(std::string_view text);
// "10.0.0.0/8"; the length is always written.
[[nodiscard]] std::string to_text(const prefix& which);

// ---- definitions of constexpr members ----

constexpr std::optional<prefix> prefix::make(const address& base, unsigned length) noexcept {
    const unsigned bits = base.is_v4() ? 32 : 128;
    if (length > bits) {
        return std::nullopt;
    }
    address::v6_bytes bytes = base.to_v6();
    const unsigned counted = length + (128 - bits); // an IPv4 base lies in the last four bytes
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto first = static_cast<unsigned>(i) * 8;
        const unsigned kept = counted <= first ? 0 : std::min(counted - first, 8U);
        bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> kept));
    }
    prefix made;
    made.base_ =
        base.is_v4() ? address::v4(bytes[12], bytes[13], bytes[14], bytes[15]) : address::v6(bytes);
    made.length_ = static_cast<std::uint8_t>(length);
    return made;
}

constexpr bool prefix::contains(const address& which) const noexcept {
    if (which.family() != base_.family()) {
        return false;
    }
    const auto same_block = make(which, length_);
    return same_block && same_block->base_ == base_;
}

} // namespace portico::ip

template <>
struct std::hash<portico::ip::prefix> {
    [[nodiscard]] std::size_t operator()(const portico::ip::prefix& which) const noexcept;
};
