// Read first: doc/proxy-protocol.txt section 2.2, from "Type-Length-Value" on.
#include "portico/wire/proxy_header.hpp"

#include "wire/bytes.hpp"

namespace portico::wire {
namespace {

constexpr std::size_t tlv_head = 3;
constexpr std::size_t ssl_head = 5;

// Precondition: a whole TLV is there.
std::size_t size_of_first(std::span<const std::byte> rest) noexcept {
    return tlv_head + u16_at(rest, 1);
}

} // namespace

std::string_view to_text(tlv_type which) noexcept {
    switch (which) {
    case tlv_type::alpn:
        return "alpn";
    case tlv_type::authority:
        return "authority";
    case tlv_type::crc32c:
        return "crc32c";
    case tlv_type::noop:
        return "noop";
    case tlv_type::unique_id:
        return "unique_id";
    case tlv_type::ssl:
        return "ssl";
    case tlv_type::ssl_version:
        return "ssl_version";
    case tlv_type::ssl_cn:
        return "ssl_cn";
    case tlv_type::ssl_cipher:
        return "ssl_cipher";
    case tlv_type::ssl_sig_alg:
        return "ssl_sig_alg";
    case tlv_type::ssl_key_alg:
        return "ssl_key_alg";
    case tlv_type::netns:
        return "netns";
    }
    return {};
}

std::optional<tlv_list> tlv_list::from_bytes(std::span<const std::byte> bytes) {
    for (auto rest = bytes; !rest.empty();) {
        if (rest.size() < tlv_head || rest.size() < size_of_first(rest)) {
            return std::nullopt;
        }
        rest = rest.subspan(size_of_first(rest));
    }
    tlv_list made;
    made.bytes_.assign(bytes.begin(), bytes.end());
    return made;
}

void tlv_list::append(tlv_type type, std::span<const std::byte> value) {
    put(bytes_, static_cast<unsigned>(type));
    put_u16(bytes_, value.size());
    put(bytes_, value);
}

void tlv_list::append(tlv_type type, std::string_view value) {
    append(type, std::as_bytes(std::span{value}));
}

std::optional<std::span<const std::byte>> tlv_list::find(tlv_type type) const noexcept {
    for (const auto each : *this) {
        if (each.type == type) {
            return each.value;
        }
    }
    return std::nullopt;
}

tlv tlv_list::iterator::operator*() const noexcept {
    return {static_cast<tlv_type>(rest_.front()),
            rest_.first(size_of_first(rest_)).subspan(tlv_head)};
}

tlv_list::iterator& tlv_list::iterator::operator++() noexcept {
    rest_ = rest_.subspan(size_of_first(rest_));
    return *this;
}

tlv_list::iterator tlv_list::iterator::operator++(int) noexcept {
    const auto before = *this;
    ++*this;
    return before;
}

std::optional<ssl_tlv> read_ssl_tlv(std::span<const std::byte> value) {
    if (value.size() < ssl_head) {
        return std::nullopt;
    }
    auto parts = tlv_list::from_bytes(value.subspan(ssl_head));
    if (!parts) {
        return std::nullopt;
    }
    return ssl_tlv{std::to_integer<std::uint8_t>(value[0]), u32_at(value, 1), *std::move(parts)};
}

std::vector<std::byte> ssl_tlv_value(const ssl_tlv& from) {
    octets made;
    put(made, from.client);
    put_u16(made, from.verify >> 16U);
    put_u16(made, from.verify & 0xffffU);
    put(made, from.parts.bytes());
    return made;
}

} // namespace portico::wire
