// For tests of the PROXY protocol: headers as HAProxy 2.6 writes them, and a reader that gets its
// bytes one by one.
#pragma once

#include "portico/wire/proxy_header.hpp"
#include "wire/peer.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace portico::wire::test {

using namespace std::string_literals;
using namespace std::string_view_literals;

// From 192.0.2.1:50002 to 192.0.2.2:1002 and so on; caught on the wire, `send-proxy-v2`.
inline const auto haproxy_v4 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
                               "\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x52\x03\xea"s;
inline const auto haproxy_v6 =
    "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
    "\xc3\x52\x03\xea"s;
// A health check, and what it says of a client on a UNIX socket.
inline const auto haproxy_local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s;
// proxy-v2-options crc32c,unique-id
inline const auto haproxy_crc = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1d"
                                "\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x53\x03\xeb"
                                "\x03\0\x04\xb8\xf2\x42\x57\x05\0\x07id-0001"s;
// proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c, of a client with a
// certificate.
inline const auto haproxy_ssl = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x82"
                                "\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x54\x03\xec"
                                "\x03\0\x04\x2a\xf3\xad\x3a\x01\0\x02h2"
                                "\x02\0\x12server.example.org"
                                "\x20\0\x52\x07\0\0\0\0\x21\0\x07TLSv1.3"
                                "\x22\0\x10jane.example.org\x25\0\x07RSA2048"
                                "\x24\0\x0aRSA-SHA256\x23\0\x16TLS_AES_256_GCM_SHA384"s;

inline bool same(const proxy_header_reading& a, const proxy_header_reading& b) {
    if (const auto* done = std::get_if<proxy_header_complete>(&a)) {
        const auto* other = std::get_if<proxy_header_complete>(&b);
        return other != nullptr && done->size == other->size && done->header == other->header;
    }
    if (const auto* no = std::get_if<proxy_header_refused>(&a)) {
        const auto* other = std::get_if<proxy_header_refused>(&b);
        return other != nullptr && no->why == other->why;
    }
    const auto* other = std::get_if<proxy_header_incomplete>(&b);
    return other != nullptr && std::get<proxy_header_incomplete>(a).needs == other->needs;
}

// Makes the test fail.
inline void demand(bool holds, const std::string& otherwise) {
    if (!holds) {
        throw std::logic_error{otherwise};
    }
}

// What reading `text` comes to; the same whichever part of it comes first, and whatever follows.
inline proxy_header_reading read_in_steps(std::string_view text,
                                          std::size_t max_v2 = default_max_proxy_v2) {
    proxy_header_reading last;
    std::size_t needed = 0;
    bool is_over = false;
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const auto at = " at byte " + std::to_string(size);
        auto now = read_proxy_header(bytes_of(text.substr(0, size)), max_v2);
        const auto* incomplete = std::get_if<proxy_header_incomplete>(&now);
        if (is_over) {
            demand(same(last, now), "it changed its mind" + at);
        } else if (incomplete != nullptr) {
            demand(incomplete->needs > size, "it needs what it has" + at);
            demand(incomplete->needs >= needed, "it needs less than it did" + at);
            needed = incomplete->needs;
        } else if (const auto* done = std::get_if<proxy_header_complete>(&now)) {
            demand(done->size == size, "the last byte was not needed" + at);
            demand(size >= needed, "it needed less than it said" + at);
        }
        is_over = incomplete == nullptr;
        last = std::move(now);
    }
    if (is_over) {
        const auto longer = std::string{text} + "\r\nGET / HTTP/1.0\r\n\r\n";
        demand(same(last, read_proxy_header(bytes_of(longer), max_v2)), "it looked too far");
    }
    return last;
}

inline proxy_header read(std::string_view text) {
    const auto last = read_in_steps(text);
    if (const auto* no = std::get_if<proxy_header_refused>(&last)) {
        throw std::logic_error{no->text};
    }
    const auto* done = std::get_if<proxy_header_complete>(&last);
    demand(done != nullptr && done->size == text.size(), "it is not the whole header");
    return done->header;
}

} // namespace portico::wire::test
