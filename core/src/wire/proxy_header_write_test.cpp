#include "portico/wire/proxy_header.hpp"

#include "portico/testkit/random.hpp"
#include "wire/proxy_header_samples.hpp"

#include <gtest/gtest.h>

namespace portico::wire {
namespace {

using namespace test;

ip::any_endpoint at(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

proxy_header from_to(std::string_view source, std::string_view destination,
                     proxy_version version = proxy_version::v2) {
    return {.version = version,
            .command = proxy_command::proxy,
            .transport = proxy_transport::stream,
            .source = at(source),
            .destination = at(destination)};
}

std::string written(const proxy_header& what, proxy_checksum checksum = proxy_checksum::none) {
    std::vector<std::byte> made{std::byte{'>'}}; // what is there already stays
    const auto done = append_proxy_header(what, checksum, made);
    EXPECT_TRUE(done) << to_text(done.error());
    const auto text = text_of(made);
    EXPECT_EQ(text.front(), '>');
    return text.substr(1);
}

error refused(const proxy_header& what) {
    std::vector<std::byte> made{std::byte{'>'}};
    const auto done = append_proxy_header(what, proxy_checksum::none, made);
    EXPECT_FALSE(done);
    EXPECT_EQ(text_of(made), ">");
    return done ? error{} : done.error();
}

TEST(proxy_header_writing, is_what_haproxy_writes) {
    EXPECT_EQ(written(from_to("192.0.2.1:50001", "192.0.2.2:1001", proxy_version::v1)),
              "PROXY TCP4 192.0.2.1 192.0.2.2 50001 1001\r\n");
    EXPECT_EQ(written(from_to("[2001:db8::1]:50001", "[2001:db8::2]:1001", proxy_version::v1)),
              "PROXY TCP6 2001:db8::1 2001:db8::2 50001 1001\r\n");
    EXPECT_EQ(written(from_to("192.0.2.1:50002", "192.0.2.2:1002")), haproxy_v4);
    EXPECT_EQ(written(from_to("[2001:db8::1]:50002", "[2001:db8::2]:1002")), haproxy_v6);
    EXPECT_EQ(written(proxy_header{}), haproxy_local);
}

TEST(proxy_header_writing, makes_haproxys_headers_again_with_their_checksums) {
    for (const auto& header : {haproxy_v4, haproxy_v6, haproxy_local}) {
        EXPECT_EQ(written(read(header)), header);
    }
    for (const auto& header : {haproxy_crc, haproxy_ssl}) {
        EXPECT_EQ(written(read(header), proxy_checksum::crc32c), header);
    }
}

TEST(proxy_header_writing, a_checksum_is_never_copied) {
    auto header = read(haproxy_crc);
    header.source = at("198.51.100.7:7");
    const auto with = read(written(header, proxy_checksum::crc32c)); // it would be refused
    EXPECT_NE(text_of(*with.tlvs.find(tlv_type::crc32c)),
              text_of(*header.tlvs.find(tlv_type::crc32c)));
    const auto without = read(written(header, proxy_checksum::none));
    EXPECT_FALSE(without.tlvs.find(tlv_type::crc32c));
    EXPECT_EQ(text_of(*without.tlvs.find(tlv_type::unique_id)), "id-0001");
}

TEST(proxy_header_writing, a_new_checksum_comes_last_and_only_once) {
    auto header = from_to("192.0.2.1:1", "192.0.2.2:2");
    header.tlvs.append(tlv_type::authority, "name");
    const auto one = written(header, proxy_checksum::crc32c);
    EXPECT_EQ(one.substr(28, 7), "\x02\0\x04name"s);
    EXPECT_EQ(one.substr(35, 3), "\x03\0\x04"s);
    EXPECT_EQ(one.size(), 42U);
    header.tlvs.append(tlv_type::crc32c, "ab");
    header.tlvs.append(tlv_type::crc32c, "cdefgh");
    EXPECT_EQ(written(header, proxy_checksum::crc32c), one);
}

TEST(proxy_header_writing, version_1_says_unknown_of_what_it_has_no_words_for) {
    auto datagram = from_to("192.0.2.1:1", "192.0.2.2:2", proxy_version::v1);
    datagram.transport = proxy_transport::datagram;
    auto nothing = from_to("192.0.2.1:1", "192.0.2.2:2", proxy_version::v1);
    nothing.transport = proxy_transport::unspecified;
    auto local = from_to("192.0.2.1:1", "192.0.2.2:2", proxy_version::v1);
    local.command = proxy_command::local;
    auto names = local;
    names.command = proxy_command::proxy;
    names.source = *ip::unix_name::path("/a");
    names.destination = *ip::unix_name::path("/b");
    auto unnamed = proxy_header{.version = proxy_version::v1, .command = proxy_command::proxy};
    for (const auto& each : {datagram, nothing, local, names, unnamed}) {
        EXPECT_EQ(written(each), "PROXY UNKNOWN\r\n");
    }
}

TEST(proxy_header_writing, version_1_leaves_tlvs_out) {
    auto header = read(haproxy_ssl);
    header.version = proxy_version::v1;
    EXPECT_EQ(written(header, proxy_checksum::crc32c),
              "PROXY TCP4 192.0.2.1 192.0.2.2 50004 1004\r\n");
}

TEST(proxy_header_writing, the_worst_case_of_version_1_fits) {
    const auto all_ones = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"sv;
    const auto line = written(from_to(all_ones, all_ones, proxy_version::v1));
    EXPECT_EQ(line.size(), 104U);
    EXPECT_EQ(read(line), from_to(all_ones, all_ones, proxy_version::v1));
}

TEST(proxy_header_writing, ends_of_two_families_become_ipv6) {
    EXPECT_EQ(written(from_to("192.0.2.1:1", "[2001:db8::2]:2", proxy_version::v1)),
              "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n");
    const auto header = read(written(from_to("[2001:db8::1]:1", "192.0.2.2:2")));
    EXPECT_EQ(header.source, at("[2001:db8::1]:1"));
    EXPECT_EQ(header.destination, at("[::ffff:192.0.2.2]:2"));
}

TEST(proxy_header_writing, zones_are_left_out) {
    const auto header = from_to("[fe80::1%eth0]:1", "[fe80::2%eth0]:2");
    EXPECT_EQ(read(written(header)), from_to("[fe80::1]:1", "[fe80::2]:2"));
    auto line = header;
    line.version = proxy_version::v1;
    EXPECT_EQ(written(line), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n");
}

TEST(proxy_header_writing, of_local_no_endpoints_are_written) {
    auto header = from_to("192.0.2.1:1", "192.0.2.2:2");
    header.command = proxy_command::local;
    EXPECT_EQ(written(header), haproxy_local);
}

TEST(proxy_header_writing, proxy_without_endpoints_keeps_its_tlvs) {
    auto header = proxy_header{.command = proxy_command::proxy};
    header.tlvs.append(tlv_type::authority, "name");
    EXPECT_EQ(read(written(header)), header);
    header.transport = proxy_transport::stream; // of nothing
    EXPECT_EQ(written(header).substr(12, 2), "\x21\0"s);
}

TEST(proxy_header_writing, unix_names_fill_108_bytes_each) {
    auto header = proxy_header{.command = proxy_command::proxy,
                               .transport = proxy_transport::datagram,
                               .source = *ip::unix_name::path("/run/a"),
                               .destination = *ip::unix_name::abstract("b")};
    const auto text = written(header);
    EXPECT_EQ(text.size(), 16U + 216);
    EXPECT_EQ(text.substr(12, 4), "\x21\x32\0\xd8"s);
    EXPECT_EQ(text.substr(16, 8), "/run/a\0\0"s);
    EXPECT_EQ(text.substr(16 + 108, 4), "\0b\0\0"s);
    EXPECT_EQ(read(text), header);
}

TEST(proxy_header_writing, what_cannot_be_said_is_an_error_and_writes_nothing) {
    auto mixed = from_to("192.0.2.1:1", "192.0.2.2:2");
    mixed.destination = ip::any_endpoint{};
    EXPECT_EQ(refused(mixed).code, std::errc::invalid_argument);
    mixed.destination = *ip::unix_name::path("/b");
    const auto why = refused(mixed);
    EXPECT_EQ(why.code, std::errc::invalid_argument);
    EXPECT_EQ(why.op, operation::proxy);
    EXPECT_EQ(why.who, side::caller);

    auto padded = mixed;
    padded.source = *ip::unix_name::path("/a");
    padded.destination = *ip::unix_name::abstract("b\0"s);
    EXPECT_EQ(refused(padded).code, std::errc::invalid_argument);
    EXPECT_EQ(refused(padded).at, padded.destination);

    auto large = from_to("192.0.2.1:1", "192.0.2.2:2");
    large.tlvs.append(tlv_type::noop, std::string(65535 - 12 - 3 + 1, 'x'));
    EXPECT_EQ(refused(large).code, std::errc::message_size);
}

TEST(proxy_header_writing, the_largest_header_is_read_again) {
    auto large = from_to("192.0.2.1:1", "192.0.2.2:2");
    large.tlvs.append(tlv_type::noop, std::string(65535 - 12 - 3, 'x'));
    const auto got = read_proxy_header(bytes_of(written(large)), 16 + 65535);
    ASSERT_TRUE(std::holds_alternative<proxy_header_complete>(got));
    EXPECT_EQ(std::get<proxy_header_complete>(got).header, large);
}

class chance {
public:
    std::size_t below(std::size_t count) { return bits_.below(count); }
    std::string bytes(std::size_t count) {
        std::string made;
        while (made.size() < count) {
            made += static_cast<char>(below(256));
        }
        return made;
    }
    ip::any_endpoint endpoint(std::size_t kind) {
        const auto port = static_cast<std::uint16_t>(below(65536));
        ip::address::v6_bytes wide{};
        for (auto& each : wide) {
            each = static_cast<std::uint8_t>(below(4) == 0 ? below(256) : 0);
        }
        switch (kind) {
        case 0:
            return ip::endpoint{ip::address::v4(wide[0], wide[1], wide[2], wide[3]), port};
        case 1:
            return ip::endpoint{ip::address::v6(wide), port};
        case 2:
            return name();
        default:
            return {};
        }
    }
    ip::unix_name name() {
        auto text = bytes(below(107));
        text += 'z';
        if (below(3) == 0) {
            return *ip::unix_name::abstract(text);
        }
        std::erase(text, '\0');
        return below(8) == 0 ? ip::unix_name{} : *ip::unix_name::path(text);
    }
    proxy_header header() {
        proxy_header made{.version = below(3) == 0 ? proxy_version::v1 : proxy_version::v2,
                          .command = proxy_command::proxy};
        const bool v1 = made.version == proxy_version::v1;
        const auto kind = v1 ? below(2) : below(4);
        made.source = endpoint(kind);
        made.destination = endpoint(kind);
        if (kind != 3) {
            made.transport =
                v1 || below(2) == 0 ? proxy_transport::stream : proxy_transport::datagram;
        } else if (below(2) == 0) {
            made.command = proxy_command::local;
        }
        static constexpr std::array types{0x01, 0x02, 0x04, 0x05, 0x20, 0x30, 0xe0, 0xff};
        for (auto count = v1 ? 0 : below(4); count != 0; --count) {
            made.tlvs.append(static_cast<tlv_type>(types[below(types.size())]), bytes(below(129)));
        }
        return made;
    }

private:
    testkit::seeded_random bits_;
};

TEST(proxy_header_writing, random_headers_are_read_as_they_were_written) {
    chance random;
    for (int turn = 0; turn < 2000; ++turn) {
        const auto header = random.header();
        const auto text = written(header);
        const auto got = read_proxy_header(bytes_of(text + "rest"));
        ASSERT_TRUE(std::holds_alternative<proxy_header_complete>(got)) << "turn " << turn;
        EXPECT_EQ(std::get<proxy_header_complete>(got).header, header) << "turn " << turn;
        EXPECT_EQ(std::get<proxy_header_complete>(got).size, text.size()) << "turn " << turn;
        const auto checked = read_proxy_header(bytes_of(written(header, proxy_checksum::crc32c)));
        ASSERT_TRUE(std::holds_alternative<proxy_header_complete>(checked)) << "turn " << turn;
        const auto& again = std::get<proxy_header_complete>(checked).header;
        EXPECT_EQ(written(again), text) << "turn " << turn;
    }
}

TEST(proxy_header_writing, random_headers_are_read_byte_by_byte) {
    chance random;
    for (int turn = 0; turn < 60; ++turn) {
        const auto header = random.header();
        EXPECT_EQ(read(written(header)), header) << "turn " << turn;
    }
}

} // namespace
} // namespace portico::wire
