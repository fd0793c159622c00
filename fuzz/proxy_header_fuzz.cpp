// Any bytes as a PROXY header: what it comes to does not hang on how much came at once, `needs` is
// never too much, a refusal can be shown, and a header that was read can be written and read again.

#include "portico/wire/proxy_header.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace portico;
using namespace portico::wire;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void is_the_same(const proxy_header_reading& a, const proxy_header_reading& b) {
    demand(a.index() == b.index());
    if (const auto* done = std::get_if<proxy_header_complete>(&a)) {
        const auto& other = std::get<proxy_header_complete>(b);
        demand(done->size == other.size && done->header == other.header);
    } else if (const auto* no = std::get_if<proxy_header_refused>(&a)) {
        demand(no->why == std::get<proxy_header_refused>(b).why);
    }
}

void look_at(const proxy_header_refused& no) {
    demand(!to_text(no.why).empty() && !no.text.empty() && no.text.size() < 200);
    for (const char c : no.text) {
        demand(c >= ' ' && c < '\x7f');
    }
}

// Byte by byte, as far as it matters.
void read_in_steps(std::span<const std::byte> all, std::size_t most,
                   const proxy_header_reading& whole) {
    std::size_t needed = 0;
    std::size_t size = 0;
    for (; size <= all.size(); ++size) {
        const auto now = read_proxy_header(all.first(size), most);
        if (const auto* incomplete = std::get_if<proxy_header_incomplete>(&now)) {
            demand(incomplete->needs > size && incomplete->needs >= needed);
            needed = incomplete->needs;
            continue;
        }
        if (const auto* done = std::get_if<proxy_header_complete>(&now)) {
            demand(done->size == size && size >= needed);
        }
        is_the_same(now, whole);
        return;
    }
    demand(std::holds_alternative<proxy_header_incomplete>(whole));
}

proxy_header written_and_read(const proxy_header& header, proxy_checksum checksum) {
    std::vector<std::byte> bytes;
    demand(append_proxy_header(header, checksum, bytes).has_value());
    const auto again = read_proxy_header(bytes, 16 + 65535);
    const auto* done = std::get_if<proxy_header_complete>(&again);
    demand(done != nullptr && done->size == bytes.size());
    return done->header;
}

tlv_list without_checksum(const tlv_list& from) {
    tlv_list made;
    for (const auto each : from) {
        if (each.type != tlv_type::crc32c) {
            made.append(each.type, each.value);
        }
    }
    return made;
}

void write_again(proxy_header header) {
    if (const auto ssl = header.tlvs.find(tlv_type::ssl)) {
        if (const auto read = read_ssl_tlv(*ssl)) {
            const auto value = ssl_tlv_value(*read);
            demand(std::equal(value.begin(), value.end(), ssl->begin(), ssl->end()));
        }
    }
    const bool has_checksum = header.tlvs.find(tlv_type::crc32c).has_value();
    std::vector<std::byte> bytes;
    const bool has_room = header.tlvs.bytes().size() < 65535 - 216 - 7;
    if (!has_checksum && has_room) {
        const auto checked = written_and_read(header, proxy_checksum::crc32c);
        demand(without_checksum(checked.tlvs) == header.tlvs);
    }
    if (has_checksum) {
        const auto checked = written_and_read(header, proxy_checksum::crc32c);
        demand(without_checksum(checked.tlvs) == without_checksum(header.tlvs));
        header.tlvs = without_checksum(header.tlvs);
    }
    demand(written_and_read(header, proxy_checksum::none) == header);
    header.version = proxy_version::v1;
    const auto line = written_and_read(header, proxy_checksum::none);
    demand(line.source == header.source || std::holds_alternative<std::monostate>(line.source));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::size_t most = (data[0] & 1U) != 0 ? 16 + data[0] : default_max_proxy_v2;
    const auto all = std::as_bytes(std::span{data + 1, size - 1});
    const auto whole = read_proxy_header(all, most);
    read_in_steps(all, most, whole);
    if (const auto* no = std::get_if<proxy_header_refused>(&whole)) {
        look_at(*no);
    } else if (const auto* done = std::get_if<proxy_header_complete>(&whole)) {
        demand(done->size <= std::max(most, max_proxy_v1));
        is_the_same(whole, read_proxy_header(all.first(done->size), most));
        write_again(done->header);
    }
    return 0;
}
