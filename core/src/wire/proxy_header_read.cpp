// Read first: doc/proxy-protocol.txt sections 2.1 and 2.2.
#include "portico/wire/proxy_header.hpp"

#include "wire/bytes.hpp"
#include "wire/crc32c.hpp"
#include "wire/names.hpp"
#include "wire/proxy_header_format.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace portico::wire {
namespace {

using namespace proxy_format;
using why = proxy_header_refusal;

proxy_header_refused refused(why reason, std::string text) {
    return {reason, std::move(text)};
}

template <class T>
using or_refused = tl::expected<T, proxy_header_refused>;

tl::unexpected<proxy_header_refused> no(why reason, std::string text) {
    return tl::unexpected{refused(reason, std::move(text))};
}

std::string quoted(std::string_view text) {
    return "'" + sanitised(text, 45) + "'";
}

// ---- version 1 ----

// The text between spaces; what is left over is in `rest`. Every space counts, so two of them make
// an empty field.
std::string_view next_field(std::string_view& rest) noexcept {
    const auto field = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    return field;
}

or_refused<ip::address> read_address(std::string_view text, ip::family family) {
    const auto made = ip::parse_address(text);
    if (!made || made->family() != family || !made->zone().empty()) {
        return no(why::bad_address, quoted(text) + " in the PROXY line is not an " +
                                        std::string{ip::to_text(family)} + " address");
    }
    return *made;
}

or_refused<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t value = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (wrong != std::errc{} || end != text.data() + text.size() || leading_zero) {
        return no(why::bad_port, quoted(text) + " in the PROXY line is not a port");
    }
    return value;
}

// `line` is without its CR LF and begins with "PROXY ".
or_refused<proxy_header> read_line(std::string_view line) {
    proxy_header made{proxy_version::v1, proxy_command::proxy, {}, {}, {}, {}};
    line.remove_prefix(signature_v1.size());
    const auto spaces = std::count(line.begin(), line.end(), ' ');
    const auto protocol = next_field(line);
    if (protocol == "UNKNOWN") {
        return made; // and anything after it is ignored
    }
    if (protocol != "TCP4" && protocol != "TCP6") {
        return no(why::bad_protocol,
                  quoted(protocol) + " in the PROXY line is none of TCP4, TCP6, UNKNOWN");
    }
    if (spaces != 4) {
        return no(why::bad_syntax, "the PROXY line has to have four fields after PROXY " +
                                       std::string{protocol} + ", with one space before each");
    }
    const auto family = protocol == "TCP4" ? ip::family::v4 : ip::family::v6;
    const auto source = read_address(next_field(line), family);
    if (!source) {
        return tl::unexpected{source.error()};
    }
    const auto destination = read_address(next_field(line), family);
    if (!destination) {
        return tl::unexpected{destination.error()};
    }
    const auto source_port = read_port(next_field(line));
    if (!source_port) {
        return tl::unexpected{source_port.error()};
    }
    const auto destination_port = read_port(next_field(line));
    if (!destination_port) {
        return tl::unexpected{destination_port.error()};
    }
    made.transport = proxy_transport::stream;
    made.source = ip::endpoint{*source, *source_port};
    made.destination = ip::endpoint{*destination, *destination_port};
    return made;
}

// UNKNOWN ignores everything before the CR LF, a lone LF too.
bool is_unknown(std::string_view text) noexcept {
    return text.starts_with(unknown_v1) && text.substr(unknown_v1.size()).starts_with(' ');
}

// Precondition: `text` begins as version 1 does.
proxy_header_reading read_v1(std::string_view text) {
    const auto window = text.substr(0, max_proxy_v1);
    for (auto at = window.find('\n'); at != window.npos; at = window.find('\n', at + 1)) {
        if (window[at - 1] != '\r') {
            if (is_unknown(window)) {
                continue;
            }
            return refused(why::bad_syntax, "the PROXY line ends in a lone LF and not in CR LF");
        }
        auto made = read_line(window.substr(0, at - 1));
        if (!made) {
            return std::move(made).error();
        }
        return proxy_header_complete{*std::move(made), at + 1};
    }
    if (window.size() == max_proxy_v1) {
        return refused(why::too_long, "the PROXY line does not end within 107 bytes");
    }
    const auto missing = text.ends_with('\r') ? 1U : 2U;
    return proxy_header_incomplete{std::clamp(text.size() + missing, shortest_v1, max_proxy_v1)};
}

// ---- version 2 ----

or_refused<ip::unix_name> read_unix(std::span<const std::byte> field) {
    std::array<char, unix_size> text{};
    std::transform(field.begin(), field.end(), text.begin(),
                   [](std::byte each) { return std::to_integer<char>(each); });
    const std::string_view all{text.data(), text.size()};
    if (all.front() != '\0') {
        const auto path = ip::unix_name::path(all.substr(0, all.find('\0')));
        if (!path) {
            return no(why::bad_address, "a UNIX path in the PROXY header has no end");
        }
        return *path;
    }
    // The length of an abstract name is not sent, so zeros at its end are padding.
    const auto last = all.find_last_not_of('\0');
    return last == all.npos ? ip::unix_name{} : *ip::unix_name::abstract(all.substr(1, last));
}

or_refused<std::monostate> read_addresses(unsigned family, std::span<const std::byte> block,
                                          proxy_header& into) {
    if (family == inet) {
        into.source = ip::endpoint{v4_at(block, 0), u16_at(block, 8)};
        into.destination = ip::endpoint{v4_at(block, 4), u16_at(block, 10)};
    } else if (family == inet6) {
        into.source = ip::endpoint{v6_at(block, 0), u16_at(block, 32)};
        into.destination = ip::endpoint{v6_at(block, 16), u16_at(block, 34)};
    } else if (family == unix_domain) {
        const auto source = read_unix(block.first(unix_size));
        const auto destination = read_unix(block.subspan(unix_size, unix_size));
        if (!source || !destination) {
            return tl::unexpected{(source ? destination : source).error()};
        }
        into.source = *source;
        into.destination = *destination;
    }
    return {};
}

// Over the whole header, with zeros in place of the checksum (section 2.2.3).
bool is_good(std::span<const std::byte> header, std::span<const std::byte> checksum,
             std::size_t checksum_at) {
    const auto value = crc32c{}
                           .add(header.first(checksum_at))
                           .add(std::array<std::byte, crc32c_size>{})
                           .add(header.subspan(checksum_at + crc32c_size))
                           .value();
    return value == u32_at(checksum, 0);
}

// What a TLV of a known type has to be like; `at` is where its value begins in the header.
or_refused<std::monostate> check_tlvs(std::span<const std::byte> header, std::size_t at,
                                      const tlv_list& tlvs) {
    bool have_checksum = false;
    for (const auto each : tlvs) {
        at += 3;
        if (each.type == tlv_type::unique_id && each.value.size() > max_unique_id) {
            return no(why::bad_tlv, "the UNIQUE_ID in the PROXY header has more than 128 bytes");
        }
        if (each.type == tlv_type::crc32c) {
            if (each.value.size() != crc32c_size || std::exchange(have_checksum, true)) {
                return no(why::bad_tlv, "the PROXY header has a CRC32C that is not of 4 bytes, or "
                                        "two of them");
            }
            if (!is_good(header, each.value, at)) {
                return no(why::bad_checksum, "the CRC32C of the PROXY header is wrong");
            }
        }
        at += each.value.size();
    }
    return {};
}

// The first 16 bytes, as far as they are there.
struct v2_head {
    bool local = false;
    unsigned family = unspec;
    unsigned transport = 0;
    std::size_t size = head_size; // of the whole header, when they all are
};

or_refused<v2_head> read_head(std::span<const std::byte> so_far, std::size_t most) {
    v2_head made;
    if (so_far.size() > 12) {
        const auto version = byte_at(so_far, 12) >> 4U;
        const auto command = byte_at(so_far, 12) & 15U;
        if (version != version_2) {
            return no(why::bad_version,
                      "the PROXY header is of version " + std::to_string(version) + ", not 2");
        }
        if (command > command_proxy) {
            return no(why::bad_command,
                      "the PROXY header has the unknown command " + std::to_string(command));
        }
        made.local = command == command_local;
    }
    if (so_far.size() > 13) {
        made.family = byte_at(so_far, 13) >> 4U;
        made.transport = byte_at(so_far, 13) & 15U;
        if (!made.local && (made.family > unix_domain || made.transport > 2)) {
            return no(why::bad_protocol, "the PROXY header has the unknown protocol byte " +
                                             std::to_string(byte_at(so_far, 13)));
        }
    }
    if (so_far.size() >= head_size) {
        made.size += u16_at(so_far, 14);
        if (made.size > most) {
            return no(why::too_long, "the PROXY header has " + std::to_string(made.size) +
                                         " bytes, and at most " + std::to_string(most) +
                                         " are accepted");
        }
    }
    return made;
}

// Precondition: `header` is whole.
or_refused<proxy_header> read_whole(const v2_head& head, std::span<const std::byte> header) {
    proxy_header made;
    made.command = head.local ? proxy_command::local : proxy_command::proxy;
    // The block of a LOCAL is to be discarded, whatever family it says; so an unknown one, or one
    // that does not fit, is no reason to refuse a health check.
    const auto block = header.subspan(head_size);
    auto address_size = head.family <= unix_domain ? address_sizes[head.family] : block.size();
    if (block.size() < address_size) {
        if (!head.local) {
            return no(why::too_short, "the PROXY header is too short for its addresses");
        }
        address_size = block.size();
    }
    // Nor do addresses count without a transport (section 2.2).
    if (!head.local && head.family != unspec && head.transport != 0) {
        if (const auto read = read_addresses(head.family, block, made); !read) {
            return tl::unexpected{read.error()};
        }
        made.transport = static_cast<proxy_transport>(head.transport);
    }
    const bool may_be_anything = head.local || head.family == unspec;
    auto tlvs = tlv_list::from_bytes(block.subspan(address_size));
    if (!tlvs) {
        if (may_be_anything) {
            return made;
        }
        return no(why::bad_tlv, "the last TLV of the PROXY header is cut off");
    }
    const auto good = check_tlvs(header, head_size + address_size, *tlvs);
    if (good) {
        made.tlvs = *std::move(tlvs);
    } else if (!may_be_anything || good.error().why == why::bad_checksum) {
        return tl::unexpected{good.error()};
    }
    return made;
}

// Precondition: `so_far` begins as version 2 does.
proxy_header_reading read_v2(std::span<const std::byte> so_far, std::size_t most) {
    auto head = read_head(so_far, most);
    if (!head) {
        return std::move(head).error();
    }
    if (so_far.size() < head->size) {
        return proxy_header_incomplete{head->size};
    }
    auto made = read_whole(*head, so_far.first(head->size));
    if (!made) {
        return std::move(made).error();
    }
    return proxy_header_complete{*std::move(made), head->size};
}

// As far as both are there.
bool begin_alike(std::string_view a, std::string_view b) noexcept {
    const auto size = std::min(a.size(), b.size());
    return a.substr(0, size) == b.substr(0, size);
}

} // namespace

std::string_view to_text(proxy_header_refusal why) noexcept {
    static constexpr std::array<std::string_view, proxy_header_refusals> texts{
        "not_a_header", "too_long",    "too_short", "bad_version", "bad_command",  "bad_protocol",
        "bad_syntax",   "bad_address", "bad_port",  "bad_tlv",     "bad_checksum",
    };
    return texts[static_cast<std::size_t>(why)];
}

proxy_header_reading read_proxy_header(std::span<const std::byte> so_far, std::size_t max_v2) {
    // Bytes as characters, of which any value is one.
    const std::string_view text{reinterpret_cast<const char*>(so_far.data()), so_far.size()};
    if (begin_alike(text, signature_v2)) {
        return text.empty() ? proxy_header_reading{proxy_header_incomplete{shortest_v1}}
                            : read_v2(so_far, max_v2);
    }
    if (begin_alike(text, signature_v1)) {
        return read_v1(text);
    }
    return refused(
        why::not_a_header,
        "the connection does not begin with a PROXY header: " + quoted(text.substr(0, 16)) +
            "; does the sender speak the PROXY protocol, and is it meant to here?");
}

} // namespace portico::wire
