// Read first: doc/proxy-protocol.txt sections 2.1 and 2.2.
#include "portico/wire/proxy_header.hpp"

#include "wire/bytes.hpp"
#include "wire/crc32c.hpp"
#include "wire/proxy_header_format.hpp"

namespace portico::wire {
namespace {

using namespace proxy_format;

tl::unexpected<error> wrong(std::errc code, const ip::any_endpoint& at) {
    return tl::unexpected{error{std::make_error_code(code), operation::proxy, side::caller, at}};
}

// Both ends, of one family.
struct ip_ends {
    ip::endpoint source;
    ip::endpoint destination;

    [[nodiscard]] bool is_v4() const noexcept { return source.address.is_v4(); }
};

ip::address without_zone(const ip::address& which) noexcept {
    return which.is_v4() ? which : ip::address::v6(which.to_v6());
}

// nullopt: there are no IP endpoints to write.
std::optional<ip_ends> ip_ends_of(const proxy_header& what) noexcept {
    const auto* source = std::get_if<ip::endpoint>(&what.source);
    const auto* destination = std::get_if<ip::endpoint>(&what.destination);
    if (source == nullptr || destination == nullptr) {
        return std::nullopt;
    }
    ip_ends made{{without_zone(source->address), source->port},
                 {without_zone(destination->address), destination->port}};
    if (made.source.address.family() != made.destination.address.family()) {
        made.source.address = ip::address::v6(made.source.address.to_v6());
        made.destination.address = ip::address::v6(made.destination.address.to_v6());
    }
    return made;
}

bool has_endpoints(const proxy_header& what) noexcept {
    return what.command == proxy_command::proxy && what.transport != proxy_transport::unspecified &&
           !std::holds_alternative<std::monostate>(what.source);
}

void append_v1(const proxy_header& what, octets& to) {
    const auto ends = ip_ends_of(what);
    if (!ends || !has_endpoints(what) || what.transport != proxy_transport::stream) {
        put(to, unknown_v1);
        put(to, "\r\n");
        return;
    }
    put(to, signature_v1);
    put(to, ends->is_v4() ? "TCP4 " : "TCP6 ");
    put(to, ip::to_text(ends->source.address) + ' ');
    put(to, ip::to_text(ends->destination.address) + ' ');
    put(to, std::to_string(ends->source.port) + ' ');
    put(to, std::to_string(ends->destination.port) + "\r\n");
}

void put_unix(octets& to, const ip::unix_name& which) {
    const auto before = to.size();
    if (which.is_abstract()) {
        put(to, 0U);
    }
    put(to, which.text());
    to.resize(before + unix_size);
}

bool is_padded(const ip::any_endpoint& which) noexcept {
    const auto* name = std::get_if<ip::unix_name>(&which);
    return name != nullptr && name->is_abstract() && name->text().back() == '\0';
}

// The family of what is written for the endpoints.
unsigned put_endpoints(octets& to, const proxy_header& what) {
    if (!has_endpoints(what)) {
        return unspec;
    }
    if (const auto ends = ip_ends_of(what)) {
        put(to, ends->source.address);
        put(to, ends->destination.address);
        put_u16(to, ends->source.port);
        put_u16(to, ends->destination.port);
        return ends->is_v4() ? inet : inet6;
    }
    put_unix(to, std::get<ip::unix_name>(what.source));
    put_unix(to, std::get<ip::unix_name>(what.destination));
    return unix_domain;
}

// Where in `to` the checksum goes; its bytes are zero now.
std::size_t put_empty_checksum(octets& to) {
    put(to, static_cast<unsigned>(tlv_type::crc32c));
    put_u16(to, crc32c_size);
    to.resize(to.size() + crc32c_size);
    return to.size() - crc32c_size;
}

std::optional<std::size_t> put_tlvs(octets& to, const tlv_list& tlvs, proxy_checksum checksum) {
    std::optional<std::size_t> checksum_at;
    for (const auto each : tlvs) {
        if (each.type != tlv_type::crc32c) {
            put(to, static_cast<unsigned>(each.type));
            put_u16(to, each.value.size());
            put(to, each.value);
        } else if (checksum == proxy_checksum::crc32c && !checksum_at) {
            checksum_at = put_empty_checksum(to);
        }
    }
    if (checksum == proxy_checksum::crc32c && !checksum_at) {
        checksum_at = put_empty_checksum(to);
    }
    return checksum_at;
}

void set_u16(octets& in, std::size_t at, std::size_t value) {
    in[at] = static_cast<std::byte>(value >> 8U & 0xffU);
    in[at + 1] = static_cast<std::byte>(value & 0xffU);
}

result<void> append_v2(const proxy_header& what, proxy_checksum checksum, octets& to) {
    const auto start = to.size();
    put(to, signature_v2);
    put(to,
        version_2 << 4U | (what.command == proxy_command::local ? command_local : command_proxy));
    put(to, 0U); // for the family
    put_u16(to, 0);
    const auto family = put_endpoints(to, what);
    if (family != unspec) {
        to[start + 13] =
            static_cast<std::byte>(family << 4U | static_cast<unsigned>(what.transport));
    }
    const auto checksum_at = put_tlvs(to, what.tlvs, checksum);
    const auto length = to.size() - start - head_size;
    if (length > UINT16_MAX) {
        to.resize(start);
        return wrong(std::errc::message_size, what.source);
    }
    set_u16(to, start + 14, length);
    if (checksum_at) {
        const auto value = crc32c{}.add(std::span{to}.subspan(start)).value();
        set_u16(to, *checksum_at, value >> 16U);
        set_u16(to, *checksum_at + 2, value & 0xffffU);
    }
    return {};
}

} // namespace

result<void> append_proxy_header(const proxy_header& what, proxy_checksum checksum,
                                 std::vector<std::byte>& to) {
    if (what.source.index() != what.destination.index()) {
        return wrong(std::errc::invalid_argument, what.source);
    }
    if (what.version == proxy_version::v1) {
        append_v1(what, to);
        return {};
    }
    if (has_endpoints(what) && (is_padded(what.source) || is_padded(what.destination))) {
        return wrong(std::errc::invalid_argument,
                     is_padded(what.source) ? what.source : what.destination);
    }
    return append_v2(what, checksum, to);
}

} // namespace portico::wire
