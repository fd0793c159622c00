// The PROXY protocol, versions 1 and 2: who the client of a relayed connection really is. As in
// HAProxy's doc/proxy-protocol.txt of 2020, which the sections below refer to. Without I/O.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/any_endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace portico::wire {

// The types of section 2.2; 0xe0 to 0xef are for applications. Types that are not here are kept and
// passed on all the same.
enum class tlv_type : std::uint8_t {
    alpn = 0x01,
    authority = 0x02, // the name that the client asked for, as in TLS's SNI
    crc32c = 0x03,
    noop = 0x04,
    unique_id = 0x05, // at most 128 bytes
    ssl = 0x20,       // see read_ssl_tlv()
    ssl_version = 0x21,
    ssl_cn = 0x22,
    ssl_cipher = 0x23,
    ssl_sig_alg = 0x24,
    ssl_key_alg = 0x25,
    netns = 0x30,
};
// "alpn", ..., or empty when the type is none of them.
[[nodiscard]] std::string_view to_text(tlv_type which) noexcept;

// One type-length-value vector; it refers to the bytes of the list.
struct tlv {
    tlv_type type{};
    std::span<const std::byte> value;
};

// TLVs in order, as raw bytes. Nothing is on the heap while it is empty.
class tlv_list {
public:
    static constexpr std::size_t max_value = 65535;

    // nullopt when the last one is cut off.
    [[nodiscard]] static std::optional<tlv_list> from_bytes(std::span<const std::byte> bytes);
    // Precondition: at most max_value bytes.
    void append(tlv_type type, std::span<const std::byte> value);
    void append(tlv_type type, std::string_view value);

    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    // The value of the first one of this type. Linear.
    [[nodiscard]] std::optional<std::span<const std::byte>> find(tlv_type type) const noexcept;

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = tlv;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = tlv;

        iterator() = default;
        explicit iterator(std::span<const std::byte> rest) noexcept : rest_{rest} {}
        [[nodiscard]] tlv operator*() const noexcept;
        iterator& operator++() noexcept;
        iterator operator++(int) noexcept;
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.rest_.size() == b.rest_.size();
        }

    private:
        std::span<const std::byte> rest_;
    };
    [[nodiscard]] iterator begin() const noexcept { return iterator{bytes_}; }
    [[nodiscard]] iterator end() const noexcept { return {}; }

    friend bool operator==(const tlv_list&, const tlv_list&) = default;

private:
    std::vector<std::byte> bytes_; // each: type, two bytes of length, value
};

// The value of tlv_type::ssl (section 2.2.6). `parts` has ssl_version, ssl_cn and so on.
struct ssl_tlv {
    static constexpr std::uint8_t over_ssl = 1; // bits of `client`
    static constexpr std::uint8_t cert_on_connection = 2;
    static constexpr std::uint8_t cert_in_session = 4;

    std::uint8_t client = 0;
    std::uint32_t verify = 1; // 0: the client presented a certificate, and it is good
    tlv_list parts;

    friend bool operator==(const ssl_tlv&, const ssl_tlv&) = default;
};
// nullopt when it is too short or a part is cut off.
[[nodiscard]] std::optional<ssl_tlv> read_ssl_tlv(std::span<const std::byte> value);
[[nodiscard]] std::vector<std::byte> ssl_tlv_value(const ssl_tlv& from);

enum class proxy_version : std::uint8_t { v1 = 1, v2 = 2 };
enum class proxy_command : std::uint8_t {
    local, // the proxy speaks for itself, as in a health check: the connection's own endpoints
           // count
    proxy, // it speaks for the client in the header
};
enum class proxy_transport : std::uint8_t { unspecified, stream, datagram };

// One header. Both ends are of one kind: IP endpoints of one family, UNIX names, or std::monostate
// when the sender does not know or does not tell (LOCAL, UNKNOWN, UNSPEC): then the connection's
// own endpoints count. The addresses are as sent: an IPv4-mapped one stays one.
struct proxy_header {
    proxy_version version = proxy_version::v2;
    proxy_command command = proxy_command::local;
    proxy_transport transport = proxy_transport::unspecified;
    ip::any_endpoint source{};
    ip::any_endpoint destination{};
    tlv_list tlvs{}; // v2 only; with the CRC32C, if there was one

    friend bool operator==(const proxy_header&, const proxy_header&) = default;
};

// ---- reading ----

enum class proxy_header_refusal : std::uint8_t {
    not_a_header, // the first bytes are of neither version
    too_long,     // v1: no CR LF within 107 bytes; v2: longer than the limit
    too_short,    // v2: no room for the addresses
    bad_version,  // v2: not 2
    bad_command,  // v2: neither LOCAL nor PROXY
    bad_protocol, // an unknown family or transport
    bad_syntax,   // v1: fields, spaces or the end of the line
    bad_address,  // v1: not an address of the family; v2: a path of 108 bytes
    bad_port,     // v1
    bad_tlv,      // one is cut off, of a wrong length, or there are two CRC32C
    bad_checksum, // the CRC32C is of something else
};
inline constexpr std::size_t proxy_header_refusals = 11;
// "not_a_header", ...
[[nodiscard]] std::string_view to_text(proxy_header_refusal why) noexcept;

// It is a header so far. `needs`: at least so many bytes in all before it can be complete; more
// than there are.
struct proxy_header_incomplete {
    std::size_t needs = 0;
};
// The first `size` bytes are the header; what follows them is the client's.
struct proxy_header_complete {
    proxy_header header;
    std::size_t size = 0;
};
struct proxy_header_refused {
    proxy_header_refusal why{};
    std::string text; // one sentence for a person, printable ASCII
};
using proxy_header_reading =
    std::variant<proxy_header_incomplete, proxy_header_complete, proxy_header_refused>;

inline constexpr std::size_t max_proxy_v1 = 107; // section 2.1, with its CR LF
inline constexpr std::size_t default_max_proxy_v2 = 4096;

// Reads the header at the beginning of all bytes that have come so far. Once it is complete or
// refused, more bytes do not change that, nor the reason. A refused connection is to be closed:
// there is no telling where the client's bytes begin. Only to be used where a header is expected
// (section 5): without one, the client's own bytes are refused.
//
// Strict where it counts (v1: one space, no leading zeros, CR LF; v2: unknown commands, families
// and TLVs that are cut off). Of LOCAL, and of the family UNSPEC, whatever follows is read as TLVs
// if it is that and else ignored (section 2.2). A CRC32C that is there is verified. SSL is kept as
// it is; see read_ssl_tlv().
//
// `max_v2`: the longest header of version 2, 16 + 65535 at most. Time: linear in the header; of a
// v2 header nothing but the first 16 bytes is looked at before it is complete. Memory: none on the
// heap but for TLVs and the text of a refusal. Threads: pure.
[[nodiscard]] proxy_header_reading read_proxy_header(std::span<const std::byte> so_far,
                                                     std::size_t max_v2 = default_max_proxy_v2);

// ---- writing ----

// What to do about the checksum of version 2. A CRC32C among the TLVs is never copied: it is of
// another header.
enum class proxy_checksum : std::uint8_t {
    none,
    crc32c, // in the place of the one among the TLVs, or else as the last
};

// Appends the header, `what.version` of it, to `to`. A header as it is by default is LOCAL, for a
// health check. Zones of addresses are left out, as they mean nothing on another host. If one end
// is IPv4 and the other IPv6, the IPv4 one is written as IPv4-mapped.
//
// Version 1 knows TCP only: LOCAL, UNIX names, nothing, and datagrams are written as UNKNOWN; TLVs
// are left out. Of LOCAL no endpoints are written. A transport `unspecified` leaves the endpoints
// out as well.
//
// Errors (side::caller): std::errc::message_size when a v2 header has more than 65535 bytes after
// its head; std::errc::invalid_argument when the ends are of different kinds, or an abstract name
// ends in a zero byte, which is padding here. Then `to` is unchanged.
[[nodiscard]] result<void> append_proxy_header(const proxy_header& what, proxy_checksum checksum,
                                               std::vector<std::byte>& to);

} // namespace portico::wire
