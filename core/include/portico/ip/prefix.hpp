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
    [[nodiscard]] static std::optional<prefix> make(const address& base, unsigned length) noexcept;

    [[nodiscard]] constexpr const address& base() const noexcept { return base_; }
    [[nodiscard]] constexpr unsigned length() const noexcept { return length_; }
    // Whether the block holds the address. An IPv4 address is never in an IPv6 block, nor the
    // reverse: call canonical() first when that is meant. The zone is not compared.
    [[nodiscard]] bool contains(const address& which) const noexcept;

    friend constexpr auto operator<=>(const prefix&, const prefix&) = default;

private:
    address base_;
    std::uint8_t length_ = 0;
};

// Reads "10.0.0.0/8", "2001:db8::/32", and a bare address as a block of one. Set bits beyond the
// length are an error, with the cleaned prefix as the hint. Zones are not allowed.
[[nodiscard]] text_result<prefix> parse_prefix(std::string_view text);
[[nodiscard]] std::string to_text(const prefix& which);

} // namespace portico::ip
