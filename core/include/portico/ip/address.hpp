// IPv4 and IPv6 addresses as values (RFC 791, RFC 4291), with the zone of RFC 4007.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "portico/ip/text_error.hpp"

namespace portico::ip {

enum class family : std::uint8_t { v4 = 4, v6 = 6 };

// "IPv4" or "IPv6".
[[nodiscard]] std::string_view to_text(family which) noexcept;

// The zone of a scoped IPv6 address (RFC 4007 section 6): an interface name or number, 0 to 15
// bytes of text. Only os can tell which interface a name means; two zones are equal when their
// texts are.
class zone {
public:
    static constexpr std::size_t max_size = 15; // IFNAMSIZ without its terminator

    constexpr zone() noexcept = default;
    // nullopt when the text is longer than max_size, or has a character that no interface name has
    // (control, space, outside ASCII, '/', '%', ':', '[', ']', ',').
    [[nodiscard]] static constexpr std::optional<zone> from_text(std::string_view text) noexcept;
    // The numeric form; index 0 is the empty zone (RFC 4007 section 6: the default zone).
    [[nodiscard]] static constexpr zone from_index(std::uint32_t index) noexcept;

    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] constexpr std::string_view text() const noexcept { return {text_.data(), size_}; }
    // The interface number when the zone is written as one; nullopt for a name.
    [[nodiscard]] constexpr std::optional<std::uint32_t> index() const noexcept;

    friend constexpr auto operator<=>(const zone&, const zone&) = default;

private:
    std::array<char, max_size> text_{};
    std::uint8_t size_ = 0;
};

// An IPv4 or IPv6 address. Regular, constexpr, trivially copyable; 33 bytes or so, nothing on the
// heap. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is not equal to the IPv4 one; see canonical().
class address {
public:
    using v4_bytes = std::array<std::uint8_t, 4>;  // network order
    using v6_bytes = std::array<std::uint8_t, 16>; // network order

    constexpr address() noexcept = default; // 0.0.0.0
    [[nodiscard]] static constexpr address v4(v4_bytes bytes) noexcept;
    [[nodiscard]] static constexpr address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                              std::uint8_t d) noexcept {
        return v4(v4_bytes{a, b, c, d});
    }
    [[nodiscard]] static constexpr address v6(const v6_bytes& bytes, ip::zone where = {}) noexcept;
    [[nodiscard]] static constexpr address any(ip::family which) noexcept;      // 0.0.0.0 or ::
    [[nodiscard]] static constexpr address loopback(ip::family which) noexcept; // 127.0.0.1 or ::1

    [[nodiscard]] constexpr ip::family family() const noexcept { return family_; }
    [[nodiscard]] constexpr bool is_v4() const noexcept { return family_ == ip::family::v4; }
    [[nodiscard]] constexpr bool is_v6() const noexcept { return family_ == ip::family::v6; }
    // Precondition: is_v4().
    [[nodiscard]] constexpr v4_bytes to_v4() const noexcept {
        return {bytes_[0], bytes_[1], bytes_[2], bytes_[3]};
    }
    // The 16 bytes of an IPv6 address; of an IPv4 one its mapped form ::ffff:a.b.c.d (RFC 4291
    // section 2.5.5.2).
    [[nodiscard]] constexpr v6_bytes to_v6() const noexcept;
    [[nodiscard]] constexpr const ip::zone& zone() const noexcept { return zone_; }
    // The same address in another zone. Precondition: is_v6(), or an empty zone.
    [[nodiscard]] constexpr address with_zone(ip::zone where) const noexcept;

    [[nodiscard]] constexpr bool is_unspecified() const noexcept; // 0.0.0.0 or ::
    [[nodiscard]] constexpr bool is_loopback() const noexcept;    // 127.0.0.0/8 or ::1
    [[nodiscard]] constexpr bool is_link_local() const noexcept;  // 169.254.0.0/16 or fe80::/10
    [[nodiscard]] constexpr bool is_multicast() const noexcept;   // 224.0.0.0/4 or ff00::/8
    [[nodiscard]] constexpr bool is_v4_mapped() const noexcept;   // ::ffff:0:0/96
    // True when the address means nothing without a zone: fe80::/10, ff01::/16 and ff02::/16 (RFC
    // 4007 section 4).
    [[nodiscard]] constexpr bool needs_zone() const noexcept;

    // IPv4 before IPv6, then by value, then by zone.
    friend constexpr auto operator<=>(const address&, const address&) = default;

private:
    ip::family family_ = ip::family::v4;
    v6_bytes bytes_{}; // IPv4 in the first four
    ip::zone zone_;
};

// Reads an address: dotted quad (four decimal parts, no leading zeros), the IPv6 forms of RFC 4291
// section 2.2, and a zone after '%' (RFC 4007 section 11) or "%25" (RFC 6874 section 2). Brackets
// are not part of an address.
//
// The two ways to write a zone overlap when it begins with "25". Only digits after the '%' are an
// interface number as written: "%25" is interface 25 and "%251" is interface 251. Otherwise a
// leading "25" is the escape: "%25eth0" is eth0, and an interface called 25eth0 is "%2525eth0".
// Zone 0 is no zone (RFC 4007 section 6) and an error.
[[nodiscard]] text_result<address> parse_address(std::string_view text);

// The one canonical text (RFC 5952 sections 4 and 5; IPv4-mapped addresses end in a dotted quad),
// zone after '%'. It reads back as the equal address: a zone that begins with "25" and is not a
// number is written with the escape.
[[nodiscard]] std::string to_text(const address& which);

// ---- definitions of constexpr members ----

constexpr std::optional<zone> zone::from_text(std::string_view text) noexcept {
    if (text.size() > max_size) {
        return std::nullopt;
    }
    zone made;
    for (const char c : text) {
        if (c <= ' ' || c >= '\x7f' ||
            std::string_view{"/%:[],"}.find(c) != std::string_view::npos) {
            return std::nullopt;
        }
        made.text_[made.size_++] = c;
    }
    return made;
}

constexpr zone zone::from_index(std::uint32_t index) noexcept {
    zone made;
    std::array<char, 10> reversed{};
    std::size_t digits = 0;
    for (; index != 0; index /= 10) {
        reversed[digits++] = static_cast<char>('0' + index % 10);
    }
    while (digits != 0) {
        made.text_[made.size_++] = reversed[--digits];
    }
    return made;
}

constexpr std::optional<std::uint32_t> zone::index() const noexcept {
    std::uint64_t value = 0;
    for (const char c : text()) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
        if (value > UINT32_MAX) {
            return std::nullopt;
        }
    }
    return empty() ? std::nullopt : std::optional{static_cast<std::uint32_t>(value)};
}

constexpr address address::v4(v4_bytes bytes) noexcept {
    address made;
    std::copy(bytes.begin(), bytes.end(), made.bytes_.begin());
    return made;
}

constexpr address address::v6(const v6_bytes& bytes, ip::zone where) noexcept {
    address made;
    made.family_ = ip::family::v6;
    made.bytes_ = bytes;
    made.zone_ = where;
    return made;
}

constexpr address address::any(ip::family which) noexcept {
    return which == ip::family::v4 ? address{} : v6({});
}

constexpr address address::loopback(ip::family which) noexcept {
    return which == ip::family::v4 ? v4(127, 0, 0, 1)
                                   : v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

constexpr address::v6_bytes address::to_v6() const noexcept {
    if (is_v6()) {
        return bytes_;
    }
    return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, bytes_[0], bytes_[1], bytes_[2], bytes_[3]};
}

constexpr address address::with_zone(ip::zone where) const noexcept {
    address made = *this;
    made.zone_ = where;
    return made;
}

constexpr bool address::is_unspecified() const noexcept {
    return bytes_ == v6_bytes{};
}

constexpr bool address::is_loopback() const noexcept {
    return is_v4() ? bytes_[0] == 127 : bytes_ == loopback(ip::family::v6).bytes_;
}

constexpr bool address::is_link_local() const noexcept {
    return is_v4() ? bytes_[0] == 169 && bytes_[1] == 254
                   : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

constexpr bool address::is_multicast() const noexcept {
    return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

constexpr bool address::is_v4_mapped() const noexcept {
    return is_v6() &&
           std::all_of(bytes_.begin(), bytes_.begin() + 10, [](auto b) { return b == 0; }) &&
           bytes_[10] == 0xff && bytes_[11] == 0xff;
}

constexpr bool address::needs_zone() const noexcept {
    if (is_v4()) {
        return false;
    }
    return is_link_local() ||
           (bytes_[0] == 0xff && ((bytes_[1] & 0x0f) == 1 || (bytes_[1] & 0x0f) == 2));
}

} // namespace portico::ip

// The hashes of this area mix all bytes and have no seed: a table that a stranger can fill needs a
// bound of its own.
template <>
struct std::hash<portico::ip::zone> {
    [[nodiscard]] std::size_t operator()(const portico::ip::zone& which) const noexcept;
};
template <>
struct std::hash<portico::ip::address> {
    [[nodiscard]] std::size_t operator()(const portico::ip::address& which) const noexcept;
};
