#include "portico/wire/proxy_header.hpp"

#include "wire/bytes.hpp"
#include "wire/crc32c.hpp"
#include "wire/proxy_header_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace portico::wire {
namespace {

using namespace test;
using testing::HasSubstr;
using why = proxy_header_refusal;

ip::any_endpoint at(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

// The reason, and that what is said of it can be shown.
std::string refusal(std::string_view text, std::size_t max_v2 = default_max_proxy_v2) {
    const auto last = read_in_steps(text, max_v2);
    const auto* no = std::get_if<proxy_header_refused>(&last);
    if (no == nullptr) {
        return "none";
    }
    EXPECT_FALSE(no->text.empty());
    for (const char c : no->text) {
        EXPECT_TRUE(c >= ' ' && c < '\x7f');
    }
    return std::string{to_text(no->why)};
}

std::size_t needs(std::string_view text) {
    const auto now = read_proxy_header(bytes_of(text));
    const auto* incomplete = std::get_if<proxy_header_incomplete>(&now);
    return incomplete != nullptr ? incomplete->needs : 0;
}

// A v2 header with these two bytes after the signature.
std::string v2(unsigned version_command, unsigned protocol, const std::string& rest) {
    octets made;
    put(made, "\r\n\r\n\0\r\nQUIT\n"sv);
    put(made, version_command);
    put(made, protocol);
    put_u16(made, rest.size());
    put(made, rest);
    return text_of(made);
}

const std::string ipv4_block = "\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x52\x03\xea"s;

std::string unix_block(std::string source, std::string destination) {
    source.resize(108);
    destination.resize(108);
    return source + destination;
}

// ---- version 1 ----

TEST(proxy_header_v1, is_read_as_haproxy_writes_it) {
    const auto v4 = read("PROXY TCP4 192.0.2.1 192.0.2.2 50001 1001\r\n");
    EXPECT_EQ(v4.version, proxy_version::v1);
    EXPECT_EQ(v4.command, proxy_command::proxy);
    EXPECT_EQ(v4.transport, proxy_transport::stream);
    EXPECT_EQ(v4.source, at("192.0.2.1:50001"));
    EXPECT_EQ(v4.destination, at("192.0.2.2:1001"));
    EXPECT_TRUE(v4.tlvs.empty());
    const auto v6 = read("PROXY TCP6 2001:db8::1 2001:db8::2 50001 1001\r\n");
    EXPECT_EQ(v6.source, at("[2001:db8::1]:50001"));
    EXPECT_EQ(v6.destination, at("[2001:db8::2]:1001"));
}

TEST(proxy_header_v1, takes_the_longest_and_the_shortest_lines) {
    const auto all_ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"s;
    const auto longest = "PROXY TCP6 " + all_ones + ' ' + all_ones + " 65535 65535\r\n";
    EXPECT_EQ(longest.size(), 104U);
    EXPECT_EQ(read(longest).source, at('[' + all_ones + "]:65535"));
    const auto worst = "PROXY UNKNOWN " + all_ones + ' ' + all_ones + " 65535 65535\r\n";
    EXPECT_EQ(worst.size(), max_proxy_v1);
    EXPECT_EQ(read(worst).source, ip::any_endpoint{});
    EXPECT_EQ(read("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n").destination,
              at("255.255.255.255:65535"));
    EXPECT_EQ(read("PROXY TCP6 :: ::1 0 1\r\n").source, at("[::]:0"));
    EXPECT_EQ(read("PROXY UNKNOWN\r\n").source, ip::any_endpoint{});
}

TEST(proxy_header_v1, hexadecimal_digits_are_of_either_case) {
    EXPECT_EQ(read("PROXY TCP6 2001:DB8::A 2001:db8::a 1 2\r\n").source, at("[2001:db8::a]:1"));
}

TEST(proxy_header_v1, an_ipv4_mapped_address_stays_one) {
    const auto header = read("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n");
    EXPECT_EQ(header.source, at("[::ffff:192.0.2.1]:1"));
    EXPECT_EQ(header.destination, at("[::ffff:192.0.2.2]:2"));
}

TEST(proxy_header_v1, of_unknown_everything_before_the_end_of_the_line_is_ignored) {
    for (const auto* line : {"PROXY UNKNOWN \r\n", "PROXY UNKNOWN 1 2  3\r\n",
                             "PROXY UNKNOWN \n\r\r\n", "PROXY UNKNOWN ::1 ::1 1 99999\r\n"}) {
        const auto header = read(line);
        EXPECT_EQ(header.command, proxy_command::proxy);
        EXPECT_EQ(header.transport, proxy_transport::unspecified);
        EXPECT_EQ(header.source, ip::any_endpoint{});
        EXPECT_EQ(header.destination, ip::any_endpoint{});
    }
}

TEST(proxy_header_v1, leaves_the_bytes_of_the_client_alone) {
    const auto line = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"s;
    const auto request = "GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n"s;
    const auto got = read_proxy_header(bytes_of(line + request));
    ASSERT_TRUE(std::holds_alternative<proxy_header_complete>(got));
    EXPECT_EQ(std::get<proxy_header_complete>(got).size, line.size());
}

TEST(proxy_header_v1, is_too_long_without_an_end_within_107_bytes) {
    const auto start = "PROXY UNKNOWN "s;
    EXPECT_EQ(refusal(start + std::string(107 - start.size(), 'x')), "too_long");
    EXPECT_EQ(refusal(start + std::string(106 - start.size(), 'x') + "\r\n"), "too_long");
    EXPECT_EQ(refusal("PROXY " + std::string(101, ' ')), "too_long");
    EXPECT_EQ(refusal(start + std::string(105 - start.size(), 'x') + "\r\n"), "none");
}

TEST(proxy_header_v1, a_protocol_that_is_not_known_is_refused) {
    for (const auto* line :
         {"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
          "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
          "PROXY \r\n", "PROXY UNKNOWNS\r\n", "PROXY unknown\r\n", "PROXY UNKNOWN\r\r\n"}) {
        EXPECT_EQ(refusal(line), "bad_protocol") << line;
    }
}

TEST(proxy_header_v1, spaces_and_the_end_of_the_line_are_exact) {
    for (const auto* line :
         {"PROXY TCP4\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
          "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
          "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
          "PROXY UNKNOWN\n", "PROXY TCP4 \n192.0.2.1 192.0.2.2 1 2\r\n", "PROXY \n"}) {
        EXPECT_EQ(refusal(line), "bad_syntax") << line;
    }
    EXPECT_EQ(refusal("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n"), "bad_port");
    EXPECT_EQ(refusal("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx"), "none");
}

TEST(proxy_header_v1, addresses_are_of_the_family_that_is_announced) {
    for (const auto* line :
         {"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
          "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", "PROXY TCP6 ::1 192.0.2.2 1 2\r\n",
          "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
          "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "PROXY TCP4 0x7f.0.0.1 192.0.2.2 1 2\r\n",
          "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "PROXY TCP6 [::1] ::1 1 2\r\n",
          "PROXY TCP6 ::1::2 ::1 1 2\r\n", "PROXY TCP6 12345::1 ::1 1 2\r\n",
          "PROXY TCP4 localhost 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1\t 192.0.2.2 1 2\r\n"}) {
        EXPECT_EQ(refusal(line), "bad_address") << line;
    }
    // A zero byte ends nothing.
    EXPECT_EQ(refusal("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"s), "bad_address");
}

TEST(proxy_header_v1, ports_are_decimal_numbers_without_leading_zeros) {
    for (const auto* ports :
         {"65536 1", "1 65536", "-1 1", "+1 1", "01 1", "1 00", "0x1 1", "1 1x", "99999999999 1"}) {
        EXPECT_EQ(refusal("PROXY TCP4 192.0.2.1 192.0.2.2 "s + ports + "\r\n"), "bad_port")
            << ports;
    }
    // An empty field is as many spaces as there have to be.
    EXPECT_EQ(refusal("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n"), "bad_port");
}

TEST(proxy_header_v1, says_what_it_does_not_understand) {
    const auto got = read_proxy_header(bytes_of("PROXY TCP4 192.0.2.x 192.0.2.2 1 2\r\n"));
    EXPECT_THAT(std::get<proxy_header_refused>(got).text, HasSubstr("'192.0.2.x'"));
    const auto long_field = "PROXY TCP4 " + std::string(80, 'y') + " ::1 1 2\r\n";
    const auto other = read_proxy_header(bytes_of(long_field));
    EXPECT_LT(std::get<proxy_header_refused>(other).text.size(), 150U);
}

// ---- version 2 ----

TEST(proxy_header_v2, is_read_as_haproxy_writes_it) {
    const auto v4 = read(haproxy_v4);
    EXPECT_EQ(v4.version, proxy_version::v2);
    EXPECT_EQ(v4.command, proxy_command::proxy);
    EXPECT_EQ(v4.transport, proxy_transport::stream);
    EXPECT_EQ(v4.source, at("192.0.2.1:50002"));
    EXPECT_EQ(v4.destination, at("192.0.2.2:1002"));
    const auto v6 = read(haproxy_v6);
    EXPECT_EQ(v6.source, at("[2001:db8::1]:50002"));
    EXPECT_EQ(v6.destination, at("[2001:db8::2]:1002"));
    EXPECT_EQ(read(haproxy_local), proxy_header{});
}

TEST(proxy_header_v2, datagrams_are_told_apart) {
    EXPECT_EQ(read(v2(0x21, 0x12, ipv4_block)).transport, proxy_transport::datagram);
    EXPECT_EQ(read(v2(0x21, 0x32, unix_block("/a", "/b"))).transport, proxy_transport::datagram);
}

TEST(proxy_header_v2, unix_names_are_paths_abstract_or_nothing) {
    const auto paths = read(v2(0x21, 0x31, unix_block("/run/a", std::string(107, 'p'))));
    EXPECT_EQ(paths.source, ip::any_endpoint{*ip::unix_name::path("/run/a")});
    EXPECT_EQ(paths.destination, ip::any_endpoint{*ip::unix_name::path(std::string(107, 'p'))});
    const auto abstract =
        read(v2(0x21, 0x31, unix_block("\0na\0me"s, '\0' + std::string(107, 'x'))));
    EXPECT_EQ(abstract.source, ip::any_endpoint{*ip::unix_name::abstract("na\0me"s)});
    EXPECT_EQ(abstract.destination,
              ip::any_endpoint{*ip::unix_name::abstract(std::string(107, 'x'))});
    EXPECT_EQ(read(v2(0x21, 0x31, unix_block("", "/b"))).source, ip::any_endpoint{ip::unix_name{}});
    // As sun_path has it, what follows the zero byte of a path is not of it.
    EXPECT_EQ(read(v2(0x21, 0x31, unix_block("/a\0b"s, "/b"))).source,
              ip::any_endpoint{*ip::unix_name::path("/a")});
}

TEST(proxy_header_v2, a_path_without_an_end_is_refused) {
    EXPECT_EQ(refusal(v2(0x21, 0x31, unix_block(std::string(108, 'p'), "/b"))), "bad_address");
    EXPECT_EQ(refusal(v2(0x21, 0x31, unix_block("/a", std::string(108, 'p')))), "bad_address");
}

TEST(proxy_header_v2, of_local_nothing_but_the_size_counts) {
    for (const auto& header :
         {v2(0x20, 0x00, ""), v2(0x20, 0x11, ipv4_block), v2(0x20, 0x11, "short"),
          v2(0x20, 0xff, "anything"), v2(0x20, 0x00, "\x04\0\x09"s), v2(0x20, 0x31, ipv4_block),
          v2(0x20, 0x00, "\x05\0\xff"s + std::string(255, 'i')), v2(0x20, 0x00, "\x03\0\0"s)}) {
        EXPECT_EQ(read(header), proxy_header{});
    }
    const auto padded = read(v2(0x20, 0x11, ipv4_block + "\x04\0\x01x"s));
    EXPECT_EQ(padded.command, proxy_command::local);
    EXPECT_EQ(padded.source, ip::any_endpoint{});
    EXPECT_EQ(text_of(padded.tlvs.bytes()), "\x04\0\x01x"s);
}

TEST(proxy_header_v2, unspecified_leaves_the_endpoints_unknown_and_keeps_the_tlvs) {
    for (const unsigned protocol : {0x00U, 0x01U, 0x02U}) {
        const auto header = read(v2(0x21, protocol, "\x02\0\x01n"s));
        EXPECT_EQ(header.command, proxy_command::proxy);
        EXPECT_EQ(header.transport, proxy_transport::unspecified);
        EXPECT_EQ(header.source, ip::any_endpoint{});
        EXPECT_EQ(text_of(header.tlvs.bytes()), "\x02\0\x01n"s);
    }
    const auto no_transport = read(v2(0x21, 0x10, ipv4_block + "\x02\0\x01n"s));
    EXPECT_EQ(no_transport.transport, proxy_transport::unspecified);
    EXPECT_EQ(no_transport.source, ip::any_endpoint{});
    EXPECT_EQ(text_of(no_transport.tlvs.bytes()), "\x02\0\x01n"s);
    EXPECT_TRUE(read(v2(0x21, 0x00, "not TLVs")).tlvs.empty());
}

TEST(proxy_header_v2, an_unknown_version_command_family_or_transport_is_refused) {
    for (const unsigned byte : {0x01U, 0x11U, 0x31U, 0xf1U}) {
        EXPECT_EQ(refusal(v2(byte, 0x11, ipv4_block)), "bad_version");
    }
    for (const unsigned byte : {0x22U, 0x23U, 0x2fU}) {
        EXPECT_EQ(refusal(v2(byte, 0x11, ipv4_block)), "bad_command");
    }
    for (const unsigned byte : {0x13U, 0x1fU, 0x41U, 0xf1U, 0x03U}) {
        EXPECT_EQ(refusal(v2(0x21, byte, ipv4_block)), "bad_protocol");
    }
}

TEST(proxy_header_v2, has_to_have_room_for_its_addresses) {
    for (const unsigned protocol : {0x11U, 0x12U, 0x10U, 0x21U, 0x31U}) {
        EXPECT_EQ(refusal(v2(0x21, protocol, ipv4_block.substr(1))), "too_short");
        EXPECT_EQ(refusal(v2(0x21, protocol, "")), "too_short");
    }
    EXPECT_EQ(refusal(v2(0x21, 0x21, std::string(35, '\0'))), "too_short");
    EXPECT_EQ(refusal(v2(0x21, 0x31, std::string(215, '\0'))), "too_short");
}

TEST(proxy_header_v2, is_refused_by_its_length_before_it_has_come) {
    const auto whole = v2(0x21, 0x00, std::string(100, '\0'));
    EXPECT_EQ(refusal(whole.substr(0, 16), 115), "too_long");
    EXPECT_EQ(refusal(whole, 115), "too_long");
    EXPECT_EQ(refusal(haproxy_v4, 27), "too_long");
    EXPECT_EQ(refusal(haproxy_v4, 28), "none");
    EXPECT_EQ(refusal(haproxy_local, 0), "too_long");
    const auto noop = "\x04\xff\xfc"s + std::string(65532, '\0');
    EXPECT_EQ(refusal(v2(0x21, 0x00, noop).substr(0, 16)), "too_long");
    const auto got = read_proxy_header(bytes_of(v2(0x21, 0x00, noop)), 16 + 65535);
    ASSERT_TRUE(std::holds_alternative<proxy_header_complete>(got));
    EXPECT_EQ(std::get<proxy_header_complete>(got).size, 16U + 65535);
}

TEST(proxy_header_v2, a_tlv_that_is_cut_off_is_refused) {
    for (const auto& tail : {"\x04"s, "\x04\0"s, "\x04\0\x01"s, "\x02\0\x01n\x04\xff\xff"s}) {
        EXPECT_EQ(refusal(v2(0x21, 0x11, ipv4_block + tail)), "bad_tlv");
    }
}

TEST(proxy_header_v2, a_unique_id_has_at_most_128_bytes) {
    const auto id = [](std::size_t size) {
        return "\x05\0"s + static_cast<char>(size) + std::string(size, 'i');
    };
    EXPECT_EQ(refusal(v2(0x21, 0x11, ipv4_block + id(129))), "bad_tlv");
    const auto longest = read(v2(0x21, 0x11, ipv4_block + id(128)));
    EXPECT_EQ(longest.tlvs.find(tlv_type::unique_id)->size(), 128U);
}

TEST(proxy_header_v2, the_checksum_of_haproxy_is_right_and_any_other_bit_is_wrong) {
    EXPECT_EQ(text_of(*read(haproxy_crc).tlvs.find(tlv_type::unique_id)), "id-0001");
    EXPECT_EQ(text_of(*read(haproxy_crc).tlvs.find(tlv_type::crc32c)), "\xb8\xf2\x42\x57");
    for (std::size_t bit = 16 * 8; bit < haproxy_crc.size() * 8; ++bit) {
        auto changed = haproxy_crc;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
        const auto reason = refusal(changed);
        // Of the types and lengths of the TLVs, some changes make it unreadable or hide the
        // checksum.
        const bool structure = (bit / 8 >= 28 && bit / 8 < 31) || (bit / 8 >= 35 && bit / 8 < 38);
        EXPECT_TRUE(reason == "bad_checksum" || structure) << "bit " << bit << ": " << reason;
    }
}

TEST(proxy_header_v2, a_checksum_counts_of_local_too) {
    EXPECT_EQ(refusal(v2(0x20, 0x00, "\x03\0\x04zzzz"s)), "bad_checksum");
    EXPECT_EQ(refusal(v2(0x21, 0x00, "\x03\0\x04zzzz"s)), "bad_checksum");
}

TEST(proxy_header_v2, there_is_one_checksum_of_four_bytes) {
    EXPECT_EQ(refusal(v2(0x21, 0x11, ipv4_block + "\x03\0\x03zzz"s)), "bad_tlv");
    EXPECT_EQ(refusal(v2(0x21, 0x11, ipv4_block + "\x03\0\x05zzzzz"s)), "bad_tlv");
    // The first of the two is right.
    const auto second = "\x03\0\x04zzzz"s;
    const auto zeros = v2(0x21, 0x11, ipv4_block + "\x03\0\x04\0\0\0\0"s + second);
    const auto value = crc32c{}.add(bytes_of(zeros)).value();
    octets checksum;
    put_u16(checksum, value >> 16U);
    put_u16(checksum, value & 0xffffU);
    const auto twice = ipv4_block + "\x03\0\x04"s + text_of(checksum) + second;
    EXPECT_EQ(refusal(v2(0x21, 0x11, twice)), "bad_tlv");
}

// ---- both ----

TEST(proxy_header, what_begins_as_neither_version_is_refused_at_once) {
    for (const auto& text :
         {"GET / HTTP/1.1\r\n"s, "\x16\x03\x01"s, "proxy TCP4"s, "PROXY\t"s, " PROXY "s, "\r\nX"s,
          "\r\n\r\n\0\r\nQUIT\r"s, "\0"s, "PROXX"s, "\n"s, "P\n"s, "SSH-2.0-OpenSSH"s}) {
        EXPECT_EQ(refusal(text), "not_a_header") << text;
    }
    const auto got = read_proxy_header(bytes_of("GET /\r\n"));
    EXPECT_THAT(std::get<proxy_header_refused>(got).text, HasSubstr("'GET /?"));
}

TEST(proxy_header, tells_how_many_bytes_it_needs) {
    EXPECT_EQ(needs(""), 15U);
    EXPECT_EQ(needs("P"), 15U);
    EXPECT_EQ(needs("PROXY UNKNOWN"), 15U);
    EXPECT_EQ(needs("PROXY UNKNOWN\r"), 15U);
    EXPECT_EQ(needs("PROXY UNKNOWN "), 16U);
    EXPECT_EQ(needs("PROXY UNKNOWN " + std::string(92, 'x')), 107U);
    EXPECT_EQ(needs("\r"), 16U);
    EXPECT_EQ(needs(haproxy_v4.substr(0, 15)), 16U);
    EXPECT_EQ(needs(haproxy_v4.substr(0, 16)), haproxy_v4.size());
    EXPECT_EQ(needs(haproxy_v4.substr(0, 27)), haproxy_v4.size());
}

TEST(proxy_header, each_refusal_has_a_text_of_its_own) {
    std::set<std::string_view> texts;
    for (std::size_t i = 0; i < proxy_header_refusals; ++i) {
        texts.insert(to_text(static_cast<why>(i)));
    }
    EXPECT_EQ(texts.size(), proxy_header_refusals);
    EXPECT_FALSE(texts.contains(""));
    EXPECT_EQ(to_text(why::bad_checksum), "bad_checksum");
}

} // namespace
} // namespace portico::wire
