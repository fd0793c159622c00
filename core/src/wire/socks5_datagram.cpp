// Read first: RFC 1928 section 7.
#include "portico/wire/socks5_datagram.hpp"

#include "portico/ip/canonical.hpp"
#include "wire/socks5_format.hpp"

namespace portico::wire {
namespace {

using drop = socks5_datagram_drop;

constexpr std::size_t address_at = 3; // after the two reserved bytes and FRAG

// Reading what is none would allocate the explanation.
bool may_be_literal(std::string_view name) noexcept {
    return name.find(':') != name.npos || name.find_first_not_of("0123456789.") == name.npos;
}

tl::expected<std::variant<ip::endpoint, socks5_name>, drop>
remote_of(const socks5::host_and_port& from) {
    if (const auto* address = std::get_if<ip::address>(&from.host)) {
        return ip::endpoint{*address, from.port};
    }
    const auto name = std::get<std::string_view>(from.host);
    if (may_be_literal(name)) {
        if (const auto literal = ip::parse_address(name); literal && literal->zone().empty()) {
            return ip::endpoint{*literal, from.port};
        }
    }
    if (name.empty() || find_bad_name_byte(name)) {
        return tl::unexpected{drop::bad_name};
    }
    return socks5_name{name, from.port};
}

void start(octets& to) {
    to.clear();
    put_u16(to, 0);
    put(to, 0U);
}

} // namespace

std::string_view to_text(socks5_datagram_drop why) noexcept {
    static constexpr std::array<std::string_view, socks5_datagram_drops> texts{
        "too_short", "bad_reserved", "fragment", "unknown_address_type", "bad_name", "bad_port",
    };
    return texts[static_cast<std::size_t>(why)];
}

tl::expected<socks5_datagram, socks5_datagram_drop>
read_socks5_datagram(std::span<const std::byte> whole) {
    if (whole.size() <= address_at) {
        return tl::unexpected{drop::too_short};
    }
    if (u16_at(whole, 0) != 0) {
        return tl::unexpected{drop::bad_reserved};
    }
    if (byte_at(whole, 2) != 0) {
        return tl::unexpected{drop::fragment};
    }
    const auto rest = whole.subspan(address_at);
    const auto size = socks5::address_size(rest);
    if (!size) {
        return tl::unexpected{drop::unknown_address_type};
    }
    if (rest.size() < *size) {
        return tl::unexpected{drop::too_short};
    }
    const auto to = socks5::read_address(rest.first(*size));
    auto remote = remote_of(to);
    if (!remote) {
        return tl::unexpected{remote.error()};
    }
    if (to.port == 0) {
        return tl::unexpected{drop::bad_port};
    }
    return socks5_datagram{*remote, rest.subspan(*size)};
}

void write_socks5_datagram_head(const ip::endpoint& remote, std::vector<std::byte>& to) {
    start(to);
    socks5::put_address(to, ip::canonical(remote));
}

void write_socks5_datagram_head(const socks5_name& remote, std::vector<std::byte>& to) {
    start(to);
    socks5::put_address(to, remote.name, remote.port);
}

} // namespace portico::wire
